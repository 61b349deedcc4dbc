CREATE OR REPLACE VIEW customer_totals AS SELECT customer_id, sum(amount) AS total, count(*) AS orders FROM orders GROUP BY customer_id;
