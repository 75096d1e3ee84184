-- Whether a client has an identity for push notifications.
ALTER TABLE clients ADD COLUMN push BIGINT NOT NULL DEFAULT 0;

-- The default order of each list, and the rows of one call or conference. The indexes replaced are their beginnings.
CREATE INDEX clients_by_age ON clients (account, created, sid);
DROP INDEX IF EXISTS clients_account;
CREATE INDEX applications_by_age ON applications (account, created, sid);
DROP INDEX IF EXISTS applications_account;
CREATE INDEX numbers_by_age ON numbers (account, created, sid);
CREATE INDEX queues_by_age ON queues (account, created, sid);
CREATE INDEX accounts_by_age ON accounts (parent, created, sid);
DROP INDEX IF EXISTS accounts_parent;
CREATE INDEX started_recordings_by_age ON started_recordings (account, created, sid);
CREATE INDEX started_recordings_call ON started_recordings (call) WHERE call IS NOT NULL;
CREATE INDEX started_recordings_conference ON started_recordings (conference) WHERE conference IS NOT NULL;
