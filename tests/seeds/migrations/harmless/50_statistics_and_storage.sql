ALTER TABLE orders ALTER COLUMN customer_id SET STATISTICS 500;
ALTER TABLE orders SET (fillfactor = 90);
