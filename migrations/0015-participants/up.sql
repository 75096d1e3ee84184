-- `farewell` of a conference is what applications must be told if its server dies, as JSON. The others are what
-- a call is in its conference, beside `conference_starts` and `conference_ends`.
ALTER TABLE conferences ADD COLUMN farewell TEXT;
ALTER TABLE calls ADD COLUMN conference_joined BIGINT;
ALTER TABLE calls ADD COLUMN conference_hold BIGINT;
ALTER TABLE calls ADD COLUMN conference_label TEXT;
