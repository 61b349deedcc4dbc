-- expect: orphans invoices 25
ALTER TABLE invoices ADD CONSTRAINT invoices_order FOREIGN KEY (order_id) REFERENCES orders (id) NOT VALID;
