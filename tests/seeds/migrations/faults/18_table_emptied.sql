-- expect: rows-deleted sessions 1200
TRUNCATE sessions;
