-- Configurations of extensions; `account` is empty, or the account for which another one applies.
CREATE TABLE extensions (
    sid TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX extensions_name ON extensions (name, account);
