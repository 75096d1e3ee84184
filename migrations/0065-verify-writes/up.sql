-- Identifiers of the guesses that were counted and of the end, one after the other: a write that is repeated because its
-- confirmation was lost finds its own.
ALTER TABLE verifications ADD COLUMN writes TEXT NOT NULL DEFAULT '';
