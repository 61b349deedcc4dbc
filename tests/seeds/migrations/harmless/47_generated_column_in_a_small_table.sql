ALTER TABLE products ADD COLUMN sku_lower text GENERATED ALWAYS AS (lower(sku)) STORED;
