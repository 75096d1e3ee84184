-- What the API has done to a recording in progress, or that it has failed; and when.
ALTER TABLE started_recordings ADD COLUMN status TEXT NOT NULL DEFAULT 'in-progress';
ALTER TABLE started_recordings ADD COLUMN updated BIGINT;
