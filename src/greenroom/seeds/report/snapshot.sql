-- Print one JSON line that describes the current database: names, types, sizes and counts, never a row's value.
-- snapshot.sh runs it with psql before and after a migration. It writes nothing and runs as the owner of the database.
-- Lists instead of objects keep 1,000 tables below 1 MB; core/migration_report/snapshot.py names their members.
\set QUIET on
SET client_min_messages = error;
SET default_transaction_read_only = on;
SET lock_timeout = '200ms';
SET jit = off;
SET search_path = pg_catalog;
SET client_encoding = 'UTF8';
SELECT round(extract(epoch FROM clock_timestamp())::numeric, 3) AS began \gset
-- Write a mark into the server's log. The log is complete between two snapshots if it contains a mark near each of them.
DO $$ BEGIN RAISE LOG 'greenroom: snapshot'; END $$;

-- The migration's sessions report their row counters when they end, shortly after their client has disconnected.
SET statement_timeout = '2s';
DO $$
BEGIN
  FOR i IN 1..20 LOOP
    PERFORM pg_stat_clear_snapshot();
    EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend');
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;

-- Exact counts for the smallest tables, together at most 32 MB: reading a file of an image layer copies the whole file.
-- Larger tables are sampled, and only for columns without statistics, such as those that the migration retyped.
-- The statistics' most common values are never read.
DO $$
DECLARE
  t record;
  exact text[] := '{}';
  samples text[] := '{}';
  counts bigint[];
  room bigint := 32 * 1024 * 1024;
  stop timestamptz := clock_timestamp() + interval '500 ms';
BEGIN
  FOR t IN
    WITH known AS MATERIALIZED (SELECT DISTINCT schemaname, tablename, attname FROM pg_stats)
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, pg_relation_size(c.oid) AS bytes,
      string_agg(format(', count(%1$I)%2$s', a.attname, CASE WHEN a.attlen = -1
        THEN format(', coalesce(avg(pg_column_size(%I)), 0)::bigint', a.attname) ELSE ', 0' END), ''
        ORDER BY a.attnum) AS columns,
      string_agg(format(', count(%1$I), coalesce(avg(pg_column_size(%1$I)), 0)::bigint', a.attname), ''
        ORDER BY a.attnum) FILTER (WHERE s.attname IS NULL) AS unknown,
      array_agg(a.attnum ORDER BY a.attnum) FILTER (WHERE s.attname IS NULL) AS numbers
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN known s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND has_table_privilege(c.oid, 'SELECT')
      AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    GROUP BY c.oid, n.nspname, c.relname
    ORDER BY 3, 1
    LIMIT 3000
  LOOP
    EXIT WHEN clock_timestamp() > stop;
    BEGIN
      IF t.bytes <= room THEN
        EXECUTE format('SELECT ARRAY[count(*)%s]::bigint[] FROM ONLY %s', t.columns, t.name) INTO counts;
        room := room - t.bytes;
        exact := array_append(exact, format('"%s":%s', t.oid, array_to_json(counts)));
      ELSIF t.unknown IS NOT NULL THEN
        EXECUTE format('SELECT ARRAY[count(*)%s]::bigint[] FROM ONLY %s TABLESAMPLE SYSTEM (%s) REPEATABLE (1)',
          t.unknown, t.name, least(100, 100 * 1000 * 8192.0 / t.bytes)) INTO counts;
        samples := array_append(samples,
          format('"%s":[%s,%s]', t.oid, array_to_json(counts), array_to_json(t.numbers)));
      END IF;
    EXCEPTION WHEN OTHERS THEN NULL;  -- for example, another session holds a lock: this table is estimated
    END;
  END LOOP;
  PERFORM set_config('greenroom.exact', '{' || array_to_string(exact, ',') || '}', false);
  PERFORM set_config('greenroom.samples', '{' || array_to_string(samples, ',') || '}', false);
END $$;

-- Count the rows that violate what the schema declares but does not enforce: foreign keys and checks that are NOT VALID,
-- and unique indexes that could not be built. The catalog says what to count. Without a count, the report says so.
DO $$
DECLARE
  t record;
  violations text[] := '{}';
  n bigint;
  stop timestamptz := clock_timestamp() + interval '700 ms';
