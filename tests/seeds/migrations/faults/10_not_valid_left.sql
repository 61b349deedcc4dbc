-- expect: not-valid sessions 120
ALTER TABLE sessions ADD CONSTRAINT sessions_seen CHECK (seen IS NOT NULL) NOT VALID;
