//! The table of numbered problems, used by notifications, findings and API errors.
//!
//! `docs/errors.md` is generated from it. **Invariant: a number never changes its meaning**; rows
//! are added, never renumbered. 11001 was never used; it stays reserved.

/// How serious a problem is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Usually something that could not be done, or that Patchcord does not support.
    Error,
    /// A doubtful value or an empty element, which was replaced, ignored or skipped.
    Warning,
}

impl Level {
    /// Number used by the API: 0 error, 1 warning.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Error => 0,
            Self::Warning => 1,
        }
    }

    /// `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorEntry {
    /// Name of its constant.
    pub name: &'static str,
    /// Number.
    pub code: u16,
    /// How serious it is.
    pub level: Level,
    /// Description of the problem.
    pub text: &'static str,
    /// How to fix it.
    pub advice: &'static str,
    /// HTTP status when the API answers with it; 0 if it never does.
    pub http_status: u16,
}

macro_rules! table {
    ($($name:ident = $code:literal, $level:ident, $status:literal, $text:literal, $advice:literal;)+) => {
        $(#[doc = $text] pub const $name: u16 = $code;)+

        /// All rows, ordered by number.
        pub const TABLE: &[ErrorEntry] = &[
            $(ErrorEntry {
                name: stringify!($name),
                code: $code,
                level: Level::$level,
                text: $text,
                advice: $advice,
                http_status: $status,
            },)+
        ];
    };
}

table! {
    MASK_NAME_TAKEN = 461, Error, 409, "Number masking: another service of the account, or another session of the service, has this name.", "Choose another name, or use the existing service or session.";
    NO_HANDLER = 11005, Error, 0, "Nothing handles this call: the called number or client does not exist here, or one of the accounts (that of the called number or client, or that of the calling client) is not active.", "Create the number or client, or reactivate its account.";
    NO_APPLICATION = 11007, Error, 0, "The number has no voice application, or the application set on the number or on the calling client has no address, was deleted or may not be used.", "Set VoiceUrl or VoiceApplicationSid on the number. If an application is set already, give that application a VoiceUrl or choose another one: it takes precedence over the VoiceUrl of the number or client.";
    UNREACHABLE_TARGET = 11008, Error, 400, "The dialled client is unknown or not registered, or no trunk is configured for numbers.", "Check that the phone is registered, or configure a trunk.";
    BAD_URI = 11100, Error, 400, "An address in a document or parameter is not valid.", "Write an absolute http or https address (ws or wss for a Stream or ConversationRelay), or one relative to the document.";
    TOO_MANY_REDIRECTS = 11101, Error, 0, "There were too many redirects: `Redirect` verbs or HTTP redirects.", "Check the documents and redirects for a loop.";
    ADDRESS_REFUSED = 11110, Error, 400, "The account may not reach the address: it is private, local or otherwise forbidden.", "Use a public address, or ask the operator to allow it (`fetch.allow_private`, `sip.allow_private`; for a link-local or metadata address `fetch.allow_addresses`).";
    DOCUMENT_TOO_LARGE = 11120, Error, 0, "The application's response is larger than allowed.", "Send a smaller document.";
    FETCH_IO = 11205, Error, 0, "The application could not be reached.", "Check that the web server is running and that the address is correct.";
    FETCH_PROTOCOL = 11206, Error, 0, "The application's response cannot be used.", "Check what the web server sends; it must answer with status 200.";
    NO_MESSAGE_APPLICATION = 12003, Warning, 0, "A text message was refused: the number that it was sent to has no application for messages, or that application has no address, was deleted or may not be used.", "Set SmsUrl or SmsApplicationSid on the number. If an application is set already, give that application an address or choose another one: it takes precedence over the SmsUrl of the number.";
    DOCUMENT_PARSE = 12100, Error, 0, "The response is not a document that can run: it is empty, HTML, not well-formed XML, too long or too deeply nested, or it has a document type declaration.", "See the text for the reason, and the line and column if they are given.";
    UNKNOWN_VERB = 12200, Error, 0, "The document has an element that is not a verb. It was skipped or, if it is the root, its content was run anyway; the text says which.", "Check the spelling; names are case-sensitive.";
    UNKNOWN_ATTRIBUTE = 12201, Warning, 0, "The verb has an unknown attribute; it was ignored.", "Check the spelling; names are case-sensitive.";
    BAD_NESTING = 12202, Error, 0, "The element or text does not belong inside its parent; it was skipped.", "Move it to where it is allowed.";
    BAD_VALUE = 12203, Warning, 0, "The attribute's value is not allowed. The text says what was used instead: false if the attribute takes true or false, otherwise usually the default.", "Use one of the values that the documentation lists.";
    NOT_BUILT = 12204, Error, 0, "The verb, noun or attribute is not supported by this server; it was skipped or replaced, as the text says.", "Remove it, or use the alternative named in the text, if there is one.";
    UNREACHABLE = 12205, Warning, 0, "A verb of the document can never run, because an earlier one never ends, or ends the call or the document; or a Reject has no effect, because an earlier verb answers the call.", "Remove it, or move it before that verb.";
    REPAIRED = 12206, Warning, 0, "The document is not quite well-formed XML; it was repaired.", "Correct it as the text says: other servers and tools may reject it.";
    ENCODING = 12207, Warning, 0, "The document's encoding is unknown, or some of its bytes are not valid in it.", "Send UTF-8, or name the right encoding in the content type or the XML declaration.";
    EMPTY_DOCUMENT = 12208, Warning, 0, "The document has no verb that answers the call; a call that is not answered yet would be refused.", "Add a verb such as Say, unless the document only ends a call or accepts one that was screened.";
    MORE_FINDINGS = 12209, Warning, 0, "There are more findings in the documents than are listed.", "Fix the listed findings, then check the documents again with `patchcord lint`.";
    NO_PARTNER = 12210, Warning, 0, "The attribute has no effect: it depends on another attribute, which is missing or has a value that rules this one out.", "Add or change the attribute that the text names, or remove this one.";
    BAD_CONTENT_TYPE = 12300, Error, 0, "The application's response has a content type that is not a document type.", "Send text/xml; for a sound, its audio type.";
    XML_AS_TEXT = 12301, Warning, 0, "The application's response looks like a document but has the content type text/plain; it was read aloud.", "Send it as text/xml.";
    INTERNAL = 12400, Error, 500, "An internal failure ended the call or the request.", "Report it, with the trace of the call or the log of the server.";
    DIAL_METHOD = 13210, Warning, 0, "Dial: the method is neither GET nor POST; POST was used.", "Write GET or POST.";
    DIAL_TIMEOUT = 13212, Warning, 0, "Dial: the timeout is not a positive whole number of seconds; 30 was used.", "Write a positive whole number of seconds.";
    DIAL_CALLER_ID = 13214, Warning, 0, "Dial: the caller id cannot be used; the caller's own was used.", "Write a phone number, a client name or a SIP address.";
    DIAL_TIME_LIMIT = 13216, Warning, 0, "Dial: the time limit is not a positive whole number of seconds; 14400 was used.", "Write a positive whole number of seconds.";
    DIAL_NOBODY = 13220, Warning, 0, "Dial: no party to call is named; it was skipped.", "Write a number as its text, or put Number, Client, Sip, Conference or Queue inside.";
    DIAL_HEADERS = 13221, Warning, 0, "Dial or Refer: a header of the address is too long or has forbidden characters; it was left out.", "Keep names and values short, without line breaks.";
    DIAL_TOO_MANY = 13222, Warning, 0, "Dial: there are more parties or phones than can be called at the same time; the rest were not called.", "Call fewer parties, or call the rest in another Dial.";
    DIAL_CALLBACK = 13223, Warning, 0, "Dial: the status callback's address, method or events are not valid.", "Write an http address, GET or POST, and events that the documentation lists for the noun: for example answered and completed, or start and end for a conference.";
    DIAL_MISTAKEN = 13224, Warning, 0, "Dial: the text of a Number is not a number, or that of a Sip is a single word; it was called as a number or host.", "Put Client around the login of a client.";
    CONFERENCE_NAME = 13225, Warning, 0, "Conference: no room is named, or its name is too long or has control characters; the call did not join.", "Write the name as its text, at most 254 characters.";
    CONFERENCE_SIZE = 13226, Warning, 0, "Conference: the maximum number of participants is not a whole number from 1 to 250; 250 was used for a greater number, 40 for anything else.", "Write a number from 1 to 250.";
    CONFERENCE_FULL = 13227, Warning, 0, "Conference: the room has as many participants as the document allows; the call did not join.", "Raise maxParticipants, or send the caller elsewhere with the next verb.";
    CONFERENCE_FAILED = 13228, Error, 0, "Conference: the room is not available; the call did not join.", "The server cannot write its records, or is stopping; see its log.";
    SCREENING_DIAL = 13229, Error, 0, "Dial: a screening document has Dial, Enqueue or Refer; the party that heard it was not connected.", "End the document to connect the two, or hang up to decline.";
    SCREENING_TOO_LONG = 13230, Warning, 0, "Dial: a dialled party did not decide within 60 seconds whether to take the call; it was not connected.", "Ask for a key with a short timeout, and hang up if none comes.";
    MEDIA_DOWNLOAD = 13233, Error, 0, "A media file could not be fetched or cannot be played.", "Check the address; the file must be WAV, MP3 or Ogg Vorbis.";
    MEDIA_METHOD = 13234, Warning, 0, "The method for a media address is neither GET nor POST; POST was used.", "Write GET or POST.";
    CONFERENCE_LABEL = 13235, Warning, 0, "Conference: the participantLabel is longer than 128 characters, has control characters or looks like the SID of a call; it was left out.", "Write a short name.";
    WAIT_VERB = 13236, Error, 0, "A document that a waiting call hears has a verb that cannot run there; it was skipped.", "Use Say, Play, Pause, Gather and Redirect; in the waitUrl document of Enqueue also Leave and Hangup.";
    TRANSFER_REFUSED = 13240, Warning, 0, "Dial: a transfer that a party requested (SIP REFER) was refused; the text of the notification says why.", "Set ReferUrl or ReferApplicationSid of the number that was called, or referUrl of Dial. Only parties that are connected by a Dial or through a queue can transfer each other, not participants of a conference.";
    REFER_NOBODY = 13241, Warning, 0, "Refer: no SIP address is named; it was skipped.", "Put a Sip inside, with the address as its text.";
    REFER_REFUSED = 13242, Warning, 0, "Refer: the remote party refused the transfer or did not answer it; the call continued.", "Check that the phone, PBX or provider accepts SIP REFER within a call; the text has its status.";
    REFER_FAILED = 13243, Warning, 0, "Refer: the remote party accepted the transfer, but could not reach the address; the call continued.", "Check the address in Sip; the text has the status that the remote party reported.";
    REFER_SILENT = 13244, Warning, 0, "Refer: the remote party accepted the transfer, but did not report its outcome; the call continued.", "Check that the phone, PBX or provider sends NOTIFY after REFER (RFC 3515), and how long the address rings.";
    QUEUE_NAME = 13251, Warning, 0, "Enqueue or Queue: no queue is named, or its name is too long or has control characters; the verb was skipped.", "Write the name as its text, at most 64 characters.";
    QUEUE_FULL = 13252, Warning, 0, "Enqueue: the queue is full; the call did not enter it.", "Raise the queue's MaxSize and the maxQueueSize of Enqueue, or handle QueueResult queue-full in the action.";
    QUEUE_FAILED = 13253, Error, 0, "Enqueue or Queue: the queue is not available; the verb ended.", "Check the server's log: the database cannot be read or written.";
    QUEUE_UNKNOWN = 13254, Warning, 0, "Dial: the queue does not exist; no call was taken from it.", "Check the name. A queue exists once a call has been enqueued in it, or once it has been created through the API.";
    LEAVE_OUTSIDE = 13255, Warning, 0, "Leave: the document is not one that a call hears while it waits in a queue; the verb was skipped.", "Use Leave only in the document of Enqueue's waitUrl.";
    GATHER_FINISH_KEY = 13310, Warning, 0, "Gather: the finishing keys are not all from 0-9, * and #, or there are more than twelve; # was used.", "Write up to twelve keys without spaces, or an empty value for none.";
    GATHER_METHOD = 13312, Warning, 0, "Gather: the method is neither GET nor POST; POST was used.", "Write GET or POST.";
    GATHER_TIMEOUT = 13313, Warning, 0, "Gather: the timeout is not a positive whole number of seconds; 5 was used.", "Write a positive whole number of seconds.";
    GATHER_NUM_DIGITS = 13314, Warning, 0, "Gather: the number of digits is not a positive whole number; no limit was used.", "Write a positive whole number.";
    GATHER_START_KEY = 13315, Warning, 0, "Gather: the starting keys are not all from 0-9, * and #, or there are more than twelve; any key could start input.", "Write up to twelve keys, without spaces.";
    GATHER_HINTS = 13330, Error, 0, "Gather, ConversationRelay or Transcription: there are more than 50 hints, or one has more than 100 characters; the document was refused.", "Name only the words that matter most.";
    GATHER_LANGUAGE = 13331, Warning, 0, "Gather: the language is not known; en-US was used.", "Write a BCP-47 tag such as en-GB.";
    GATHER_SPEECH_TIMEOUT = 13332, Warning, 0, "Gather: the speech timeout is neither a positive whole number of seconds nor auto; the value of timeout was used.", "Write a positive whole number of seconds, or auto.";
    GATHER_WITHOUT_SPEECH = 13333, Warning, 0, "Gather: a speech attribute has no effect, because only keys are collected.", "Add speech to the attribute input.";
    GATHER_KEYS_ONLY = 13340, Warning, 0, "Gather: no speech recognizer is configured; only keys were collected.", "Ask the operator to configure one, or collect keys alone.";
    GATHER_NO_RECOGNIZER = 13341, Error, 0, "Gather: no speech recognizer is configured, and keys were not requested; the document continued as if there were no input.", "Ask the operator to configure one, or collect keys too.";
    GATHER_SPEECH_FAILED = 13342, Error, 0, "Gather: the speech recognizer failed; the caller's speech was lost.", "See the text for the reason.";
    PLAY_LOOP = 13410, Warning, 0, "Play: the loop count is not a whole number; 1 was used.", "Write the number of times, or 0 to repeat until the call ends.";
    PLAY_EMPTY = 13420, Warning, 0, "Play: there is no address to play.", "Write the address as the text of the element.";
    SAY_LOOP = 13510, Warning, 0, "Say: the loop count is not a whole number; 1 was used.", "Write the number of times, or 0 to repeat until the call ends.";
    SAY_VOICE = 13511, Warning, 0, "Say: the voice is not known; the default was used.", "Write man or woman.";
    SAY_LANGUAGE = 13512, Warning, 0, "Say: the language is not known; the default was used.", "Use a language of eSpeak NG, such as en-GB or de.";
    SAY_FAILED = 13520, Error, 0, "Say: speech could not be synthesised.", "Install the speech engine named in the text.";
    SAY_EMPTY = 13521, Warning, 0, "Say: there is no text; it was skipped.", "Write the text inside the element.";
    SAY_MARKUP = 13522, Warning, 0, "Say: an SSML element inside it has a value that is not allowed; another was used, as the text says.", "Write one of the values that the documentation lists.";
    RECORD_METHOD = 13610, Warning, 0, "Record: the method is neither GET nor POST; POST was used.", "Write GET or POST.";
    RECORD_TIMEOUT = 13611, Warning, 0, "Record: the timeout is not a positive whole number of seconds; 5 was used.", "Write a positive whole number of seconds.";
    RECORD_MAX_LENGTH = 13612, Warning, 0, "Record: the maximum length is not a positive whole number of seconds; 3600 was used.", "Write a positive whole number of seconds.";
    RECORD_FINISH_KEY = 13613, Warning, 0, "Record: the finishing keys are not all from 0-9, * and #, or there are more than twelve; # was used.", "Write up to twelve keys without spaces, or -1 for none.";
    RECORD_FAILED = 13620, Error, 0, "A recording could not be written.", "Check the server's disk.";
    RECORDING_CALLBACK = 13621, Warning, 0, "The method or the events of a recording's status callback are not valid.", "Write GET or POST, and one or more of in-progress, completed and absent.";
    REDIRECT_METHOD = 13710, Warning, 0, "Redirect: the method is neither GET nor POST; POST was used.", "Write GET or POST.";
    REDIRECT_EMPTY = 13720, Warning, 0, "Redirect: there is no address; it was skipped.", "Write the address as the text of the element.";
    REJECT_REASON = 13810, Warning, 0, "Reject: the reason is neither busy nor rejected; rejected was used.", "Write busy or rejected.";
    PAUSE_LENGTH = 13910, Warning, 0, "Pause: the length is not a positive whole number of seconds; 1 was used.", "Write a positive whole number of seconds.";
    SMS_TO = 14101, Error, 0, "Sms: the recipient is empty or has characters that are not allowed in a number, name or SIP address; the document and the call ended.", "Write a number, a client's name or a SIP address, or leave the attribute out.";
    SMS_FROM = 14102, Error, 0, "Sms: the sender is empty or has forbidden characters; the document and the call ended.", "Write a number or a short name, or leave the attribute out.";
    SMS_BODY = 14103, Error, 0, "Sms: there is no text; the document and the call ended.", "Write the text inside the element.";
    SMS_METHOD = 14104, Warning, 0, "Sms: the method is neither GET nor POST; POST was used.", "Write GET or POST.";
    SMS_MEDIA = 14105, Error, 0, "Message: attachments cannot be sent; the document ended and, if it was that of a call, so did the call.", "Write the address of the file into the text.";
    SMS_VERB = 14110, Warning, 0, "A verb that needs a call was skipped in the document of a text message.", "Use Sms (or Message), Email and Redirect.";
    EMAIL_TO = 14201, Error, 0, "Email: the recipient is missing or is not one e-mail address; the verb was skipped.", "Write one address, as in `to=\"ann@example.org\"`.";
    EMAIL_FROM = 14202, Error, 0, "Email: the sender is missing or is not one e-mail address; the verb was skipped.", "Write one address, as in `from=\"voicemail@example.org\"`.";
    EMAIL_COPY = 14203, Warning, 0, "Email: a further recipient is not an e-mail address, or there are more than 50; `cc` or `bcc` was left out.", "Separate addresses by commas.";
    EMAIL_BODY = 14204, Warning, 0, "Email: the text is longer than 256 KiB or the type is neither text/plain nor text/html; the text was cut, or sent as text/plain.", "Send a link to a long text.";
    EMAIL_ATTACH = 14205, Error, 0, "Email: `attach` names something that is not a recording; the verb was skipped.", "Write SIDs or addresses of recordings, or `recording` for what the last Record of the call has recorded.";
    EMAIL_NOT_SET_UP = 14210, Error, 501, "This server does not send e-mail: no mail server is configured.", "Ask the operator to set `mail.server`.";
    EMAIL_REFUSED = 14211, Error, 0, "The mail server permanently rejected an e-mail.", "The text has its answer; check the sender and the recipients.";
    EMAIL_GIVEN_UP = 14212, Error, 0, "An e-mail was given up: it could not be sent within `mail.max_age_s`.", "The text has the last reason; check the mail server.";
    EMAIL_ATTACHMENT = 14213, Error, 0, "An e-mail was not sent, because a recording that it should attach does not exist, failed, or is too large.", "Attach recordings of the account only, and send links to large ones; `mail.max_attachment_bytes` is the limit.";
    EMAIL_SENDER = 14214, Error, 403, "The server sends no e-mail in the name of this sender.", "Use an address that the operator allows (`mail.senders`).";
    EMAIL_TOO_MANY = 14215, Error, 0, "Email: the call has sent 50 e-mails; this one was not sent.", "Send more through the API.";
    UNKNOWN_PARAMETER = 20001, Warning, 0, "At `/restcomm/2012-04-24`: the request has a parameter that this server does not know; it was ignored. At `/2010-04-01` the request is refused with 400.", "Check the spelling; names are case-sensitive. See docs/rest.md for the parameters of the resource.";
    AUTHENTICATION = 20003, Error, 401, "The credentials are missing or wrong.", "Send the account's SID and token.";
    ACCOUNT_NOT_ACTIVE = 20005, Error, 403, "The account is not active.", "Ask a parent account to set its status to active.";
    PROFILE_REFUSED = 20030, Error, 403, "The profile of the account does not allow this.", "Ask the operator: `GET …/Accounts/{account}` names the profile of the account in its Link header.";
    PROFILE_RATE = 20031, Error, 429, "The account has reached the number of calls that its profile allows in a period.", "Try again later, or ask the operator to link the account to another profile.";
    LIST_TOO_LONG = 20032, Error, 503, "The list takes longer than 5 seconds to read, with its filters and order.", "Narrow it: by dates, by another filter, to one account, or without a search in texts. A list that is long, but not searched, may work when the request is repeated after some seconds.";
    REQUEST_WARNING = 20090, Warning, 0, "A request to the API was carried out, but probably not as intended.", "See the text for the parameter and the reason.";
    NOT_FOUND = 20404, Error, 404, "The resource does not exist, or belongs to another account.", "Check the identifier and the account in the path. At `/restcomm/2012-04-24`, a request to change an unknown call gets 406, as in Restcomm.";
    METHOD_NOT_ALLOWED = 20405, Error, 405, "The resource does not support this method.", "See docs/rest.md for the methods of the resource.";
    NOT_ACCEPTABLE = 20406, Error, 406, "The response can only be JSON or XML.", "Accept application/json or application/xml.";
    TOO_SLOW = 20408, Error, 408, "The request did not arrive within 30 seconds.", "Send the whole request at once.";
    CONFLICT = 20409, Error, 409, "The value must be unique, but is already in use.", "Use another value.";
    MESSAGE_PENDING = 20410, Error, 409, "The message has not ended; it can be neither changed nor deleted.", "Wait until its status is final.";
    TOO_LARGE = 20413, Error, 413, "The request is larger than 256 KiB.", "Send a smaller request.";
    UNSUPPORTED_MEDIA = 20415, Error, 415, "The body is not a form.", "Send the parameters as a form (`curl -d Name=value`), not as JSON or anything else.";
    CALL_ELSEWHERE = 20421, Error, 421, "The call runs on another server that shares the database.", "Send the request to the server that the text names; see `instance` in docs/operating.md.";
    KEY_REUSED = 20422, Error, 422, "The Idempotency-Key was used for a request with other parameters.", "Use a new key for each request, and repeat a request exactly as it was sent before.";
    KEY_IN_USE = 20423, Error, 409, "The first request with this Idempotency-Key has not been answered yet.", "Send the request again after a second to get its answer.";
    PRECONDITION = 20424, Error, 412, "The resource has changed since the ETag in If-Match was read.", "Read it again, apply the change to what it is now, and send its new ETag. ETags differ between formats (JSON, XML) and base paths.";
    TOO_MANY_REQUESTS = 20429, Error, 429, "Too many requests or wrong passwords were sent, or the server is at its limit.", "Try again after the number of seconds given in Retry-After.";
    BAD_PARAMETER = 21100, Error, 400, "A parameter is missing or has a value that is not allowed.", "Correct the parameter named in the text.";
    FORBIDDEN = 21103, Error, 403, "The account may not do this.", "Use credentials of the owner or of one of its parent accounts.";
    TEST_UNROUTABLE = 21214, Error, 400, "The call is to +15005550002, to which no route leads in test mode.", "Nothing: this test number always causes this error.";
    TEST_NO_PERMISSION = 21215, Error, 400, "The call is to +15005550003, whose country may not be called in test mode.", "Nothing: this test number always causes this error.";
    TEST_BLOCKED = 21216, Error, 400, "The call is to +15005550004, which is blocked in test mode.", "Nothing: this test number always causes this error.";
    TEST_INVALID = 21217, Error, 400, "The call is to +15005550001, which is not valid in test mode.", "Nothing: this test number always causes this error.";
    CALL_NOT_LIVE = 21220, Error, 410, "The call is not in progress, or its state does not allow the change.", "Change only a live call. A party that a `Dial` is still calling can be redirected only once it has answered. At `/2010-04-01` the status is 400, and 404 (20404) for a request to end a call that has already ended.";
    QUEUE_NOT_EMPTY = 21240, Error, 409, "Calls wait in the queue; it cannot be deleted.", "Wait until it is empty, or take its members out by redirecting them.";
    RECORDING_STATE = 21241, Error, 409, "The recording is not in a state that allows the change.", "See the text: a recording that has ended cannot be changed, only one in progress can be paused, and only a paused one can be continued. One that is in progress cannot be deleted; stop it first. A recording made by `Record` cannot be changed; only its verb ends it.";
    RECORDING_GONE = 21242, Error, 410, "The file of the recording was removed: the account keeps recordings only for a time, or a person's data was erased.", "Fetch recordings earlier, or raise `Recordings` in the account's `Retention`.";
    DOCUMENT_NOT_FOUND = 21402, Error, 0, "The application answered 404.", "Check the address of the document.";
    TEST_INVALID_PURCHASE = 21421, Error, 400, "The number to buy is +15005550001, which is not valid in test mode.", "Nothing: this test number always causes this error.";
    NUMBER_UNAVAILABLE = 21422, Error, 400, "At `/2010-04-01`: the number already exists here or is not for sale, or no number with this area code is for sale.", "Change the existing number, or choose one that `AvailablePhoneNumbers` lists; for one of your own, add `isSIP=true`.";
    CALLER_ID_EXISTS = 21450, Error, 400, "The account already has this caller ID.", "Use the existing one; `OutgoingCallerIds` lists it.";
    NUMBER_TAKEN = 21452, Error, 400, "At `/restcomm/2012-04-24`: the number already exists here or is not for sale, or no number with this area code is for sale.", "Change the existing number, or choose one that `AvailablePhoneNumbers` lists; for one of your own, add `isSIP=true`.";
    PROVIDER_FAILED = 21460, Error, 500, "The carrier that sells numbers failed, or did not answer in time.", "Try again later. Nothing was bought: if the carrier allocated a number anyway, it is given back.";
    RECORDING_FORMAT = 21480, Error, 406, "The recording is not available in the requested format.", "Request it as WAV: `.wav` after the SID of the recording. For MP3, install `lame` or `ffmpeg` on the server.";
    OPTED_OUT = 21610, Error, 400, "The recipient does not want texts from this number: it has sent STOP or another such word, or the opt-out was added through the API.", "Do not text this recipient from this number. `OptOuts` lists the opt-outs of the account; one ends when the recipient sends START, or when it is deleted.";
    MESSAGE_OVERFLOW = 30001, Error, 0, "The message was not sent: the call has too many messages in transit.", "Send fewer at the same time.";
    MESSAGE_ACCOUNT = 30002, Error, 0, "The message was not sent: its account was suspended or closed before a provider accepted it.", "Send it again once the account is active.";
    MESSAGE_UNREACHABLE = 30003, Error, 0, "The message was not delivered: the recipient could not be reached.", "Check that the phone is registered, or that the trunk is up.";
    MESSAGE_BLOCKED = 30004, Error, 0, "The message was not delivered: the recipient or a provider refused it.", "Ask the recipient or the provider why.";
    MESSAGE_UNKNOWN_RECIPIENT = 30005, Error, 0, "The message was not delivered: the recipient is unknown.", "Check the recipient.";
    MESSAGE_NO_TEXTS = 30006, Error, 0, "The message was not delivered: the remote party does not support text messages.", "Use a number or a phone that supports them.";
    MESSAGE_CARRIER = 30007, Error, 0, "The message was not delivered: a carrier filtered it.", "Ask the provider why; often the sender must be registered for this country.";
    MESSAGE_FAILED = 30008, Error, 0, "The message was not delivered for another reason, or it is not known whether it was accepted.", "See the reason in the message's record.";
    MESSAGE_EXPIRED = 30036, Error, 0, "The message was not sent: nothing accepted it before its validity period ended.", "See the reason in the message's record, and the health of the routes in `MessageRoutes`.";
    MESSAGE_ROUTE_DOWN = 30090, Warning, 0, "A message route is down; its messages take another route, or wait.", "See `problem` of the route in `MessageRoutes`.";
    MESSAGE_NOT_SCHEDULED = 30409, Error, 409, "The message cannot be canceled: it is not `scheduled`.", "Only a message that was created with `SendAt` can be canceled, and only until its time comes. Read its status.";
    STREAM_TIMEOUT = 31901, Error, 0, "Stream: the WebSocket server did not answer in time.", "Check that the address leads to a WebSocket server that is running and reachable.";
    STREAM_REFUSED = 31902, Error, 0, "Stream: the WebSocket server could not be reached.", "Check that the server is running and that the address is correct.";
    STREAM_TLS = 31910, Error, 0, "Stream: the WebSocket server's TLS handshake failed.", "Check the server's certificate, and that the port speaks TLS; use ws for one that does not.";
    STREAM_HANDSHAKE = 31920, Error, 0, "Stream: the server did not answer the WebSocket handshake with status 101.", "Check the path of the address, and that the server accepts WebSocket connections there.";
    STREAM_LOST = 31921, Error, 0, "Stream: the connection to the WebSocket server broke, or the server closed it with an error.", "Check the log of the WebSocket server.";
    STREAM_PROTOCOL = 31924, Error, 0, "Stream: the server violated the WebSocket protocol, or sent a message that is too long; the stream was ended.", "Send text messages of at most 4 MiB.";
    STREAM_TRACK = 31941, Warning, 0, "Stream: the track is not one that the verb allows; inbound_track was used.", "Write inbound_track; inside Start also outbound_track or both_tracks.";
    STREAM_MESSAGE = 31951, Warning, 0, "Stream: messages from the WebSocket server were not understood; they were ignored.", "Send media, mark and clear as JSON text; over a stream of Start, send nothing.";
    RECORDING_TOO_MANY = 31980, Error, 0, "Start: the call already has four recordings that were started by Start or through the API; this one was not started.", "Stop one first: a call has at most four.";
    STARTED_UNKNOWN = 31981, Warning, 0, "Stop: the call has no open recording, transcription or SIPREC session with this name.", "Write the name that the Recording, Transcription or Siprec had inside Start.";
    TRANSCRIPTION_UNREAD = 31982, Warning, 0, "Transcription: it has no statusCallbackUrl to receive the text; it was skipped.", "Give it a statusCallbackUrl.";
    TRANSCRIPTION_TOO_MANY = 31983, Error, 0, "Transcription: the call already has two transcriptions; this one was not started.", "Stop one first: a call has at most two.";
    TRANSCRIPTION_NO_RECOGNIZER = 31984, Error, 0, "Transcription: no speech recognizer is configured; it was stopped.", "Ask the operator to set speech.recognizer; docs/operating.md describes it.";
    TRANSCRIPTION_FAILED = 31985, Error, 0, "Transcription: the speech recognizer failed three times in a row; it was stopped.", "The notification contains the recognizer's reason.";
    STREAM_TOO_MANY = 31990, Error, 0, "Stream or Siprec: the call already has four streams; this one was not opened.", "Stop one first: a call has at most four streams, and a SIPREC session counts as one.";
    STREAM_UNKNOWN = 31991, Warning, 0, "Stop: the call has no open stream with this name.", "Write the name that the Stream had inside Start.";
    STREAM_MISSING = 31992, Warning, 0, "Connect, Start or Stop has nothing to connect, start or stop; it was skipped.", "Put a Stream inside; inside Connect, a ConversationRelay also works, and inside Start and Stop a Recording, Transcription or Siprec.";
    STREAM_PARAMETER = 31993, Warning, 0, "Stream, ConversationRelay or Siprec: a Parameter has no name, or repeats an earlier one; it was left out.", "Give each Parameter a name of its own.";
    STREAM_OVERFLOW = 31994, Warning, 0, "Stream: audio was dropped, because the WebSocket server was too slow to take it, or sent more than can wait to be played.", "Read messages as they arrive; let at most five minutes of audio wait to be played.";
    SIPREC_CONNECTOR = 31995, Error, 0, "Siprec: there is no connector with this name; the call is not sent to a recording server.", "Write a connectorName that the operator has configured; docs/config.md describes the table siprec.";
    SIPREC_REFUSED = 31996, Error, 0, "Siprec: the recording server could not be reached, or did not accept the session.", "See the text for the reason, and check the connector's address, credentials and the log of the recording server.";
    SIPREC_LOST = 31997, Error, 0, "Siprec: the recording server ended the session, or no longer answers; from then on, it gets no audio.", "Check the log of the recording server.";
    SIPREC_TRACK = 31998, Warning, 0, "Siprec: the track is not known; both_tracks was used.", "Write inbound_track, outbound_track or both_tracks.";
    MESSAGE_SEND_AT = 35114, Error, 400, "`SendAt` is not a time at which a message can be sent.", "Write a time in UTC as in 2030-05-15T14:30:00Z, from 5 minutes to 35 days after the request.";
    VERIFY_CODE_WRONG = 60022, Error, 403, "The code is wrong; the text says how many guesses are left.", "Ask the person for the code again.";
    VERIFY_PARAMETER = 60200, Error, 400, "A parameter of a verification is missing or unusable.", "See the text for the parameter and the reason.";
    VERIFY_CHECKED_OUT = 60202, Error, 429, "Too many wrong codes were given for this verification.", "Start a new verification when this one has expired, or cancel it first.";
    VERIFY_SENT_OUT = 60203, Error, 429, "The recipient has received as many codes as it may within ten minutes.", "Wait, or raise MaxSends of the service.";
    VERIFY_TOO_SOON = 60212, Error, 429, "A code was sent to this recipient just now.", "Wait as long as Retry-After says, or lower ResendSeconds of the service.";
    VERIFY_NO_CHANNEL = 60223, Error, 403, "The channel cannot be used on this server.", "Use another channel; the text gives the reason.";
    VERIFY_BLOCKED = 60410, Error, 403, "The code was not sent, because it looks like fraud: too many codes to similar numbers, or too few of them were confirmed.", "If it is not fraud, add the number to the safe list or raise the limits of the service.";
    VERIFY_COUNTRY = 60605, Error, 403, "The service sends no codes to numbers with this prefix.", "Add the prefix to AllowedPrefixes of the service.";
    MASK_EXHAUSTED = 62206, Error, 400, "Number masking: the pool of the service has no number for this participant (80206 at Twilio).", "See the text for how many numbers the pool needs: add numbers with PhoneNumbers, close sessions that are not needed any more, or choose a less strict GeoMatchLevel.";
    MASK_TAKEN = 62604, Error, 400, "Number masking: the participant has the requested number in another open session (80604 at Twilio).", "Request another number of the pool, or none, or close the other session.";
    MASK_CLOSED = 62605, Error, 409, "Number masking: the session is closed, or has two participants already.", "Create another session; a closed one stays closed.";
    MASK_UNSUPPORTED = 62606, Error, 400, "Number masking: this setting of Twilio's Proxy is not supported.", "See the text for what to use instead.";
    MASK_IN_USE = 62607, Error, 409, "Number masking: open sessions use the number, so it stays in the pool.", "Set IsReserved, so that no further session gets it, and remove it when InUse is 0.";
    VOICEMAIL_NO_RECOGNIZER = 63001, Error, 501, "Voicemail: this server has no speech recognizer, so messages cannot be transcribed.", "Leave Transcribe out, or ask the operator to set speech.recognizer; docs/operating.md describes it.";
    RELAY_UNREACHABLE = 64102, Error, 0, "ConversationRelay: no connection to the WebSocket server could be made; the conversation did not begin.", "See the text for the reason, and check the address and the server.";
    RELAY_LOST = 64105, Error, 0, "ConversationRelay: the WebSocket server closed the connection without sending an `end` message, or the connection broke during the call.", "Check the log of the WebSocket server; end a conversation by sending an `end` message.";
    RELAY_LANGUAGE = 64106, Warning, 0, "ConversationRelay: a language is not known, or a Language has no code; another was used, or it was left out, as the text says.", "Write a BCP-47 tag such as en-GB.";
    RELAY_MESSAGE = 64107, Warning, 0, "ConversationRelay: messages from the WebSocket server were not understood; they were ignored.", "Send text, play, sendDigits, language and end as JSON text, with the fields that docs/rcml/conversation-relay.md lists.";
    RELAY_NO_RECOGNIZER = 64190, Error, 0, "ConversationRelay: no speech recognizer is configured; the conversation ended immediately.", "Ask the operator to configure one.";
    RELAY_SPEECH_FAILED = 64191, Error, 0, "ConversationRelay: the speech recognizer failed three times in a row; the conversation ended.", "See the text for the reason.";
    RELAY_OVERFLOW = 64192, Warning, 0, "ConversationRelay: messages from the WebSocket server were dropped because too much was already waiting to be played.", "Send text as it is needed; let at most 50,000 characters, and 500 sentences, sounds or keys, wait.";
}

/// The row with this number.
#[must_use]
pub fn entry(code: u16) -> Option<&'static ErrorEntry> {
    TABLE.iter().find(|entry| entry.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique() {
        for (at, entry) in TABLE.iter().enumerate() {
            assert!(
                TABLE[at + 1..].iter().all(|other| other.code != entry.code),
                "{}",
                entry.code
            );
            assert!(
                entry.text.ends_with('.') && entry.advice.ends_with('.'),
                "{}",
                entry.code
            );
        }
    }
}
