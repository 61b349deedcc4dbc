-- expect: failed customers 37
CREATE UNIQUE INDEX customers_email ON customers (lower(email));
