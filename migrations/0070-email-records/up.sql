-- What the record of an e-mail says in place of its text once it has ended: its text has a secret. Null for all others.
ALTER TABLE emails ADD COLUMN recorded_as TEXT;
