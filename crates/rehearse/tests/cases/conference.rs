//! Conference.

use crate::check;

#[test]
fn case_114_conference_action() {
    check("114-conference-action");
}

#[test]
fn case_115_conference_empty_action() {
    check("115-conference-empty-action");
}

#[test]
fn case_116_conference_parameters() {
    check("116-conference-parameters");
}

#[test]
fn case_141_conference_time_limit_then_message() {
    check("141-conference-time-limit-then-message");
}

#[test]
fn case_165_time_limit_of_two() {
    check("165-time-limit-of-two");
}

#[test]
fn case_166_several_join_and_leave() {
    check("166-two-join-and-leave");
    check("166-three-hear-the-two-others");
}

#[test]
fn case_167_one_alone() {
    check("167-one-alone");
}

#[test]
fn case_168_a_document_while_waiting() {
    check("168-a-document-while-waiting");
}

#[test]
fn case_169_music_while_waiting() {
    check("169-music-while-waiting");
}

#[test]
fn case_170_short_time_limit() {
    check("170-short-time-limit");
}

#[test]
fn case_171_maximum_lifetime() {
    check("171-maximum-lifetime");
}

#[test]
fn case_174_the_same_moment() {
    check("174-the-same-moment");
}

#[test]
fn case_178_the_moderator_leaves() {
    check("178-the-moderator-leaves");
    check("178-another-leaves");
}

#[test]
fn case_179_a_full_room() {
    check("179-a-full-room");
}

#[test]
fn case_180_the_moderator_arrives() {
    check("180-the-moderator-arrives");
    check("180-nobody-arrives");
}

#[test]
fn case_181_muted_through_the_api() {
    check("181-muted-through-the-api");
}

#[test]
fn case_182_a_prompt_before() {
    check("182-a-prompt-before");
}

#[test]
fn case_183_a_message_after() {
    check("183-a-message-after");
}

#[test]
fn case_227_redirected_out_of_a_room() {
    check("227-redirected-out-of-a-room");
}

#[test]
fn case_232_completed_in_a_room() {
    check("232-completed-in-a-room");
}

#[test]
fn beep() {
    check("conference-beep");
}

#[test]
fn callbacks() {
    check("conference-callbacks");
    check("conference-callbacks-by-default");
}

#[test]
fn hold() {
    check("conference-hold");
}

#[test]
fn removed() {
    check("conference-removed");
}

#[test]
fn announcement() {
    check("conference-announcement");
}

#[test]
fn recorded() {
    check("conference-recorded");
    check("conference-not-recorded");
}

#[test]
fn a_coach() {
    check("conference-coach");
    check("conference-coaches-nobody");
}
