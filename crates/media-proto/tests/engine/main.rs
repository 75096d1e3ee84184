//! The engine in virtual time: whole calls in milliseconds.

mod answering;
mod bridge;
mod coach;
mod common;
mod digits;
mod digits_bridge;
mod live;
mod liveness;
mod mix;
mod mix_recording;
mod moving;
mod mutation;
mod play;
mod recode;
mod record;
mod rest;
mod source;
