-- Undelivered callbacks are read in pages, in the order of the index.
DROP INDEX outbox_pending;
CREATE INDEX outbox_pending ON outbox (owner, call, sequence, event) WHERE state = 'pending';
