-- Who was turned away before a call or registration began, counted by source, reason and name.
CREATE TABLE refusals (
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    name TEXT NOT NULL,
    n BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (source, reason, name)
);
CREATE INDEX refusals_last ON refusals (last_at);
