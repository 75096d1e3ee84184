-- What made a recording, how many channels it has, and the callback that is due when it ends.
ALTER TABLE recordings ADD COLUMN source TEXT NOT NULL DEFAULT 'DialVerb';
ALTER TABLE recordings ADD COLUMN channels BIGINT NOT NULL DEFAULT 1;
ALTER TABLE started_recordings ADD COLUMN source TEXT NOT NULL DEFAULT 'DialVerb';
ALTER TABLE started_recordings ADD COLUMN channels BIGINT NOT NULL DEFAULT 1;
ALTER TABLE started_recordings ADD COLUMN farewell TEXT;
