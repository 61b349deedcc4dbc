-- expect: values-lost customers 2400
ALTER TABLE customers ALTER COLUMN phone TYPE bigint USING CASE WHEN phone ~ '^[0-9]+$' THEN phone::bigint END;
