CREATE UNIQUE INDEX CONCURRENTLY invoices_number ON invoices (number);
