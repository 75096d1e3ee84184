-- A second token that is good while tokens are changed.
ALTER TABLE accounts ADD COLUMN secondary_token {{blob}};

-- Why the last attempt failed, when the row ended, and when somebody last wanted it delivered again.
-- Such a row belongs to nobody (its `owner` is empty) until a server takes it up.
ALTER TABLE outbox ADD COLUMN error TEXT;
ALTER TABLE outbox ADD COLUMN ended BIGINT;
ALTER TABLE outbox ADD COLUMN replayed BIGINT;
CREATE INDEX outbox_account ON outbox (account, created, event);
