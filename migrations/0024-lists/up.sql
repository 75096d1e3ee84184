-- Whether a client has an identity for push notifications.
ALTER TABLE clients ADD COLUMN push BIGINT NOT NULL DEFAULT 0;

-- The default order of each list. The indexes replaced are their beginnings.
CREATE INDEX clients_by_age ON clients (account, created, sid);
DROP INDEX IF EXISTS clients_account;
CREATE INDEX applications_by_age ON applications (account, created, sid);
DROP INDEX IF EXISTS applications_account;
CREATE INDEX numbers_by_age ON numbers (account, created, sid);
CREATE INDEX queues_by_age ON queues (account, created, sid);
CREATE INDEX accounts_by_age ON accounts (parent, created, sid);
DROP INDEX IF EXISTS accounts_parent;
CREATE INDEX started_recordings_by_age ON started_recordings (account, created, sid);

-- The rows of one call or conference. Without the account, its index above would be used, and all its rows read.
CREATE INDEX calls_of_parent ON calls (parent, account, created, sid) WHERE parent IS NOT NULL;
DROP INDEX IF EXISTS calls_parent;
CREATE INDEX calls_of_conference ON calls (conference, account, created, sid) WHERE conference IS NOT NULL;
DROP INDEX IF EXISTS calls_by_conference;
CREATE INDEX recordings_of_call ON recordings (call, account, created, sid) WHERE call IS NOT NULL;
DROP INDEX IF EXISTS recordings_call;
CREATE INDEX recordings_of_conference ON recordings (conference, account, created, sid)
    WHERE conference IS NOT NULL;
DROP INDEX IF EXISTS recordings_conference;
CREATE INDEX started_recordings_of_call ON started_recordings (call, account, created, sid)
    WHERE call IS NOT NULL;
CREATE INDEX started_recordings_of_conference ON started_recordings (conference, account, created, sid)
    WHERE conference IS NOT NULL;
CREATE INDEX notifications_of_call ON notifications (call, account, created, sid) WHERE call IS NOT NULL;
DROP INDEX IF EXISTS notifications_call;
