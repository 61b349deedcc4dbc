CREATE INDEX products_tags ON products USING gin (tags);
