-- Keys that an account gives to programs. `permissions` is empty for all that the account has; `secret` is a digest.
CREATE TABLE api_keys (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    secret TEXT NOT NULL,
    permissions TEXT NOT NULL,
    expires BIGINT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX api_keys_account ON api_keys (account, created, sid);
