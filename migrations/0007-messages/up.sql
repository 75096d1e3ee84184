-- Text messages. `ended` is set once, with the final status; `farewell` is what applications must be told
-- when that is written after a crash, as JSON.
CREATE TABLE messages (
    sid TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    account TEXT NOT NULL,
    call TEXT NOT NULL,
    from_user TEXT NOT NULL,
    to_user TEXT NOT NULL,
    body TEXT NOT NULL,
    direction TEXT NOT NULL,
    status TEXT NOT NULL,
    error_code BIGINT,
    reason TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    sent BIGINT,
    ended BIGINT,
    farewell TEXT
);
CREATE INDEX messages_account ON messages (account, created, sid);
CREATE INDEX messages_call ON messages (call);
CREATE INDEX messages_open ON messages (instance) WHERE ended IS NULL;
