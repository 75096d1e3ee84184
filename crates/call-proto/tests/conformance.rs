//! The cases of `docs/conformance/rcml.md` in virtual time.
//!
//! Each test is named after its case. It says what everybody does and compares what each party was
//! sent and when, what the application was asked, and what the records say in the end.

mod world;

mod cases {
    mod dial;
}
