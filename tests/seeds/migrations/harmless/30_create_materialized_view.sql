CREATE MATERIALIZED VIEW daily_orders AS SELECT placed::date AS day, count(*) AS orders FROM orders GROUP BY 1;
