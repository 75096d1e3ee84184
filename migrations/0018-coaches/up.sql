-- The only call in the conference that hears this one.
ALTER TABLE calls ADD COLUMN conference_coaches TEXT;
