CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, product integer REFERENCES products (id));
CREATE TABLE reports (at timestamptz DEFAULT now(), orders integer);
