//! Connect, Start and Stop: streams to scripted agents.

use crate::check;

#[test]
fn stream_agent_closes() {
    check("stream-agent-closes");
}

#[test]
fn stream_clear() {
    check("stream-clear");
}

#[test]
fn stream_caller_hangs_up() {
    check("stream-caller-hangs-up");
}

#[test]
fn stream_unreachable() {
    check("stream-unreachable");
}

#[test]
fn stream_redirected() {
    check("stream-redirected");
}

#[test]
fn stream_start_goes_on() {
    check("stream-start-goes-on");
}

#[test]
fn start_recording() {
    check("start-recording");
}

#[test]
fn start_recording_limits() {
    check("start-recording-limits");
}

#[test]
fn start_transcription() {
    check("start-transcription");
}

#[test]
fn start_transcription_cut_off() {
    check("start-transcription-cut-off");
}

#[test]
fn siprec_starts_and_stops() {
    check("siprec-starts-and-stops");
}

#[test]
fn siprec_failures() {
    check("siprec-failures");
}
