CREATE INDEX customers_city ON customers (city);
