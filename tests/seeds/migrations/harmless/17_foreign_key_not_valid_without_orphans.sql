ALTER TABLE sessions ADD CONSTRAINT sessions_customer FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID;
