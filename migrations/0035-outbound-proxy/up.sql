-- Whether calls to numbers take the second trunk instead of the first: at most one row, whose `id` is 1.
CREATE TABLE outbound_proxy (
    id BIGINT PRIMARY KEY,
    on_fallback BIGINT NOT NULL
);
