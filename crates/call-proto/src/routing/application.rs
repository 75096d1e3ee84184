//! The document of an application that is named by itself: for transfers, or for a call of the API.

use model::HttpMethod;
use model::record::Application;

use super::absolute;
use crate::event::{Document, Fallback, SetIn};

/// The first document of an application; `None` if it has no address for calls.
///
/// - `base`: address against which relative ones are resolved
/// - `method`: for an application that names none
#[must_use]
pub fn document_of(application: &Application, base: &str, method: HttpMethod) -> Option<Document> {
    let author = application.account;
    let resolved = |url: &Option<String>| {
        let url = url.as_deref().filter(|url| !url.is_empty())?;
        absolute(base, url)
    };
    let fallback = resolved(&application.fallback_url).map(|url| Fallback {
        url,
        method: application.fallback_method.unwrap_or(HttpMethod::Post),
        author,
        set_in: SetIn::Application,
    });
    Some(Document {
        url: resolved(&application.rcml_url)?,
        text: None,
        method: application.method.unwrap_or(method),
        author,
        fallback,
        set_in: SetIn::Application,
    })
}
