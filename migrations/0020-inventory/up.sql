-- Numbers that the operator has to sell; one is free while no row of `numbers` has it. `national` is the number
-- without its country code. Coordinates are millionths of a degree.
CREATE TABLE inventory (
    phone_number TEXT PRIMARY KEY,
    country TEXT NOT NULL,
    kind TEXT NOT NULL,
    national TEXT NOT NULL,
    region TEXT,
    locality TEXT,
    rate_center TEXT,
    lata TEXT,
    postal_code TEXT,
    latitude_e6 BIGINT,
    longitude_e6 BIGINT,
    voice BIGINT NOT NULL,
    sms BIGINT NOT NULL,
    mms BIGINT NOT NULL,
    fax BIGINT NOT NULL,
    ussd BIGINT NOT NULL,
    cost TEXT
);
CREATE INDEX inventory_search ON inventory (country, kind, phone_number);
CREATE INDEX inventory_area ON inventory (country, national);

-- Numbers that are ordered, held or to be released at a carrier: `state` is ordering, held or releasing. One that
-- is not held is due at `due`; an order that is due then was interrupted.
CREATE TABLE number_orders (
    phone_number TEXT PRIMARY KEY,
    number TEXT NOT NULL,
    account TEXT NOT NULL,
    state TEXT NOT NULL,
    due BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);
CREATE INDEX number_orders_number ON number_orders (number);
CREATE INDEX number_orders_account ON number_orders (account);
CREATE INDEX number_orders_due ON number_orders (due) WHERE state <> 'held';
