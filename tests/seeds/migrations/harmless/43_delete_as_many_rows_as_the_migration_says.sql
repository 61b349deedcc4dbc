-- greenroom: deletes 400 rows of sessions
DELETE FROM sessions WHERE token IN (SELECT token FROM sessions ORDER BY token LIMIT 400);