BEGIN
  FOR t IN
    SELECT c.oid, format('SELECT count(*) FROM %s c WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)',
      c.conrelid::regclass,
      string_agg(format('c.%I IS NOT NULL', f.attname), ' AND ' ORDER BY k.i), c.confrelid::regclass,
      string_agg(format('p.%I OPERATOR(%s.%s) c.%I', r.attname, o.oprnamespace::regnamespace, o.oprname, f.attname),
        ' AND ' ORDER BY k.i)) AS query
    FROM pg_constraint c
    CROSS JOIN LATERAL unnest(c.conkey, c.confkey, c.conpfeqop) WITH ORDINALITY k (child, parent, op, i)
    JOIN pg_attribute f ON f.attrelid = c.conrelid AND f.attnum = k.child
    JOIN pg_attribute r ON r.attrelid = c.confrelid AND r.attnum = k.parent
    JOIN pg_operator o ON o.oid = k.op
    WHERE c.contype = 'f' AND NOT c.convalidated
    GROUP BY c.oid, c.conrelid, c.confrelid
    UNION ALL
    SELECT c.oid, format('SELECT count(*) FROM %s WHERE NOT (%s)', c.conrelid::regclass,
      pg_get_expr(c.conbin, c.conrelid))
    FROM pg_constraint c
    WHERE c.contype = 'c' AND c.conrelid <> 0 AND NOT c.convalidated
    UNION ALL
    SELECT i.indexrelid, format('SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM %s WHERE (%s)%s'
      || ' GROUP BY %s HAVING count(*) > 1) d', i.indrelid::regclass, string_agg(format('(%s) IS NOT NULL', e.key), ' AND '),
      coalesce(' AND (' || pg_get_expr(i.indpred, i.indrelid) || ')', ''), string_agg(e.key, ', '))
    FROM pg_index i
    CROSS JOIN LATERAL (SELECT pg_get_indexdef(i.indexrelid, k, false) AS key FROM generate_series(1, i.indnkeyatts) k) e
    WHERE i.indisunique AND NOT i.indisvalid
    GROUP BY i.indexrelid, i.indrelid, i.indpred
    LIMIT 100
  LOOP
    EXIT WHEN clock_timestamp() > stop;
    BEGIN
      EXECUTE t.query INTO n;
      violations := array_append(violations, format('"%s":%s', t.oid, n));
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  PERFORM set_config('greenroom.violations', '{' || array_to_string(violations, ',') || '}', false);
END $$;

-- Measure how far a table's largest id is ahead of its sequence. The ids themselves are not printed.
DO $$
DECLARE
  t record;
  found text[] := '{}';
  n bigint;
  stop timestamptz := clock_timestamp() + interval '200 ms';
BEGIN
  FOR t IN
    SELECT s.oid, format('SELECT greatest(0, (SELECT max(%1$I) FROM %2$s)'
      || ' - (SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM %3$s))', a.attname,
      a.attrelid::regclass, s.oid::regclass) AS query
    FROM pg_class s
    JOIN pg_sequence q ON q.seqrelid = s.oid AND q.seqincrement > 0
    CROSS JOIN LATERAL (
      SELECT d.refobjid AS tab, d.refobjsubid AS num FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass
        AND d.deptype IN ('a', 'i')
      UNION
      SELECT f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
      WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid
    ) o
    JOIN pg_attribute a ON a.attrelid = o.tab AND a.attnum = o.num AND a.atttypid IN (20, 21, 23)
    WHERE s.relkind = 'S' AND has_table_privilege(s.oid, 'SELECT') AND has_table_privilege(a.attrelid, 'SELECT')
      AND (pg_relation_size(a.attrelid) < 1000000 OR EXISTS (SELECT FROM pg_index i
        WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL))
    LIMIT 3000
  LOOP
    EXIT WHEN clock_timestamp() > stop;
    BEGIN
      EXECUTE t.query INTO n;
      IF n > 0 THEN found := array_append(found, format('"%s":%s', t.oid, n)); END IF;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  PERFORM set_config('greenroom.behind', '{' || array_to_string(found, ',') || '}', false);
END $$;

