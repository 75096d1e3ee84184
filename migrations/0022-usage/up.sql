-- What each account used on each day, counted from 1970-01-01 UTC, kept in the transaction that ends a call or adds
-- a message or recording. `minutes` is the sum of durations that are each rounded up.
CREATE TABLE usage_days (
    account TEXT NOT NULL,
    day BIGINT NOT NULL,
    category TEXT NOT NULL,
    n BIGINT NOT NULL,
    seconds BIGINT NOT NULL,
    minutes BIGINT NOT NULL,
    PRIMARY KEY (account, day, category)
);
INSERT INTO usage_days (account, day, category, n, seconds, minutes)
    SELECT account, ended / 86400000000,
        CASE WHEN direction = 'inbound' THEN 'calls-inbound' ELSE 'calls-outbound' END,
        COUNT(*), CAST(COALESCE(SUM(duration_s), 0) AS BIGINT),
        CAST(COALESCE(SUM((duration_s + 59) / 60), 0) AS BIGINT)
    FROM calls WHERE ended IS NOT NULL GROUP BY 1, 2, 3;
INSERT INTO usage_days (account, day, category, n, seconds, minutes)
    SELECT account, created / 86400000000,
        'sms-outbound', COUNT(*), 0, 0
    FROM messages GROUP BY 1, 2;
INSERT INTO usage_days (account, day, category, n, seconds, minutes)
    SELECT account, created / 86400000000, 'recordings',
        COUNT(*), CAST(SUM(duration_ms / 1000) AS BIGINT),
        CAST(SUM((duration_ms / 1000 + 59) / 60) AS BIGINT)
    FROM recordings GROUP BY 1, 2;
