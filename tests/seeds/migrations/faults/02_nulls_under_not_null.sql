-- expect: failed customers 600
ALTER TABLE customers ALTER COLUMN phone SET NOT NULL;
