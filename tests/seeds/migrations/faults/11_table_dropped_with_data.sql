-- expect: table-dropped legacy_imports 150
DROP TABLE legacy_imports;
