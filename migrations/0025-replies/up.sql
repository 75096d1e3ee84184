-- Answers to requests with an Idempotency-Key, for a day. `reply` is null while the first request is carried out.
CREATE TABLE replies (
    account TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    claim TEXT NOT NULL,
    created BIGINT NOT NULL,
    reply {{blob}},
    PRIMARY KEY (account, route, key)
);
CREATE INDEX replies_account ON replies (account, created);
CREATE INDEX replies_created ON replies (created);
