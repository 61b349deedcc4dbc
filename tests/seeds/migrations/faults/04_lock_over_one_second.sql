-- expect: locked customers 3000
-- A slow function for each row, inside of the transaction that changed the table.
CREATE FUNCTION normal_phone(phone text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(0.001); RETURN replace(phone, ' ', ''); END $$;
BEGIN;
ALTER TABLE customers ADD COLUMN phone_normal text;
UPDATE customers SET phone_normal = normal_phone(phone) WHERE id <= 1500;
COMMIT;
