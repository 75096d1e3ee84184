-- Changes made through the API. `login` is the SID of an API key, or null for a token or password.
CREATE TABLE audit (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    actor TEXT NOT NULL,
    login TEXT,
    source TEXT NOT NULL,
    request TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    before TEXT,
    after TEXT,
    created BIGINT NOT NULL
);
CREATE INDEX audit_account ON audit (account, created, sid);
CREATE INDEX audit_created ON audit (created, sid);
