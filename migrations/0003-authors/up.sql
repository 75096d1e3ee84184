-- Account that wrote a callback's address; empty for rows of a release that did not tell.
ALTER TABLE outbox ADD COLUMN author TEXT;
