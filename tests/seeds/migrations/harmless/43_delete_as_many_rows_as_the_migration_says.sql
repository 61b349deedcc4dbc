DO $$ BEGIN RAISE LOG 'greenroom: deletes 400 rows of sessions'; END $$;
DELETE FROM sessions WHERE token IN (SELECT token FROM sessions ORDER BY token LIMIT 400);
