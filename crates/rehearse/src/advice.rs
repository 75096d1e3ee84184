//! Advice for the author of a script, in place of the server's for its operator, or where the server
//! knows too little.
//!
//! **Invariant: a notification has the same text in the trace.**

use model::error;
use model::record::Notification;

use crate::run::Run;
use crate::script::{Script, Source};
use crate::{Application, read};

/// Settings of a server, and their equivalent in a script.
const SETTINGS: &[(&str, &str)] = &[
    (
        "set `VoiceMethod` of the number to GET",
        "write `method: GET` in `application`",
    ),
    (
        "set `VoiceFallbackMethod` of the number to GET",
        "write `method: GET` in `application`",
    ),
];

/// Adds advice to the notifications of a run.
pub(crate) fn advise(script: &Script, application: &dyn Application, run: &mut Run) {
    for told in &mut run.notifications {
        let mut text = told.text.clone();
        for (server, ours) in SETTINGS {
            text = text.replace(server, ours);
        }
        text += &missing(script, application, told).unwrap_or_default();
        for entry in &mut run.trace {
            let is_same = entry.what.ends_with(&told.code.to_string());
            if let Some(place) = entry.detail.strip_suffix(&told.text).filter(|_| is_same) {
                entry.detail = format!("{place}{text}");
            }
        }
        told.text = text;
    }
}

/// Where a document was looked for that does not exist, and which one was probably meant.
fn missing(script: &Script, application: &dyn Application, told: &Notification) -> Option<String> {
    let url = told.request_url.as_deref()?;
    let ours = &script.application;
    let is_page = |url: &str| ours.pages.contains_key(url);
    let bare = url.split(['?', '#']).next().unwrap_or(url);
    if told.code != error::DOCUMENT_NOT_FOUND || is_page(url) || is_page(bare) {
        return None;
    }
    let path = ours.shown(bare);
    let mut known: Vec<String> = ours.pages.keys().map(|url| ours.shown(url)).collect();
    let place = match (&ours.source, application.lookup(bare)) {
        (Source::Pages, _) => format!("`pages` has no `{path}`"),
        (Source::Files(_) | Source::Url(_), Some(lookup)) => {
            known.extend(lookup.paths);
            let names: Vec<&str> = lookup.names.iter().map(String::as_str).collect();
            let names = read::listed(&names);
            format!("there is no {names} in `{}`", lookup.folder)
        }
        (Source::Files(_) | Source::Url(_), None) => return None,
    };
    let meant = read::closest(&path, known.iter().map(String::as_str));
    let meant = meant.map_or_else(String::new, |meant| format!(" (did you mean `{meant}`?)"));
    Some(format!("; {place}{meant}"))
}
