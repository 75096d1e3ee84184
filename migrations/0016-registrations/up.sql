-- Registered phones, for the next start of the server that they are registered with: `server` names its data folder,
-- `content` is a list as JSON, `expires` is when the last one of the list expires. It replaces `bindings`, which had one
-- row for all servers. Rows from there have no `server` yet: the first server to start takes them.
CREATE TABLE registrations (
    organization TEXT NOT NULL,
    login TEXT NOT NULL,
    server TEXT NOT NULL,
    content TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (organization, login, server)
);
CREATE INDEX registrations_expires ON registrations (expires);
INSERT INTO registrations
    SELECT organization, login, '', content, 9223372036854775807 FROM bindings;
