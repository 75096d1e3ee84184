//! The order of execution: depth first, into everything that is not a verb.
//!
//! **Invariant: no element inside a verb becomes a separate verb.**

use model::{Level, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings, Position};
use crate::reach;
use crate::source::Source;
use crate::suggest::closest;
use crate::verb::{
    Connect, Dial, Echo, Email, Enqueue, Gather, Hangup, Leave, Pause, Play, Record, Redirect,
    Refer, Reject, Say, Sms, Start, Stop, Unsupported, Verb,
};
use crate::vocabulary;

const RESPONSE: Attributes = Attributes {
    built: &[],
    unbuilt: &[],
};

/// The verbs of a tree whose depth has been checked.
pub(crate) fn verbs<'a>(
    source: &'a Source<'a>,
    tree: &'a roxmltree::Document<'a>,
    findings: &mut Findings,
) -> Vec<Verb> {
    let mut verbs = Verbs::default();
    if let Some(root) = Element::new(tree.root_element(), source) {
        if root.name() == "Response" {
            root.check_attributes(&RESPONSE, findings);
            root.refuse_text(findings);
            walk_inside(&root, &mut verbs, findings);
        } else if vocabulary::is_known(root.name()) {
            walk(&root, &mut verbs, findings);
        } else {
            findings.add(Level::Error, || misnamed(&root));
            walk_inside(&root, &mut verbs, findings);
        }
    }
    reach::check(&verbs.verbs, &verbs.places, findings);
    verbs.verbs
}

/// The verbs and findings so far.
#[derive(Default)]
struct Verbs {
    verbs: Vec<Verb>,
    places: Vec<Position>,
}

/// Reads a verb, or continues inside an element that is not one. The depth of the tree bounds the
/// recursion.
fn walk(element: &Element<'_>, verbs: &mut Verbs, findings: &mut Findings) {
    if let Some(verb) = read(element, findings) {
        verbs.verbs.push(verb);
        verbs.places.push(element.at());
        return;
    }
    findings.add(Level::Error, || skipped(element));
    walk_inside(element, verbs, findings);
}

fn walk_inside(element: &Element<'_>, verbs: &mut Verbs, findings: &mut Findings) {
    for child in element.children() {
        walk(&child, verbs, findings);
    }
}

fn read(element: &Element<'_>, findings: &mut Findings) -> Option<Verb> {
    Some(match element.name() {
        "Say" => Verb::Say(Say::read(element, findings)),
        "Play" => Verb::Play(Play::read(element, findings)),
        "Pause" => Verb::Pause(Pause::read(element, findings)),
        "Hangup" => Verb::Hangup(Hangup::read(element, findings)),
        "Reject" => Verb::Reject(Reject::read(element, findings)),
        "Redirect" => Verb::Redirect(Redirect::read(element, findings)),
        "Dial" => Verb::Dial(Box::new(Dial::read(element, findings))),
        "Gather" => Verb::Gather(Box::new(Gather::read(element, findings))),
        "Record" => Verb::Record(Box::new(Record::read(element, findings))),
        "Email" => Verb::Email(Box::new(Email::read(element, findings))),
        "Sms" | "Message" => Verb::Sms(Box::new(Sms::read(element, findings))),
        "Connect" => Verb::Connect(Box::new(Connect::read(element, findings))),
        "Start" => Verb::Start(Start::read(element, findings)),
        "Stop" => Verb::Stop(Stop::read(element, findings)),
        "Enqueue" => Verb::Enqueue(Box::new(Enqueue::read(element, findings))),
        "Leave" => Verb::Leave(Leave::read(element, findings)),
        "Refer" => Verb::Refer(Refer::read(element, findings)),
        "Echo" => Verb::Echo(Echo::read(element, findings)),
        name @ ("Conference" | "Queue") => {
            let message = format!("`{name}` belongs inside `Dial`; it was skipped");
            findings.push(Finding::new(error::BAD_NESTING, element.at(), message));
            Verb::Unsupported(Unsupported::of(element))
        }
        name if vocabulary::UNBUILT.contains(&name) => {
            Verb::Unsupported(Unsupported::read(element, findings))
        }
        _ => return None,
    })
}

/// The finding for an element that is not a verb.
fn skipped(element: &Element<'_>) -> Finding {
    let name = element.name();
    if vocabulary::is_known(name) {
        let place = match name {
            "Response" => "at the top",
            vocabulary::STREAM => "inside `Connect`, `Start` or `Stop`",
            vocabulary::RECORDING | vocabulary::TRANSCRIPTION | vocabulary::SIPREC => {
                "inside `Start` or `Stop`"
            }
            vocabulary::RELAY => "inside `Connect`",
            vocabulary::PARAMETER => "inside `Stream`, `ConversationRelay` or `Siprec`",
            "Sip" => "inside `Dial` or `Refer`",
            "ReferSip" => "inside `Refer`",
            "Body" | "Media" => "inside `Message`",
            _ => "inside `Dial`",
        };
        let message = format!("`{name}` belongs {place}; it was skipped");
        return Finding::new(error::BAD_NESTING, element.at(), message);
    }
    let message = format!("`{name}` is not a verb; it was skipped");
    let meant = closest(name, vocabulary::verbs());
    Finding::new(error::UNKNOWN_VERB, element.at(), message).suggest(meant)
}

/// The finding for a root whose name is unknown.
fn misnamed(root: &Element<'_>) -> Finding {
    let name = root.name();
    let done = match root.children().next() {
        Some(_) => "its content was run anyway",
        None => "nothing was run",
    };
    let message = format!("the root should be `Response`, not `{name}`; {done}");
    // The message names `Response` already.
    let meant = closest(name, ["Response"].into_iter().chain(vocabulary::verbs()))
        .filter(|meant| *meant != "Response");
    Finding::new(error::UNKNOWN_VERB, root.at(), message).suggest(meant)
}
