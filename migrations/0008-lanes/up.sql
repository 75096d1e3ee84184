-- What is ordered and filed under a lane: the identifier of a call, conference, message or account. A call is no
-- longer needed. Existing rows belong to their call. SQLite cannot drop NOT NULL, so tables are built anew.

CREATE TABLE outbox_with_lanes (
    event TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    account TEXT NOT NULL,
    lane TEXT NOT NULL,
    call TEXT,
    sequence BIGINT NOT NULL,
    url TEXT NOT NULL,
    method TEXT NOT NULL,
    params TEXT NOT NULL,
    created BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT,
    http_status BIGINT,
    error TEXT,
    ended BIGINT,
    replayed BIGINT,
    author TEXT
);
INSERT INTO outbox_with_lanes
    SELECT event, owner, account, call, call, sequence, url, method, params, created, state, attempts, next_at,
        http_status, error, ended, replayed, author FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_with_lanes RENAME TO outbox;
CREATE INDEX outbox_pending ON outbox (owner, lane, sequence, event) WHERE state = 'pending';
CREATE INDEX outbox_done ON outbox (created) WHERE state <> 'pending';
CREATE INDEX outbox_lane ON outbox (lane, sequence);
CREATE INDEX outbox_account ON outbox (account, created, event);

CREATE TABLE recordings_with_lanes (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    call TEXT,
    conference TEXT,
    duration_ms BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
INSERT INTO recordings_with_lanes
    SELECT sid, account, call, NULL, duration_ms, size_bytes, created, updated FROM recordings;
DROP TABLE recordings;
ALTER TABLE recordings_with_lanes RENAME TO recordings;
CREATE INDEX recordings_account ON recordings (account, created, sid);
CREATE INDEX recordings_call ON recordings (call) WHERE call IS NOT NULL;
CREATE INDEX recordings_conference ON recordings (conference) WHERE conference IS NOT NULL;

CREATE TABLE started_recordings_with_lanes (
    sid TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    account TEXT NOT NULL,
    call TEXT,
    conference TEXT,
    created BIGINT NOT NULL
);
INSERT INTO started_recordings_with_lanes
    SELECT sid, instance, account, call, NULL, created FROM started_recordings;
DROP TABLE started_recordings;
ALTER TABLE started_recordings_with_lanes RENAME TO started_recordings;

CREATE TABLE messages_with_lanes (
    sid TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    account TEXT NOT NULL,
    call TEXT,
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
INSERT INTO messages_with_lanes
    SELECT sid, instance, account, call, from_user, to_user, body, direction, status, error_code, reason, created,
        updated, sent, ended, farewell FROM messages;
DROP TABLE messages;
ALTER TABLE messages_with_lanes RENAME TO messages;
CREATE INDEX messages_account ON messages (account, created, sid);
CREATE INDEX messages_call ON messages (call) WHERE call IS NOT NULL;
CREATE INDEX messages_open ON messages (instance) WHERE ended IS NULL;

ALTER TABLE notifications ADD COLUMN lane TEXT;

ALTER TABLE traces RENAME COLUMN call TO lane;
