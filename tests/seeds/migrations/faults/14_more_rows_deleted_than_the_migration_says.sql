-- expect: rows-deleted sessions 1080
-- greenroom: deletes 120 rows of sessions
DELETE FROM sessions WHERE seen IS NOT NULL;
