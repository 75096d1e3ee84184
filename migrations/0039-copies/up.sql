-- The copy of another database into this one: `source` is the first organization there. No server starts here until it is
-- finished. `copied_tables` says how far it has come: rows of the source up to `last_row` are here.
CREATE TABLE copies (
    source TEXT PRIMARY KEY,
    started BIGINT NOT NULL,
    finished BIGINT
);
CREATE TABLE copied_tables (
    name TEXT PRIMARY KEY,
    last_row BIGINT NOT NULL
);
