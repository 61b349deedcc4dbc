CREATE VIEW customer_totals AS SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id;
