BEGIN;
CREATE TABLE flags_new (name text PRIMARY KEY, enabled boolean NOT NULL DEFAULT false, note text);
INSERT INTO flags_new (name, enabled) SELECT name, enabled FROM flags;
DROP TABLE flags;
ALTER TABLE flags_new RENAME TO flags;
COMMIT;
