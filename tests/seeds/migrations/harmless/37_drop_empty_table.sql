DROP TABLE unused;
