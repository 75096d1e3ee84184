//! Calls and texts at a number that is in the pool of a service which masks numbers.
//!
//! The service has them answered; what the number itself says about calls and texts does not count meanwhile. The documents are
//! those of the crate `masking`. **Invariant: a caller whose From is not trusted is a stranger**, whatever number it shows.

use masking::{Connection, Found, Kind, Strangers, Why, decide, document};
use model::record::{Client, Number};
use model::{DialectName, HttpMethod};

use super::invitation::Caller;
use super::{Routing, Rows, Run, Verdict, Want};
use crate::event::{Document, SetIn};
use crate::family::Script;

impl Routing<'_> {
    /// What a call or text at a number finds, if it is a mask of the account that has the number now.
    pub(super) fn masked(
        &self,
        by: Option<&Client>,
        number: &Number,
    ) -> Result<Option<&Found>, Want> {
        let found = self.rows.mask(number.sid, self.trusted_from(by, number))?;
        Ok(found.filter(|found| found.mask.account == number.account))
    }

    /// The number of the caller, if a trunk vouches for it or it is an authenticated client of the same account.
    fn trusted_from(&self, by: Option<&Client>, number: &Number) -> Option<&str> {
        match &self.invite.caller {
            Caller::Trunk => Some(&self.invite.from_user),
            Caller::Client { login } if by.is_some_and(|by| by.account == number.account) => {
                Some(login)
            }
            Caller::Client { .. } | Caller::Unknown | Caller::Unproved => None,
        }
    }
}

/// Whom a call or text is for. If interactions of the session are limited, it is counted before anything else depends on it, so
/// that those which arrive at the same moment are no more than the limit.
fn connection(rows: &Rows, found: &Found, kind: Kind) -> Result<Result<Connection, Why>, Want> {
    let limit = found.service.settings.max_interactions;
    let connection = match decide(found, kind) {
        Ok(connection) => connection,
        Err(why) => return Ok(Err(why)),
    };
    let is_allowed = limit == 0 || rows.turn(connection.contact.session, limit)?;
    Ok(is_allowed.then_some(connection).ok_or(Why::TooMany))
}

/// What runs for a call.
pub(super) fn call(rows: &Rows, number: &Number, found: &Found) -> Result<Verdict, Want> {
    let settings = &found.service.settings;
    let (document, contact) = match connection(rows, found, Kind::Voice)? {
        Ok(connection) => {
            let text = document::call(settings, &connection);
            (of_text(text, found), Some(connection.contact))
        }
        Err(why) => (refused(why, found, Kind::Voice), None),
    };
    Ok(Verdict::Run(Box::new(Run {
        account: number.account,
        number: Some(number.sid),
        script: Script::Document(document),
        dialect: DialectName::Twilio,
        status_callback: None,
        refer: None,
        contact,
    })))
}

/// What runs for a text.
pub(super) fn text(
    rows: &Rows,
    found: &Found,
    body: &str,
) -> Result<(Document, Option<masking::Contact>), Want> {
    Ok(match connection(rows, found, Kind::Message)? {
        Ok(connection) => {
            let text = document::text(&connection, body);
            (of_text(text, found), Some(connection.contact))
        }
        Err(why) => (refused(why, found, Kind::Message), None),
    })
}

fn refused(why: Why, found: &Found, kind: Kind) -> Document {
    let settings = &found.service.settings;
    let url = &settings.out_of_session_url;
    if why == Why::NoSession && !url.is_empty() {
        return Document {
            url: url.clone(),
            text: None,
            method: HttpMethod::Post,
            author: settings.author.unwrap_or(found.service.account),
            fallback: None,
            set_in: SetIn::Request,
        };
    }
    let asks = settings.strangers == Strangers::Pin && why == Why::NoSession;
    let text = match kind {
        Kind::Voice if asks && !found.pin_address.is_empty() => {
            document::question(settings, &found.pin_address)
        }
        Kind::Voice => document::refused_call(settings),
        Kind::Message => document::refused_text(settings),
    };
    of_text(text, found)
}

fn of_text(text: String, found: &Found) -> Document {
    Document::of_text(text, found.service.account)
}
