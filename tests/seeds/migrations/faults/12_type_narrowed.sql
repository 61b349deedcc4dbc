-- expect: column-narrowed products 400
ALTER TABLE products ALTER COLUMN price TYPE numeric(10, 2);
