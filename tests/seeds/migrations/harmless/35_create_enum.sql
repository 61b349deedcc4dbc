CREATE TYPE invoice_state AS ENUM ('draft', 'sent');
ALTER TABLE invoices ADD COLUMN state invoice_state NOT NULL DEFAULT 'draft';
