-- Organizations have a status, and are listed.
ALTER TABLE organizations ADD COLUMN status TEXT NOT NULL DEFAULT 'active';
ALTER TABLE organizations ADD COLUMN updated BIGINT NOT NULL DEFAULT 0;
CREATE INDEX organizations_created ON organizations (created, sid);
