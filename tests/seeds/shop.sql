-- The database of the corpora: everything that pg_dump writes for an ordinary application.
CREATE TYPE state AS ENUM ('new', 'paid');
CREATE DOMAIN label AS text CHECK (VALUE <> '');
CREATE DOMAIN cents AS integer CHECK (VALUE >= 0);
CREATE TABLE customers (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mail label, note varchar(100) DEFAULT E'it''s \\ a',
    born date, extra jsonb, "odd ""name, x" text, tags text[], active boolean, paid cents
);
COMMENT ON TABLE customers IS 'People; who ''buy''. dblink(is only a word here)';
CREATE TABLE orders (id bigserial PRIMARY KEY, customer integer REFERENCES customers, state state, total numeric(10, 2), at timestamptz);
CREATE TABLE events (day integer, text text) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
CREATE TABLE notes (id integer, text text);
CREATE TABLE old_notes (year integer) INHERITS (notes);
CREATE FUNCTION twice(a integer) RETURNS integer LANGUAGE plpgsql AS $_$ BEGIN RETURN a * 2; -- ; ' "
END $_$;
CREATE FUNCTION sized(a integer) RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 1 ELSE 2 END; SELECT 3; END;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at = now(); RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touched();
CREATE VIEW names AS SELECT name FROM customers;
CREATE MATERIALIZED VIEW counts AS SELECT count(*) FROM customers;
CREATE RULE two AS ON INSERT TO names DO INSTEAD (SELECT 1; SELECT 2);
CREATE INDEX by_note ON customers (lower(note)) WHERE name <> 'a;b';
INSERT INTO customers (name, mail, extra, "odd ""name, x", tags, active)
SELECT 'Name ' || i, 'user' || i || '@example.com', jsonb_build_object('a', i, 'b', 'x''y\z'), E'a\nb\t"\\', ARRAY['x', 'y,z'], true
FROM generate_series(1, 300) i;
INSERT INTO orders (customer, state, total) SELECT 1 + i % 300, 'paid', -i FROM generate_series(1, 900) i;
INSERT INTO events VALUES (1, 'a'), (2, NULL);
INSERT INTO old_notes VALUES (1, 'b', 2020);
SELECT lo_from_bytea(0, '\x0102');
