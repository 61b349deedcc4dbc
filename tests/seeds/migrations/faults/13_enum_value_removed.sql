-- expect: enum-labels orders 60000
BEGIN;
ALTER TYPE order_status RENAME TO order_status_old;
CREATE TYPE order_status AS ENUM ('open', 'paid');
DROP VIEW open_orders;
ALTER TABLE orders ALTER COLUMN status DROP DEFAULT;
ALTER TABLE orders ALTER COLUMN status TYPE order_status
  USING (CASE status::text WHEN 'archived' THEN 'paid' ELSE status::text END)::order_status;
ALTER TABLE orders ALTER COLUMN status SET DEFAULT 'open';
DROP TYPE order_status_old;
COMMIT;
