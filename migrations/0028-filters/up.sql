-- The rows of a list that a filter selects, in the default order. `{{last four of …}}` is an expression: the last four
-- characters in lower case. Columns after `sid` are those of a filter, so that rows that do not match are not read;
-- `{{, …}}` is one that may be too long for an index of some databases, and is left out there.
CREATE INDEX calls_by_status ON calls (account, status{{by bytes}}, created, sid);
CREATE INDEX calls_by_to ON calls (account, {{last four of to_user}}, created, sid{{, to_user}});
CREATE INDEX calls_by_from ON calls (account, {{last four of from_user}}, created, sid{{, from_user}});
CREATE INDEX messages_by_status ON messages (account, status{{by bytes}}, created, sid);
CREATE INDEX messages_by_to ON messages (account, {{last four of to_user}}, created, sid{{, to_user}});
CREATE INDEX messages_by_from ON messages (account, {{last four of from_user}}, created, sid{{, from_user}});
CREATE INDEX notifications_by_code ON notifications (account, code, created, sid);
CREATE INDEX conferences_by_status ON conferences (account, status, created, sid);
CREATE INDEX conferences_by_name ON conferences (account, SUBSTR(name, 1, 64), created, sid);
CREATE INDEX outbox_by_state ON outbox (account, state, created, sequence, event);
CREATE INDEX outbox_by_call ON outbox (call, created, sequence, event);

-- Few rows with other times than that of creation, and many of them in the default order.
CREATE INDEX calls_by_start ON calls (account, started);
CREATE INDEX calls_by_end ON calls (account, ended);
CREATE INDEX calls_by_age ON calls (account, created, sid, started, ended);
DROP INDEX IF EXISTS calls_account;
CREATE INDEX messages_by_sending ON messages (account, sent);
CREATE INDEX messages_by_age ON messages (account, created, sid, sent);
DROP INDEX IF EXISTS messages_account;
CREATE INDEX conferences_by_update ON conferences (account, updated);
