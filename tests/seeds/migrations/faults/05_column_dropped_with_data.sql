-- expect: column-dropped orders 30000
ALTER TABLE orders DROP COLUMN note;
