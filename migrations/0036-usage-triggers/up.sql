-- Callbacks at a value of what an account used. `watched_from` is the first day, counted from 1970-01-01, of what is
-- watched; it is empty once a trigger that does not recur has fired.
CREATE TABLE usage_triggers (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    author TEXT NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    trigger_by TEXT NOT NULL,
    recurring TEXT NOT NULL,
    value BIGINT NOT NULL,
    callback_url TEXT NOT NULL,
    callback_method TEXT NOT NULL,
    dialect TEXT NOT NULL,
    watched_from BIGINT,
    fired BIGINT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX usage_triggers_account ON usage_triggers (account, created, sid);
CREATE INDEX usage_triggers_watched ON usage_triggers (account, created, sid) WHERE watched_from IS NOT NULL;
