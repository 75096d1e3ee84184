-- Services that mask numbers, and what they allow (`settings`, JSON).
CREATE TABLE mask_services (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX mask_services_name ON mask_services (account, name);
CREATE INDEX mask_services_account ON mask_services (account, created, sid);
-- The numbers of their pools. `sid` is that of the account's number, so a number is in at most one pool.
CREATE TABLE mask_numbers (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    service TEXT NOT NULL,
    phone_number TEXT NOT NULL,
    is_reserved BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX mask_numbers_list ON mask_numbers (account, service, created, sid);
CREATE INDEX mask_numbers_service ON mask_numbers (service);
-- Sessions. `expires` is when one ends unless something happens in it.
CREATE TABLE mask_sessions (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    service TEXT NOT NULL,
    name TEXT,
    status TEXT NOT NULL,
    mode TEXT NOT NULL,
    ttl_s BIGINT NOT NULL,
    expiry BIGINT,
    interactions BIGINT NOT NULL,
    started BIGINT,
    last BIGINT,
    ended BIGINT,
    reason TEXT,
    expires BIGINT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX mask_sessions_name ON mask_sessions (service, name);
CREATE INDEX mask_sessions_list ON mask_sessions (account, service, created, sid);
CREATE INDEX mask_sessions_expires ON mask_sessions (expires) WHERE status <> 'closed';
CREATE INDEX mask_sessions_ended ON mask_sessions (ended) WHERE ended IS NOT NULL;
-- Participants. `pair` is the mask and the real number while the session is open, so that no call has two meanings; null from
-- its end on.
CREATE TABLE mask_participants (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    service TEXT NOT NULL,
    session TEXT NOT NULL,
    phone_number TEXT NOT NULL,
    name TEXT NOT NULL,
    mask TEXT NOT NULL,
    mask_number TEXT NOT NULL,
    pin TEXT NOT NULL,
    pair TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX mask_participants_pair ON mask_participants (pair);
CREATE INDEX mask_participants_session ON mask_participants (session, created, sid);
CREATE INDEX mask_participants_mask ON mask_participants (mask) WHERE pair IS NOT NULL;
CREATE INDEX mask_participants_number ON mask_participants (phone_number, mask, created);
-- Calls and texts between participants. They hold no numbers; `inbound` and `outbound` are calls or messages.
CREATE TABLE mask_interactions (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    service TEXT NOT NULL,
    session TEXT NOT NULL,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    inbound TEXT NOT NULL,
    inbound_status TEXT,
    outbound TEXT,
    outbound_status TEXT,
    state TEXT NOT NULL,
    duration_s BIGINT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    ended BIGINT
);
CREATE INDEX mask_interactions_list ON mask_interactions (account, session, created, sid);
CREATE INDEX mask_interactions_session ON mask_interactions (session);
CREATE INDEX mask_interactions_open ON mask_interactions (created, sid) WHERE ended IS NULL;
