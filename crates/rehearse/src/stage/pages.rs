//! Which page of a script, or else the application, answers a request.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use call_proto::{FetchFailure, Fetched};

use crate::scene::{Page, Reply};
use crate::{Application, Asked};

/// How a request is answered.
pub(crate) struct Answering {
    pub(crate) by: Answered,
    /// How long that takes.
    pub(crate) after: Duration,
}

/// What answers a request.
pub(crate) enum Answered {
    /// A page of the scene; its own address is the requested one.
    Page(Result<Fetched, FetchFailure>),
    /// The application, at this address.
    Application(String),
}

impl Answered {
    /// The answer to a request.
    pub(crate) fn answer(
        self,
        asked: &Asked,
        application: &mut dyn Application,
    ) -> Result<Fetched, FetchFailure> {
        match self {
            Self::Page(result) => result,
            Self::Application(url) if url == asked.url => application.document(asked),
            Self::Application(url) => {
                let there = Asked {
                    url,
                    ..asked.clone()
                };
                let mut fetched = application.document(&there)?;
                fetched.url.clone_from(&asked.url);
                Ok(fetched)
            }
        }
    }
}

/// Follows the pages of a scene from an address. A reference back to a page already visited goes to
/// the application, so that a page may refer to the file with its own name.
///
/// - `asked`: how often each page was requested
pub(crate) fn answering(
    pages: &BTreeMap<String, Vec<Page>>,
    asked: &mut BTreeMap<String, usize>,
    first: &str,
) -> Answering {
    let mut passed = BTreeSet::new();
    let mut url = first.to_owned();
    let mut after = Duration::ZERO;
    loop {
        let is_new = passed.insert(url.clone());
        let Some(page) = is_new.then(|| page(pages, asked, &url)).flatten() else {
            let by = Answered::Application(url);
            return Answering { by, after };
        };
        after += page.after;
        if let Some(result) = page.result(first) {
            let by = Answered::Page(result);
            return Answering { by, after };
        }
        if let Reply::Elsewhere(there) = page.reply {
            url = there;
        }
    }
}

/// The answer at an address; the last of several answers repeats.
fn page(
    pages: &BTreeMap<String, Vec<Page>>,
    asked: &mut BTreeMap<String, usize>,
    url: &str,
) -> Option<Page> {
    let bare = url.split(['?', '#']).next().unwrap_or(url);
    let (key, replies) = [url, bare]
        .into_iter()
        .find_map(|key| pages.get(key).map(|replies| (key, replies)))?;
    let count = asked.entry(key.to_owned()).or_default();
    let page = replies.get(*count).or(replies.last()).cloned();
    *count += 1;
    page
}
