//! The document that a called number has for transfers: `ReferUrl`, or an application.

use model::record::Number;
use model::{ApplicationSid, HttpMethod};

use super::absolute;
use super::application::document_of;
use super::rows::{Rows, Want};
use crate::event::{Document, SetIn};

/// The document of a number, if it has one that exists. As with calls, an application takes
/// precedence over an address.
///
/// - `base`: address against which relative ones are resolved
pub(super) fn document(number: &Number, base: &str, rows: &Rows) -> Result<Option<Document>, Want> {
    let stored = |name: &str| number.extra.get(name).filter(|text| !text.is_empty());
    let method = stored("ReferMethod").and_then(|text| text.parse().ok());
    let method: HttpMethod = method.unwrap_or(HttpMethod::Post);
    let own = |url: &String| {
        Some(Document {
            url: absolute(base, url)?,
            method,
            author: number.account,
            text: None,
            fallback: None,
            set_in: SetIn::NumberRefer,
        })
    };
    let Some(application) = stored("ReferApplicationSid") else {
        return Ok(stored("ReferUrl").and_then(own));
    };
    let Ok(sid) = application.parse::<ApplicationSid>() else {
        return Ok(None);
    };
    let Some(application) = rows.application(sid, number.account)? else {
        return Ok(None);
    };
    Ok(document_of(application, base, method))
}
