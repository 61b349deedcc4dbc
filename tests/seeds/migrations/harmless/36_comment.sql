COMMENT ON TABLE orders IS 'One row for each order; it''s never deleted.';
