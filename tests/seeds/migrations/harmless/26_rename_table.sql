ALTER TABLE feature_flags RENAME TO flags;
