-- Messages that are sent later: `send_at` is when, `plan` what (JSON), which is null once the message was sent or canceled. `unsent` is the sealed
-- text of a message whose record must not show it, until it is sent.
ALTER TABLE messages ADD COLUMN send_at BIGINT;
ALTER TABLE messages ADD COLUMN plan TEXT;
ALTER TABLE messages ADD COLUMN unsent {{blob}};
CREATE INDEX messages_scheduled ON messages (send_at, sid) WHERE status = 'scheduled';
