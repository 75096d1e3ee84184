-- Routes of text messages to the outside. `settings` is JSON that depends on the kind; `secret` is sealed.
CREATE TABLE message_routes (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    from_prefix TEXT NOT NULL,
    to_prefix TEXT NOT NULL,
    price BIGINT NOT NULL,
    on_doubt TEXT NOT NULL,
    settings TEXT NOT NULL,
    secret {{blob}},
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX message_routes_account ON message_routes (account, created, sid);
