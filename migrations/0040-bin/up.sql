-- What was deleted and can be restored: `content` is its row, and those that went with it, as JSON. `created` is when it was
-- deleted, `name` what its users call it.
CREATE TABLE bin (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX bin_account ON bin (account, created, sid);
CREATE INDEX bin_kind ON bin (kind, created, sid);
CREATE INDEX bin_name ON bin (name);
