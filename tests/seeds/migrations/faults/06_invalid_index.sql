-- expect: invalid-index customers 37
CREATE UNIQUE INDEX CONCURRENTLY customers_email ON customers (email);
