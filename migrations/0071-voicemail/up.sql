-- Voicemail boxes, and what their owners have set (`settings`, JSON). `pin` is a keyed digest.
CREATE TABLE voicemail_boxes (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    client TEXT,
    pin TEXT,
    settings TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX voicemail_boxes_name ON voicemail_boxes (account, name);
CREATE INDEX voicemail_boxes_account ON voicemail_boxes (account, created, sid);
CREATE INDEX voicemail_boxes_client ON voicemail_boxes (account, client);
-- Their messages. `sid` has the digits of the recording.
CREATE TABLE voicemail_messages (
    sid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    mailbox TEXT NOT NULL,
    call TEXT,
    recording TEXT,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    ready BIGINT NOT NULL,
    duration_s BIGINT NOT NULL,
    transcript TEXT,
    to_transcribe BIGINT NOT NULL,
    mail_due BIGINT,
    email TEXT,
    delete_after_mail BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    heard BIGINT
);
CREATE INDEX voicemail_messages_of_box ON voicemail_messages (account, mailbox, created, sid);
CREATE INDEX voicemail_messages_of_state ON voicemail_messages (mailbox, state, created, sid);
CREATE INDEX voicemail_messages_of_person ON voicemail_messages (account, source);
-- What is still to be done: few rows at any time.
CREATE INDEX voicemail_messages_pending ON voicemail_messages (created) WHERE state = 'pending';
CREATE INDEX voicemail_messages_mail ON voicemail_messages (mail_due) WHERE mail_due IS NOT NULL;
CREATE INDEX voicemail_messages_transcribe ON voicemail_messages (created) WHERE to_transcribe = 1;
CREATE INDEX voicemail_messages_delete ON voicemail_messages (email) WHERE delete_after_mail = 1;
CREATE INDEX voicemail_messages_left ON voicemail_messages (created) WHERE state IN ('empty', 'replaced') AND recording IS NOT NULL;
