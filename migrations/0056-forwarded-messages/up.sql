-- Messages that are stored and forwarded: `expires` is the end of the validity period, null for all others.
-- `due` is when the next attempt is due, `doubts` how often it was not known whether the provider had accepted it.
ALTER TABLE messages ADD COLUMN expires BIGINT;
ALTER TABLE messages ADD COLUMN due BIGINT;
ALTER TABLE messages ADD COLUMN attempts BIGINT;
ALTER TABLE messages ADD COLUMN doubts BIGINT;
ALTER TABLE messages ADD COLUMN segments BIGINT;
ALTER TABLE messages ADD COLUMN route TEXT;
ALTER TABLE messages ADD COLUMN provider_id TEXT;
ALTER TABLE messages ADD COLUMN price BIGINT;
CREATE INDEX messages_queued ON messages (instance, due, sid) WHERE status = 'queued';

-- What a provider calls a message or a segment of one, and what its receipt said. `state` is null until then.
CREATE TABLE message_parts (
    message TEXT NOT NULL,
    part BIGINT NOT NULL,
    route TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    state TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (message, part, route, provider_id)
);
CREATE INDEX message_parts_id ON message_parts (route, provider_id);
CREATE INDEX message_parts_created ON message_parts (created);
