-- Numbers that an account has shown to be its own.
CREATE TABLE caller_ids (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    friendly_name TEXT NOT NULL,
    phone_number TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX caller_ids_number ON caller_ids (account, phone_number);
CREATE INDEX caller_ids_account ON caller_ids (account, created, sid);
