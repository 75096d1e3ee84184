-- Services that send codes, and what they allow (`settings`, JSON).
CREATE TABLE verify_services (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX verify_services_account ON verify_services (account, created, sid);
-- Verifications. `digest` is a keyed digest of the code. `open` is the service and recipient of one that is pending, so
-- that there is only one; null at its end.
CREATE TABLE verifications (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    service TEXT NOT NULL,
    recipient TEXT NOT NULL,
    channel TEXT NOT NULL,
    status TEXT NOT NULL,
    digest TEXT NOT NULL,
    sends BIGINT NOT NULL,
    checks BIGINT NOT NULL,
    max_checks BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    open TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX verifications_open ON verifications (open);
CREATE INDEX verifications_created ON verifications (created, sid);
-- Codes that were sent. `block` is the beginning of the recipient's number.
CREATE TABLE verify_attempts (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    service TEXT NOT NULL,
    verification TEXT NOT NULL,
    recipient TEXT NOT NULL,
    channel TEXT NOT NULL,
    block TEXT NOT NULL,
    network TEXT,
    is_confirmed BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX verify_attempts_account ON verify_attempts (account, created, sid);
CREATE INDEX verify_attempts_service ON verify_attempts (service, created);
CREATE INDEX verify_attempts_recipient ON verify_attempts (service, recipient, created);
CREATE INDEX verify_attempts_block ON verify_attempts (service, block, created);
CREATE INDEX verify_attempts_network ON verify_attempts (service, network, created);
CREATE INDEX verify_attempts_verification ON verify_attempts (verification);
CREATE INDEX verify_attempts_created ON verify_attempts (created, sid);
-- Limits that an application counts by a value of its own, such as the address of its user.
CREATE TABLE verify_limits (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX verify_limits_name ON verify_limits (service, name);
CREATE TABLE verify_buckets (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    rate_limit TEXT NOT NULL,
    max_sends BIGINT NOT NULL,
    period_s BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX verify_buckets_limit ON verify_buckets (rate_limit, created, sid);
-- Codes sent for a value (only its digest is kept) in a period of a bucket.
CREATE TABLE verify_hits (
    bucket TEXT NOT NULL,
    value TEXT NOT NULL,
    period BIGINT NOT NULL,
    n BIGINT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (bucket, value, period)
);
CREATE INDEX verify_hits_created ON verify_hits (created);
-- Numbers to which the limits of groups do not apply.
CREATE TABLE verify_safe (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    phone_number TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX verify_safe_number ON verify_safe (account, phone_number);
