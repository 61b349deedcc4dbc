-- expect: sequence-behind invoices 2000
SELECT setval('invoices_id_seq', 1, false);
