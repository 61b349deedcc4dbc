CREATE SCHEMA IF NOT EXISTS reporting;
CREATE DOMAIN reporting.percentage AS integer CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE reporting.shares (id integer PRIMARY KEY, share reporting.percentage);
