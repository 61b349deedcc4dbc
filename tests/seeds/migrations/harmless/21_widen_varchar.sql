ALTER TABLE customers ALTER COLUMN city TYPE varchar(120);
