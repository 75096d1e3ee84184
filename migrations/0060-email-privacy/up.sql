-- Why the addresses, text and attachments of an e-mail are gone (`retention` or `erasure`), and how many days an account keeps them.
ALTER TABLE emails ADD COLUMN gone TEXT;
ALTER TABLE retention ADD COLUMN emails BIGINT;
CREATE INDEX emails_kept ON emails (account, created, sid) WHERE gone IS NULL;
CREATE INDEX emails_call ON emails (call) WHERE call IS NOT NULL;
