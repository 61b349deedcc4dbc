-- expect: not-repeatable products 40
-- repeat
INSERT INTO products SELECT (SELECT coalesce(max(id), 0) FROM products) + i, gen_random_uuid()::text, title, price
FROM (SELECT row_number() OVER () AS i, title, price FROM (SELECT title, price FROM products ORDER BY id LIMIT 40) t) t;
