-- E-mails. `due` is when to try next; null once the mail was sent or has failed. `attempts` counts those begun: what
-- an attempt reports is stored only while its number is the last. `holder` is the server that made the last one.
CREATE TABLE emails (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    call TEXT,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    cc TEXT NOT NULL,
    bcc TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    html BIGINT NOT NULL,
    recordings TEXT NOT NULL,
    status TEXT NOT NULL,
    error_code BIGINT,
    reason TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    sent BIGINT,
    due BIGINT,
    attempts BIGINT NOT NULL,
    holder TEXT
);
CREATE INDEX emails_account ON emails (account, created, sid);
CREATE INDEX emails_due ON emails (due) WHERE due IS NOT NULL;
