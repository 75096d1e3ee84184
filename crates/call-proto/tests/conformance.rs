//! Cases of `docs/conformance/rcml.md` in virtual time that a script of `patchcord test` cannot
//! express: who may call whom, session descriptions, a slow or failing environment, records,
//! journals.
//!
//! A test is named after its case. It states what each party does and compares the messages sent to
//! each party with their times, the requests to the application, and the final records. In these
//! texts a line such as `0 180, 0 200, 4 BYE` lists second and message; only messages from the
//! server.

#[allow(
    dead_code,
    unused_imports,
    reason = "the world serves two test programs"
)]
mod world;

mod cases {
    mod authors;
    mod blame;
    mod callback_tables;
    mod callbacks;
    mod delay;
    mod dial;
    mod farewell;
    mod fetch;
    mod findings;
    mod gather;
    mod journal;
    mod limits;
    mod messages;
    mod modify;
    mod own_messages;
    mod reinvite;
    mod relays;
    mod several;
    mod speech;
    mod streams;
    mod text_runs;
    mod transcripts;
    mod unrecorded;
    mod verbs;
}
