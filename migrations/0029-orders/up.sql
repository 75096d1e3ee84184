-- The rows of a list that is sorted by something other than age. Texts are compared by bytes; of long ones, the index has
-- the beginning.
CREATE INDEX calls_in_order_of_from ON calls (account, SUBSTR(from_user, 1, 64){{by bytes}}, created, sid);
CREATE INDEX calls_in_order_of_to ON calls (account, SUBSTR(to_user, 1, 64){{by bytes}}, created, sid);
CREATE INDEX calls_in_order_of_direction ON calls (account, direction{{by bytes}}, created, sid);
CREATE INDEX calls_in_order_of_duration ON calls (account, COALESCE(duration_s, -1), created, sid);
CREATE INDEX messages_in_order_of_from ON messages (account, SUBSTR(from_user, 1, 64){{by bytes}}, created, sid);
CREATE INDEX messages_in_order_of_to ON messages (account, SUBSTR(to_user, 1, 64){{by bytes}}, created, sid);
CREATE INDEX messages_in_order_of_direction ON messages (account, direction{{by bytes}}, created, sid);
CREATE INDEX notifications_in_order_of_level ON notifications (account, level, created, sid);
CREATE INDEX recordings_in_order_of_duration ON recordings (account, duration_ms, created, sid);
