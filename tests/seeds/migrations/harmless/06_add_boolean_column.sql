ALTER TABLE products ADD COLUMN visible boolean NOT NULL DEFAULT true;
