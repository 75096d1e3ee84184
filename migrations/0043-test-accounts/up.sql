-- Whether an account is for testing: the numbers that it calls are those of test mode.
ALTER TABLE accounts ADD COLUMN is_test BIGINT NOT NULL DEFAULT 0;
