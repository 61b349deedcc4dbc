-- expect: rows-deleted sessions 1080
DO $$ BEGIN RAISE LOG 'greenroom: deletes 120 rows of sessions'; END $$;
DELETE FROM sessions WHERE seen IS NOT NULL;
