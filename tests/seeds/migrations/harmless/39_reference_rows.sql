INSERT INTO flags VALUES ('dark-mode', false), ('beta', false) ON CONFLICT DO NOTHING;
