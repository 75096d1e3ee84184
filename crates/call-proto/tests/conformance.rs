//! Cases of `docs/conformance/rcml.md` in virtual time that a script of `patchcord test` cannot
//! express: who may call whom, session descriptions, slow or broken surroundings, records,
//! journals.
//!
//! A test of a case is named after it. It says what everybody does and compares what each party was
//! sent and when, what the application was asked, and what the records say in the end. In these
//! texts a line such as `0 180, 0 200, 4 BYE` is: second, message; only what the server sent.

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
    mod several;
    mod speech;
    mod unrecorded;
    mod verbs;
}
