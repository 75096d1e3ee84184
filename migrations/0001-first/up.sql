-- Times are microseconds since 1970 UTC. Identifiers are their texts. Booleans are 0 and 1.

CREATE TABLE instances (
    sid TEXT PRIMARY KEY,
    started BIGINT NOT NULL,
    last_alive BIGINT NOT NULL
);

CREATE TABLE organizations (
    sid TEXT PRIMARY KEY,
    domain_name TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX organizations_domain ON organizations (domain_name);

CREATE TABLE accounts (
    sid TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    parent TEXT,
    friendly_name TEXT NOT NULL,
    email TEXT NOT NULL,
    status TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT,
    auth_token {{blob}} NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX accounts_email ON accounts (email);
CREATE INDEX accounts_parent ON accounts (parent);
CREATE INDEX accounts_organization ON accounts (organization);

CREATE TABLE clients (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    organization TEXT NOT NULL,
    friendly_name TEXT NOT NULL,
    login TEXT NOT NULL,
    ha1_md5 TEXT NOT NULL,
    ha1_sha256 TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    voice_application TEXT,
    voice_url TEXT,
    voice_method TEXT,
    voice_fallback_url TEXT,
    voice_fallback_method TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX clients_login ON clients (organization, login);
CREATE INDEX clients_account ON clients (account, created);

CREATE TABLE applications (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    friendly_name TEXT NOT NULL,
    api_version TEXT NOT NULL,
    voice_caller_id_lookup BIGINT NOT NULL,
    rcml_url TEXT,
    kind TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX applications_account ON applications (account, created);

CREATE TABLE numbers (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    organization TEXT NOT NULL,
    friendly_name TEXT NOT NULL,
    phone_number TEXT NOT NULL,
    pure_sip BIGINT NOT NULL,
    is_public BIGINT NOT NULL,
    voice_application TEXT,
    voice_url TEXT,
    voice_method TEXT,
    voice_fallback_url TEXT,
    voice_fallback_method TEXT,
    status_callback TEXT,
    status_callback_method TEXT,
    voice_caller_id_lookup BIGINT NOT NULL,
    extra TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX numbers_number ON numbers (organization, phone_number);
CREATE INDEX numbers_exact ON numbers (phone_number);
CREATE INDEX numbers_account ON numbers (account);
CREATE INDEX numbers_application ON numbers (voice_application);

CREATE TABLE calls (
    sid TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    parent TEXT,
    account TEXT NOT NULL,
    to_user TEXT NOT NULL,
    from_user TEXT NOT NULL,
    number TEXT,
    status TEXT NOT NULL,
    direction TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    started BIGINT,
    answered BIGINT,
    ended BIGINT,
    duration_s BIGINT,
    ring_duration_s BIGINT,
    answered_by TEXT,
    forwarded_from TEXT,
    caller_name TEXT,
    reason TEXT,
    sip_status BIGINT,
    sip_call_id TEXT,
    muted BIGINT NOT NULL,
    dialog TEXT
);
CREATE INDEX calls_account ON calls (account, created, sid);
CREATE INDEX calls_parent ON calls (parent) WHERE parent IS NOT NULL;
CREATE INDEX calls_open ON calls (instance) WHERE ended IS NULL;

CREATE TABLE recordings (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    call TEXT NOT NULL,
    duration_ms BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX recordings_account ON recordings (account, created, sid);
CREATE INDEX recordings_call ON recordings (call);

CREATE TABLE notifications (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    call TEXT,
    level BIGINT NOT NULL,
    code BIGINT NOT NULL,
    message TEXT NOT NULL,
    request_url TEXT,
    request_method TEXT,
    line BIGINT,
    col BIGINT,
    created BIGINT NOT NULL
);
CREATE INDEX notifications_account ON notifications (account, created, sid);
CREATE INDEX notifications_call ON notifications (call) WHERE call IS NOT NULL;

-- How many rows an account has in the long tables, kept with each insert and delete.
CREATE TABLE counters (
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (account, kind)
);

-- Callbacks on their way: `state` is pending, delivered or dead.
CREATE TABLE outbox (
    event TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    account TEXT NOT NULL,
    call TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    url TEXT NOT NULL,
    method TEXT NOT NULL,
    params TEXT NOT NULL,
    created BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT,
    http_status BIGINT
);
CREATE INDEX outbox_pending ON outbox (owner) WHERE state = 'pending';
CREATE INDEX outbox_done ON outbox (created) WHERE state <> 'pending';
CREATE INDEX outbox_call ON outbox (call, sequence);

CREATE TABLE traces (
    call TEXT PRIMARY KEY,
    content {{blob}} NOT NULL
);

-- Registered phones, for the next process: `content` is a list as JSON.
CREATE TABLE bindings (
    organization TEXT NOT NULL,
    login TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (organization, login)
);
