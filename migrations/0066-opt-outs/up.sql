-- Who does not want texts from which number of an account. `recipient` is in one spelling (model::opt_out), or its signature after
-- the person's data was erased; `keyword` is what the person wrote, null if the API added it.
CREATE TABLE opt_outs (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    number TEXT NOT NULL,
    recipient TEXT NOT NULL,
    keyword TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX opt_outs_pair ON opt_outs (account, number, recipient);
CREATE INDEX opt_outs_account ON opt_outs (account, created, sid);
-- What an account does with keywords: null is the default, an empty reply is none.
CREATE TABLE opt_out_settings (
    account TEXT PRIMARY KEY,
    keywords BIGINT,
    stop_reply TEXT,
    start_reply TEXT,
    help_reply TEXT,
    updated BIGINT NOT NULL
);
