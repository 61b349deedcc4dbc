ALTER TABLE products ADD COLUMN stock integer NOT NULL DEFAULT 10;
CREATE TABLE price_index (only_one boolean PRIMARY KEY DEFAULT true, average_cents integer NOT NULL, runs integer NOT NULL);
