-- How many participants of open sessions have a number of a pool as their mask, as far as sessions are on record as closed.
ALTER TABLE mask_numbers ADD COLUMN in_use BIGINT NOT NULL DEFAULT 0;
UPDATE mask_numbers SET in_use = (SELECT COUNT(*) FROM mask_participants p WHERE p.mask = mask_numbers.sid AND p.pair IS NOT NULL);
