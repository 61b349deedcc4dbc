TRUNCATE customers, products, orders, sessions, invoices, legacy_imports, feature_flags RESTART IDENTITY;
