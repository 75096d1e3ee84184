-- How many participants of open sessions have a number of a pool as their mask, as far as sessions are on record as closed.
ALTER TABLE mask_numbers ADD COLUMN in_use BIGINT NOT NULL DEFAULT 0;
UPDATE mask_numbers SET in_use = (SELECT COUNT(*) FROM mask_participants p WHERE p.mask = mask_numbers.sid AND p.pair IS NOT NULL);
-- Closed sessions by service, to delete the old ones.
CREATE INDEX mask_sessions_old ON mask_sessions (service, ended) WHERE ended IS NOT NULL;
-- When someone asked for a waiting callback to be dropped, which the server that has it in memory does.
ALTER TABLE outbox ADD COLUMN dropped BIGINT;
CREATE INDEX outbox_dropped ON outbox (owner, lane, sequence, event) WHERE state = 'pending' AND dropped IS NOT NULL;
