-- What applications must be told when a leg is closed after a crash, as JSON.
ALTER TABLE calls ADD COLUMN farewell TEXT;

-- Recordings whose files are not known to be complete.
CREATE TABLE started_recordings (
    sid TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    account TEXT NOT NULL,
    call TEXT NOT NULL,
    created BIGINT NOT NULL
);