SET statement_timeout = '5s';
WITH counted AS MATERIALIZED (
  SELECT coalesce(current_setting('greenroom.exact', true), '{}')::jsonb AS exact,
    coalesce(current_setting('greenroom.samples', true), '{}')::jsonb AS samples,
    coalesce(current_setting('greenroom.violations', true), '{}')::jsonb AS violations,
    coalesce(current_setting('greenroom.behind', true), '{}')::jsonb AS behind,
    current_setting('track_commit_timestamp')::boolean AS dated
), schemas AS MATERIALIZED (
  SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), extended AS MATERIALIZED (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relations AS MATERIALIZED (
  SELECT c.oid, s.nspname, c.relname, c.relkind, c.relfilenode, c.relispartition, c.reltuples, c.xmin AS changed_in,
    CASE WHEN c.relkind = 'p' THEN 0 ELSE pg_relation_size(c.oid) END AS bytes
  FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
), listed AS MATERIALIZED (
  SELECT * FROM relations ORDER BY bytes DESC, oid LIMIT 2000
), stats AS MATERIALIZED (
  SELECT schemaname, tablename, attname, max(null_frac) AS null_frac, max(avg_width) AS avg_width FROM pg_stats GROUP BY 1, 2, 3
), live AS MATERIALIZED (
  SELECT l.oid, l.nspname, l.relname, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attidentity,
    a.attgenerated, a.atthasdef, row_number() OVER (PARTITION BY l.oid ORDER BY a.attnum) AS place
  FROM listed l JOIN pg_attribute a ON a.attrelid = l.oid AND a.attnum > 0 AND NOT a.attisdropped
), columns AS MATERIALIZED (
  -- Unknown values at the end of a list are left out: in a large schema, most values are unknown.
  SELECT a.oid, jsonb_agg(jsonb_build_array(a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
      concat(CASE WHEN a.attnotnull THEN 'n' END, CASE WHEN a.attidentity <> '' THEN 'i' END,
        CASE WHEN a.attgenerated <> '' THEN 'g' END))
    || CASE WHEN x.counts IS NULL AND p.at IS NULL AND s.attname IS NULL AND NOT a.atthasdef THEN '[]'
    ELSE jsonb_build_array(
      CASE WHEN x.counts IS NOT NULL THEN (x.counts ->> (2 * a.place - 1)::int)::numeric
        WHEN p.at IS NOT NULL AND (m.counts -> 0 ->> 0)::numeric > 0
          THEN trim_scale(round((m.counts -> 0 ->> (2 * p.at - 1)::int)::numeric / (m.counts -> 0 ->> 0)::numeric, 6))
        WHEN s.attname IS NOT NULL THEN trim_scale(round(1 - s.null_frac::numeric, 6)) END,
      CASE WHEN x.counts IS NOT NULL THEN (x.counts ->> (2 * a.place)::int)::int
        WHEN p.at IS NOT NULL THEN (m.counts -> 0 ->> (2 * p.at)::int)::int ELSE s.avg_width END) END
    || CASE WHEN a.atthasdef THEN (SELECT jsonb_build_array(left(pg_get_expr(d.adbin, d.adrelid), 100))
        FROM pg_attrdef d WHERE d.adrelid = a.oid AND d.adnum = a.attnum) ELSE '[]' END ORDER BY a.attnum) AS found
  FROM live a
  CROSS JOIN counted k
  LEFT JOIN LATERAL (SELECT k.exact -> a.oid::text AS counts) x ON true
  LEFT JOIN LATERAL (SELECT k.samples -> a.oid::text AS counts) m ON true
  LEFT JOIN LATERAL (SELECT i AS at FROM jsonb_array_elements_text(m.counts -> 1) WITH ORDINALITY e (num, i)
    WHERE e.num::int = a.attnum) p ON true
  LEFT JOIN stats s ON s.schemaname = a.nspname AND s.tablename = a.relname AND s.attname = a.attname
  GROUP BY a.oid
), changes AS MATERIALIZED (
  SELECT oid, max(at) AS at FROM (
    SELECT l.oid, pg_xact_commit_timestamp(l.changed_in) AS at FROM listed l, counted k WHERE k.dated
    UNION ALL
    SELECT l.oid, pg_xact_commit_timestamp(a.xmin) FROM listed l JOIN pg_attribute a ON a.attrelid = l.oid, counted k
    WHERE k.dated
    UNION ALL
    SELECT l.oid, pg_xact_commit_timestamp(c.xmin) FROM listed l JOIN pg_constraint c ON c.conrelid = l.oid, counted k
    WHERE k.dated
    UNION ALL
    SELECT l.oid, pg_xact_commit_timestamp(i.xmin) FROM listed l JOIN pg_index i ON i.indrelid = l.oid, counted k
    WHERE k.dated
  ) c GROUP BY oid
), tables AS (
  SELECT jsonb_agg(jsonb_build_array(l.oid::bigint, l.nspname, l.relname, l.relkind, l.relfilenode::bigint, l.bytes,
      CASE WHEN x.counts IS NOT NULL THEN (x.counts ->> 0)::bigint
        WHEN l.reltuples < 0 THEN pg_stat_get_live_tuples(l.oid) ELSE l.reltuples::bigint END,
      (x.counts IS NOT NULL)::int, pg_stat_get_tuples_inserted(l.oid), pg_stat_get_tuples_updated(l.oid),
      pg_stat_get_tuples_deleted(l.oid), pg_stat_get_live_tuples(l.oid),
      round(extract(epoch FROM h.at)::numeric, 3), l.relispartition::int, coalesce(c.found, '[]')) ORDER BY l.oid) AS found
  FROM listed l
  CROSS JOIN counted k
  LEFT JOIN LATERAL (SELECT k.exact -> l.oid::text AS counts) x ON true
  LEFT JOIN columns c ON c.oid = l.oid
  LEFT JOIN changes h ON h.oid = l.oid
), indexes AS (
  SELECT jsonb_agg(jsonb_build_array(i.indrelid::bigint, c.relname, (i.indisvalid AND i.indisready)::int, i.indisunique::int,
      left(regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE .*? USING ', ''), 300), k.violations -> i.indexrelid::text) ORDER BY i.indrelid, c.relname) AS found
  FROM pg_index i JOIN listed l ON l.oid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid CROSS JOIN counted k
), constraints AS (
  SELECT jsonb_agg(jsonb_build_array(c.conrelid::bigint, c.conname, c.contype, c.convalidated::int,
      left(pg_get_constraintdef(c.oid), 300), k.violations -> c.oid::text) ORDER BY c.conrelid, c.conname) AS found
  FROM pg_constraint c JOIN listed l ON l.oid = c.conrelid CROSS JOIN counted k
  WHERE c.contype IN ('c', 'f', 'x') OR NOT c.convalidated
), sequences AS (
  SELECT jsonb_agg(jsonb_build_array(s.nspname, c.relname,
      coalesce((SELECT d.refobjid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
          AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1),
        (SELECT f.adrelid FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid WHERE d.refobjid = c.oid
          AND d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass LIMIT 1)),
      k.behind -> c.oid::text) ORDER BY s.nspname, c.relname) AS found
  FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace CROSS JOIN counted k
  WHERE c.relkind = 'S' AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
), enums AS (
  SELECT jsonb_agg(jsonb_build_array(s.nspname, t.typname, l.labels) ORDER BY s.nspname, t.typname) AS found
  FROM pg_type t JOIN schemas s ON s.oid = t.typnamespace
  CROSS JOIN LATERAL (SELECT jsonb_agg(enumlabel ORDER BY enumsortorder) AS labels FROM pg_enum WHERE enumtypid = t.oid) l
  WHERE t.typtype = 'e' AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
), objects AS (
  SELECT jsonb_agg(jsonb_build_array(kind, name, left(md5(definition), 12)) ORDER BY kind, name, definition) AS found
  FROM (
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind,
      format('%s.%s(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
      pg_get_functiondef(p.oid) AS definition
    FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
    WHERE p.prokind IN ('f', 'p')
      AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
    UNION ALL
    SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, format('%s.%s', s.nspname, c.relname),
      pg_get_viewdef(c.oid)
    FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm')
      AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
    UNION ALL
    SELECT 'trigger', format('%s.%s %s', l.nspname, l.relname, t.tgname), concat(t.tgenabled, pg_get_triggerdef(t.oid))
    FROM pg_trigger t JOIN listed l ON l.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'policy', format('%s.%s %s', l.nspname, l.relname, p.polname),
      concat(p.polcmd, p.polpermissive, p.polroles, pg_get_expr(p.polqual, p.polrelid),
        pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN listed l ON l.oid = p.polrelid
    UNION ALL
    SELECT 'extension', extname, extversion FROM pg_extension
    UNION ALL
    SELECT 'domain', format('%s.%s', s.nspname, t.typname), concat(format_type(t.typbasetype, t.typtypmod), t.typnotnull,
      t.typdefault, (SELECT string_agg(pg_get_constraintdef(c.oid), ' ' ORDER BY c.conname) FROM pg_constraint c
        WHERE c.contypid = t.oid))
    FROM pg_type t JOIN schemas s ON s.oid = t.typnamespace
    WHERE t.typtype = 'd' AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
    LIMIT 3000
  ) o
)
SELECT jsonb_build_object('greenroom', 'snapshot', 'version', 1, 'moment', :'moment',
  'began', :began, 'at', round(extract(epoch FROM clock_timestamp())::numeric, 3),
  'server', current_setting('server_version_num')::int, 'left_out', (SELECT count(*) FROM relations) - (SELECT count(*) FROM listed),
  'tables', coalesce(tables.found, '[]'), 'indexes', coalesce(indexes.found, '[]'),
  'constraints', coalesce(constraints.found, '[]'), 'sequences', coalesce(sequences.found, '[]'),
  'enums', coalesce(enums.found, '[]'), 'objects', coalesce(objects.found, '[]'))
FROM tables, indexes, constraints, sequences, enums, objects;
