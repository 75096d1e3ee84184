-- Texts of recordings.
CREATE TABLE transcriptions (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    recording TEXT NOT NULL,
    status TEXT NOT NULL,
    duration_s BIGINT,
    content TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX transcriptions_account ON transcriptions (account, created, sid);
CREATE INDEX transcriptions_recording ON transcriptions (recording, created);
