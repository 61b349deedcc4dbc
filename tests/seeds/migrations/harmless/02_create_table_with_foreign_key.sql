CREATE TABLE addresses (id serial PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers (id), line text NOT NULL);
