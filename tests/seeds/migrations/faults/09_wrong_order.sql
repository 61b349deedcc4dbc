-- expect: wrong-order orders 2
-- known: shop.0008_total shop.0009_currency
-- applied: shop.0007_discount
ALTER TABLE orders ADD COLUMN discount integer;
