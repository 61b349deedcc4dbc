ALTER TABLE customers ADD COLUMN updated timestamptz NOT NULL DEFAULT now();
