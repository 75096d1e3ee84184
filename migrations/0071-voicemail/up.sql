-- Temporary: only what counting the messages of a client needs, until the tables of voicemail are here.
CREATE TABLE voicemail_boxes (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    client TEXT
);
CREATE INDEX voicemail_boxes_client ON voicemail_boxes (account_sid, client);
CREATE TABLE voicemail_messages (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    box_sid TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE INDEX voicemail_messages_box ON voicemail_messages (box_sid, state);
