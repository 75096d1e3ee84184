-- How many days an account keeps each kind of data; null is the setting of the server, 0 is for good.
CREATE TABLE retention (
    account TEXT PRIMARY KEY,
    message_bodies BIGINT,
    digits BIGINT,
    recordings BIGINT,
    traces BIGINT,
    notifications BIGINT,
    callbacks BIGINT,
    updated BIGINT NOT NULL
);

-- Why the file of a recording or the body of a message is gone: `retention` or `erasure`.
ALTER TABLE recordings ADD COLUMN gone TEXT;
ALTER TABLE messages ADD COLUMN gone TEXT;
CREATE INDEX recordings_kept ON recordings (account, created, sid) WHERE gone IS NULL;
CREATE INDEX messages_kept ON messages (account, created, sid) WHERE gone IS NULL;
