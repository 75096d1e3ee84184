-- The sealed text of an e-mail whose record must not show it, until the mail is sent or has failed; `body` is then what its record says. Rows from
-- before have their text in `body` and what the record says in `recorded_as`, which is null for all others.
ALTER TABLE emails ADD COLUMN unsent {{blob}};
