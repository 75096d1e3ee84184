-- Trunks that are defined through the API. `password` is sealed; `ttl` is in seconds.
CREATE TABLE gateways (
    sid TEXT PRIMARY KEY,
    friendly_name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    password {{blob}} NOT NULL,
    proxy TEXT NOT NULL,
    register BIGINT NOT NULL,
    ttl BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
