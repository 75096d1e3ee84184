CREATE TABLE conferences (
    sid TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    started BIGINT,
    ended BIGINT,
    reason TEXT
);
CREATE INDEX conferences_by_account ON conferences (account, created, sid);
CREATE INDEX conferences_open ON conferences (instance) WHERE ended IS NULL;

ALTER TABLE calls ADD COLUMN conference TEXT;
ALTER TABLE calls ADD COLUMN conference_starts BIGINT;
ALTER TABLE calls ADD COLUMN conference_ends BIGINT;
CREATE INDEX calls_by_conference ON calls (conference) WHERE conference IS NOT NULL;
