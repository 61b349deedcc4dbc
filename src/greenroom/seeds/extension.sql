-- Create the extension `name` in the current database, as the superuser. app owns it, as it would if it had created it:
-- dumps have COMMENT ON EXTENSION, which only an owner may run. CREATE EXTENSION has no OWNER clause, and the objects inside
-- of it stay with the superuser.
SET search_path = public;
CREATE EXTENSION IF NOT EXISTS :"name" CASCADE;
SET search_path = pg_catalog;
INSERT INTO pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype)
  SELECT d.oid, 'pg_extension'::regclass, e.oid, 0, 'pg_authid'::regclass, 'app'::regrole, 'o'
  FROM pg_extension e, pg_database d
  WHERE e.extowner = 'postgres'::regrole AND e.extname <> 'plpgsql' AND d.datname = current_database();
UPDATE pg_extension SET extowner = 'app'::regrole WHERE extowner = 'postgres'::regrole AND extname <> 'plpgsql';
