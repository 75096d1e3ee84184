-- Records about where devices are. `content` has the values as they were sent, as JSON.
CREATE TABLE geolocations (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    status TEXT NOT NULL,
    cause TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX geolocations_account ON geolocations (account, created, sid);
