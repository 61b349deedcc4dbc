-- Print the migrations that a database has run, as one JSON object:
--   {"tool": "django", "applied": [["shop.0001_initial", ""], ...], "failed": []}
-- Each entry is a name and a checksum, which is empty if the tool does not record it. `tool` is empty if no table belongs
-- to a known tool, and "several" if more than one is found; `ledgers` then has an object for each.
--
-- The tables come from a dump that a stranger may have written. So this runs as the owner of the data: otherwise, a
-- type with its own functions could run code as a superuser.
SET search_path = pg_catalog, pg_temp;
DO $ledgers$
DECLARE
    ledger record;
    found json;
    all_found json[] := '{}';
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
        RAISE EXCEPTION 'ledgers.sql must not run as a superuser';
    END IF;
    FOR ledger IN
        SELECT kinds.tool, format('%I.%I', n.nspname, c.relname) AS place, kinds.query, n.nspname AS folder
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN (VALUES
            ('django', 'django_migrations', 'id app name',
                $$SELECT app || '.' || name AS name, '' AS checksum, true AS done, id AS place FROM %s$$),
            ('alembic', 'alembic_version', 'version_num',
                $$SELECT version_num AS name, '' AS checksum, true AS done, 0 AS place FROM %s$$),
            ('rails', 'schema_migrations', 'version',
                $$SELECT version AS name, '' AS checksum, true AS done, 0 AS place FROM %s$$),
            -- Only the last entry of a version counts: the version may have been undone, or deleted by `flyway repair`.
            ('flyway', 'flyway_schema_history', 'installed_rank version type script checksum success',
                $$SELECT CASE type WHEN 'BASELINE' THEN 'baseline ' || version
                                   WHEN 'SQL' THEN regexp_replace(script, '^.*/', '')
                                   ELSE regexp_replace(script, '^.*\.', '') END AS name,
                         coalesce(checksum::text, '') AS checksum, success AS done, installed_rank AS place
                  FROM (SELECT DISTINCT ON (coalesce(version, script)) * FROM %s WHERE type <> 'SCHEMA'
                        ORDER BY coalesce(version, script), installed_rank DESC) AS newest
                  WHERE type NOT IN ('DELETE', 'UNDO_SQL', 'UNDO_SPRING_JDBC', 'UNDO_JDBC')$$),
            ('prisma', '_prisma_migrations', 'migration_name checksum finished_at rolled_back_at started_at',
                $$SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS done, 0 AS place FROM %s
                  WHERE rolled_back_at IS NULL$$),
            ('knex', 'knex_migrations', 'id name',
                $$SELECT name, '' AS checksum, true AS done, id AS place FROM %s$$)
        ) AS kinds (tool, relname, columns, query) ON kinds.relname = c.relname
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
          AND n.nspname NOT IN ('pg_catalog', 'information_schema')
          AND (SELECT count(*) FROM pg_attribute a
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                 AND a.attname = ANY (string_to_array(kinds.columns, ' '))
              ) = cardinality(string_to_array(kinds.columns, ' '))
          -- Other tools also have a table with this name. Only Rails also has ar_internal_metadata.
          AND (kinds.tool <> 'rails' OR EXISTS (
                SELECT FROM pg_class m WHERE m.relnamespace = n.oid AND m.relname = 'ar_internal_metadata'))
        ORDER BY 1, 2
    LOOP
        EXECUTE format(
            $$SELECT json_build_object('tool', %L,
                'applied', coalesce(json_agg(json_build_array(name, checksum) ORDER BY place, name) FILTER (WHERE done), '[]'),
                'failed', coalesce(json_agg(name ORDER BY place, name) FILTER (WHERE NOT done), '[]')) FROM (%s) AS entries$$,
            ledger.tool, format(ledger.query, ledger.place)) INTO found;
        all_found := all_found || found;
    END LOOP;
    PERFORM set_config('greenroom.ledgers', CASE cardinality(all_found)
        WHEN 0 THEN '{"tool": ""}'
        WHEN 1 THEN all_found[1]::text
        ELSE json_build_object('tool', 'several', 'ledgers', array_to_json(all_found))::text END, false);
END
$ledgers$;
SELECT current_setting('greenroom.ledgers');
