-- Queues in which calls wait. A call is in `queue` since `queue_since`; calls that have ended are in none.
CREATE TABLE queues (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    max_size BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX queues_name ON queues (account, name);
ALTER TABLE calls ADD COLUMN queue TEXT;
ALTER TABLE calls ADD COLUMN queue_since BIGINT;
CREATE INDEX calls_queue ON calls (queue, queue_since) WHERE queue IS NOT NULL;
