//! The routes of the API: one row per method and path, with its parameters and its answer.
//!
//! **Invariant: dispatch, permissions, the check of parameters and the OpenAPI document follow from
//! these rows.** A handler runs only after the caller's role and position in the tree of accounts
//! were checked against its row, and sees only the parameters that the row declares.

use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use model::record::Account;

use crate::context::{Answer, Context};
use crate::dialect::{Each, RestDialect};
use crate::resources;
use crate::roles::Action;
use crate::value::Shape;

/// What an HTTP method requests of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Delete,
    /// Connects two resources; also sent as a PUT with the header `X-HTTP-Method-Override`.
    Link,
    Unlink,
    Other,
}

impl Verb {
    /// Whether it requests a change.
    pub(crate) const fn is_change(self) -> bool {
        matches!(
            self,
            Self::Post | Self::Put | Self::Delete | Self::Link | Self::Unlink
        )
    }

    /// Its HTTP name; empty for those that no route has.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Link => "LINK",
            Self::Unlink => "UNLINK",
            Self::Other => "",
        }
    }
}

/// Handles a request for the account that it operates on; the text is the open segment after the
/// account in the path, several of them separated by `/`, or empty.
pub(crate) type Handler = for<'a> fn(
    &'a Context<'a>,
    &'a Account,
    &'a str,
) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// One method of one resource.
pub(crate) struct Route {
    pub(crate) method: Verb,
    /// Paths below the base path; `{account}` and other `{…}` match any segment. The first
    /// is the canonical one.
    pub(crate) paths: &'static [&'static str],
    /// The dialects that have it.
    pub(crate) within: Each<bool>,
    /// The permission that the caller's role needs.
    pub(crate) action: Action,
    /// The kind of resource in permissions.
    pub(crate) target: &'static str,
    /// Whether only the top account has it: it concerns the whole server.
    pub(crate) top_only: bool,
    /// Groups of parameters.
    pub(crate) params: &'static [&'static [Param]],
    /// Parameters that other servers have here, with what to use instead.
    pub(crate) instead: &'static [(&'static str, &'static str)],
    /// Whether parameters named `X-…` are header fields of the message that is sent.
    pub(crate) takes_headers: bool,
    /// The JSON Schema of its body, if that is a document rather than a form.
    pub(crate) document: Option<&'static str>,
    pub(crate) answers: Answers,
    /// Status of success.
    pub(crate) status: Each<u16>,
    /// Statuses with which its handler refuses, besides those of [`Route::refusals`].
    pub(crate) refuses: Each<&'static [u16]>,
    pub(crate) doc: &'static str,
    pub(crate) handle: Handler,
}

/// The content of an answer.
#[derive(Clone, Copy)]
pub(crate) enum Answers {
    /// One resource.
    One(&'static (dyn Shape + Sync)),
    /// One resource, or an array of several where the dialect lists the legs of a call.
    Legs(&'static (dyn Shape + Sync)),
    /// A page of a list.
    Page(&'static (dyn Shape + Sync)),
    /// A list that is not paged in dialects with bare lists.
    All(&'static (dyn Shape + Sync)),
    /// A document of this media type, which is JSON.
    Document(&'static str),
    /// An array of texts.
    Texts,
    /// Empty.
    Nothing,
}

impl Answers {
    /// Whether the answer shows one resource, which has an `ETag`.
    pub(crate) const fn is_single(self) -> bool {
        match self {
            Self::One(_) | Self::Document(_) => true,
            Self::Legs(_) | Self::Page(_) | Self::All(_) | Self::Texts | Self::Nothing => false,
        }
    }
}

/// A parameter of the query or form.
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: Is,
    /// The dialects that have it.
    pub(crate) within: Each<bool>,
    pub(crate) required: Each<bool>,
    pub(crate) doc: &'static str,
}

/// The form of a parameter's text. Handlers apply finer rules.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Is {
    Text,
    /// A number, name or address. A space before digits is an unescaped `+`.
    Party,
    Secret,
    Number,
    Flag,
    /// `GET` or `POST`.
    Method,
    /// An HTTP or HTTPS address, or one relative to this server.
    Address,
    /// An identifier of the kind that [`sid`] checks.
    Sid(fn(&str) -> bool),
    /// An identifier, or a pattern with `%` or `_` in dialects where filters may be patterns.
    SidPattern(fn(&str) -> bool),
    /// A day, `yyyy-MM-dd`; a time may follow.
    Day,
    /// A day, or a time in RFC 3339 format.
    Moment,
    /// One of these words, in any letter case; `_` counts as `-`.
    Word(&'static [&'static str]),
    /// Any number of these words, separated by commas or spaces; the parameter may be repeated.
    Words(&'static [&'static str]),
}

/// Whether a text is an identifier of the given kind.
pub(crate) fn sid<T: FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

/// An optional parameter of both dialects.
pub(crate) const fn param(name: &'static str, kind: Is, doc: &'static str) -> Param {
    Param {
        name,
        kind,
        within: [true, true],
        required: [false, false],
        doc,
    }
}

impl Param {
    pub(crate) const fn required(mut self) -> Self {
        self.required = [true, true];
        self
    }

    /// Makes it required in the given dialects.
    pub(crate) const fn required_in(mut self, dialects: Each<bool>) -> Self {
        self.required = dialects;
        self
    }

    /// Restricts it to the given dialects.
    pub(crate) const fn within(mut self, dialects: Each<bool>) -> Self {
        self.within = dialects;
        self
    }
}

/// Only Restcomm's dialect.
pub(crate) const RESTCOMM: Each<bool> = [true, false];
/// Only Twilio's dialect.
pub(crate) const TWILIO: Each<bool> = [false, true];

/// Statuses of refusals to change what is live: it is over, or runs on another server.
pub(crate) const LIVE: Each<&[u16]> = [&[409, 410, 421], &[409, 421]];
/// Statuses of refusals to delete what is in use.
pub(crate) const IN_USE: Each<&[u16]> = [&[409], &[409]];

/// Parameters of paged lists.
pub(crate) const PAGING: &[Param] = &[
    param("PageSize", Is::Number, "Rows per page; 50 if not given."),
    param("Page", Is::Number, "Number of the page, counted from 0."),
    param(
        "PageToken",
        Is::Text,
        "Start of the page, as given in `next_page_uri`.",
    )
    .within(TWILIO),
    AFTER_SID,
];

const AFTER_SID: Param = param(
    "AfterSid",
    Is::Text,
    "Last row of the previous page, as given in `next_page_uri`.",
)
.within(RESTCOMM);

/// Parameters of paged lists that exist only at the Restcomm base.
pub(crate) const NUMBERED_PAGING: &[Param] = &[
    param("PageSize", Is::Number, "Rows per page; 50 if not given."),
    param("Page", Is::Number, "Number of the page, counted from 0."),
    AFTER_SID,
];

/// Parameters of lists that are paged only in Twilio's dialect.
pub(crate) const TWILIO_PAGING: &[Param] = &[
    param("PageSize", Is::Number, "Rows per page; 50 if not given.").within(TWILIO),
    param("Page", Is::Number, "Number of the page, counted from 0.").within(TWILIO),
    param(
        "PageToken",
        Is::Text,
        "Start of the page, as given in `next_page_uri`.",
    )
    .within(TWILIO),
];

/// The sort order of a list.
///
/// - `keys`: what it can be sorted by
pub(crate) const fn sorting(keys: &'static str) -> Param {
    param("SortBy", Is::Text, keys).within(RESTCOMM)
}

/// The accounts whose rows are listed.
pub(crate) const SCOPE: &[Param] = &[param(
    "SubAccounts",
    Is::Flag,
    "Also the rows of all accounts below this one.",
)
.within(RESTCOMM)];

impl Route {
    const fn new(method: Verb, paths: &'static [&'static str], handle: Handler) -> Self {
        Self {
            method,
            paths,
            within: [true, true],
            action: Action::Read,
            target: "",
            top_only: false,
            params: &[],
            instead: &[],
            takes_headers: false,
            document: None,
            answers: Answers::Nothing,
            status: [200, 200],
            refuses: [&[], &[]],
            doc: "",
            handle,
        }
    }

    pub(crate) const fn get(paths: &'static [&'static str], handle: Handler) -> Self {
        Self::new(Verb::Get, paths, handle)
    }

    /// Creates a resource, unless the row says otherwise.
    pub(crate) const fn post(paths: &'static [&'static str], handle: Handler) -> Self {
        Self::new(Verb::Post, paths, handle)
    }

    pub(crate) const fn put(paths: &'static [&'static str], handle: Handler) -> Self {
        Self::new(Verb::Put, paths, handle)
    }

    pub(crate) const fn delete(paths: &'static [&'static str], handle: Handler) -> Self {
        let mut route = Self::new(Verb::Delete, paths, handle);
        route.status = [200, 204];
        route
    }

    pub(crate) const fn link(paths: &'static [&'static str], handle: Handler) -> Self {
        Self::new(Verb::Link, paths, handle)
    }

    pub(crate) const fn unlink(paths: &'static [&'static str], handle: Handler) -> Self {
        Self::new(Verb::Unlink, paths, handle)
    }

    /// Sets the permission that the caller's role needs.
    pub(crate) const fn needs(mut self, action: Action, target: &'static str) -> Self {
        self.action = action;
        self.target = target;
        self
    }

    /// Reserves it for the top account.
    pub(crate) const fn top_only(mut self) -> Self {
        self.top_only = true;
        self
    }

    pub(crate) const fn params(mut self, params: &'static [&'static [Param]]) -> Self {
        self.params = params;
        self
    }

    pub(crate) const fn takes_headers(mut self) -> Self {
        self.takes_headers = true;
        self
    }

    pub(crate) const fn instead(
        mut self,
        instead: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.instead = instead;
        self
    }

    /// Its body is a JSON document with this schema.
    pub(crate) const fn takes(mut self, schema: &'static str) -> Self {
        self.document = Some(schema);
        self
    }

    pub(crate) const fn answers(mut self, answers: Answers) -> Self {
        self.answers = answers;
        self
    }

    pub(crate) const fn status(mut self, status: Each<u16>) -> Self {
        self.status = status;
        self
    }

    pub(crate) const fn refuses(mut self, statuses: Each<&'static [u16]>) -> Self {
        self.refuses = statuses;
        self
    }

    pub(crate) const fn within(mut self, dialects: Each<bool>) -> Self {
        self.within = dialects;
        self
    }

    pub(crate) const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// Whether it changes a resource that a GET of the same path shows.
    pub(crate) fn is_change_of_one(&self) -> bool {
        let shows_it = |route: &Route| {
            route.method == Verb::Get && route.paths == self.paths && route.answers.is_single()
        };
        let mut routes = resources::all();
        self.method != Verb::Get && routes.any(shows_it)
    }

    /// Whether its path can be linked to other resources.
    pub(crate) fn has_links(&self) -> bool {
        let mut routes = resources::ROUTES.iter().copied().flatten();
        routes.any(|route| route.method == Verb::Link && route.paths == self.paths)
    }

    /// Every status with which a request for it can be refused, in order.
    pub(crate) fn refusals(&self, dialect: &RestDialect) -> Vec<u16> {
        let mut statuses = vec![400, 401, 403, 429, 500, 503];
        if self.paths.iter().any(|path| path.contains('{')) {
            statuses.push(404);
        }
        if matches!(self.method, Verb::Post | Verb::Put) {
            statuses.extend([408, 409, 413, 415]);
        }
        if self.method == Verb::Post {
            statuses.push(422);
        }
        if self.method != Verb::Get {
            statuses.push(412);
        }
        statuses.extend(dialect.pick(self.refuses));
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }

    /// Its parameters in a dialect.
    pub(crate) fn params_in(&self, dialect: &RestDialect) -> impl Iterator<Item = &'static Param> {
        let groups: &'static [&'static [Param]] = self.params;
        groups
            .iter()
            .copied()
            .flatten()
            .filter(|param| dialect.pick(param.within))
    }
}

/// Every route of a dialect.
pub(crate) fn all(dialect: &RestDialect) -> impl Iterator<Item = &'static Route> {
    let tables: &'static [&'static [Route]] = resources::TABLES
        .get(dialect.table)
        .copied()
        .unwrap_or_default();
    tables
        .iter()
        .copied()
        .flatten()
        .filter(|route| dialect.pick(route.within))
}

/// The match of a path.
pub(crate) struct Found<'a> {
    /// The path that matches, as its route has it.
    pub(crate) path: &'static str,
    /// The row of the method, or `Err` with the supported methods.
    pub(crate) route: Result<&'static Route, String>,
    /// The segment that names the account.
    pub(crate) account: Option<&'a str>,
    /// The other open segments of the route's path, separated by `/`; empty if there are none.
    pub(crate) segment: String,
}

/// Finds the row of a request; of matching paths, the first in the tables wins.
pub(crate) fn find<'a>(dialect: &RestDialect, method: Verb, path: &[&'a str]) -> Option<Found<'a>> {
    let (pattern, account, segment) =
        all(dialect)
            .flat_map(|route| route.paths)
            .find_map(|pattern| {
                let (account, segment) = matched(pattern, path)?;
                Some((*pattern, account, segment))
            })?;
    let rows: Vec<&Route> = all(dialect)
        .filter(|route| route.paths.contains(&pattern))
        .collect();
    let row = rows.iter().find(|route| route.method == method);
    let route = row.copied().ok_or_else(|| {
        let methods: Vec<&str> = rows.iter().map(|route| route.method.as_str()).collect();
        methods.join(", ")
    });
    Some(Found {
        path: pattern,
        route,
        account,
        segment,
    })
}

/// The account and the other open segments, if the path matches.
fn matched<'a>(pattern: &str, path: &[&'a str]) -> Option<(Option<&'a str>, String)> {
    let mut parts = pattern.split('/').skip(1);
    let (mut account, mut open) = (None, Vec::new());
    for segment in path {
        match parts.next()? {
            "{account}" => account = Some(*segment),
            part if part.starts_with('{') => open.push(*segment),
            part if part == *segment => {}
            _ => return None,
        }
    }
    parts.next().is_none().then(|| (account, open.join("/")))
}

/// A row, for tests that call every route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// `GET`, `POST`, `PUT`, `DELETE`, `LINK` or `UNLINK`.
    pub method: &'static str,
    /// Complete path, with `{account}` and one more `{…}` to be filled in.
    pub path: String,
    /// The permission that the caller's role needs: `Create`, `Read`, `Modify` or `Delete`.
    pub action: &'static str,
    /// The kind of resource in permissions.
    pub target: &'static str,
    /// Whether only the top account has it.
    pub top_only: bool,
}

/// Every method of every path, in all dialects.
#[must_use]
pub fn routes() -> Vec<RouteInfo> {
    let mut rows = Vec::new();
    for dialect in RestDialect::ALL {
        for route in all(dialect) {
            rows.extend(route.paths.iter().map(|path| RouteInfo {
                method: route.method.as_str(),
                path: format!("{}{path}", dialect.base),
                action: route.action.as_str(),
                target: route.target,
                top_only: route.top_only,
            }));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_segments_win_and_methods_are_known() {
        let restcomm = &RestDialect::RESTCOMM;
        let find = |method, path: &'static str| {
            let path: Vec<&str> = path.split('/').collect();
            let found = find(restcomm, method, &path)?;
            let found = (
                found.route.map(|route| route.target),
                found.account,
                found.segment,
            );
            Some(found)
        };
        let deliveries = "Accounts/AC1/Webhooks/Deliveries/Replay";
        assert_eq!(
            find(Verb::Post, deliveries),
            Some((Ok("Webhooks"), Some("AC1"), String::new()))
        );
        assert_eq!(
            find(Verb::Get, deliveries),
            Some((Err("POST".to_owned()), Some("AC1"), String::new()))
        );
        assert_eq!(
            find(Verb::Get, "Accounts/AC1/Calls/CA1"),
            Some((Ok("Calls"), Some("AC1"), "CA1".to_owned()))
        );
        let of_two = Some((Ok("Conferences"), Some("AC1"), "CF1/CA1".to_owned()));
        let participant = "Accounts/AC1/Conferences/CF1/Participants/CA1";
        assert_eq!(find(Verb::Get, participant), of_two);
        assert_eq!(find(Verb::Get, "Accounts/AC1/Nothing"), None);
        assert_eq!(
            find(Verb::Get, "Accounts/AC1/Calls/CA1/Notifications/NO1"),
            None
        );
    }

    #[test]
    fn names_are_unique_and_everything_is_documented() {
        for dialect in RestDialect::ALL {
            for route in all(dialect) {
                let place = format!("{} {:?}", route.method.as_str(), route.paths);
                assert!(!route.doc.is_empty() && !route.target.is_empty(), "{place}");
                let mut names: Vec<&str> = route.params_in(dialect).map(|p| p.name).collect();
                assert!(
                    route.params_in(dialect).all(|p| !p.doc.is_empty()),
                    "{place}"
                );
                names.sort_unstable();
                let count = names.len();
                names.dedup();
                assert_eq!(names.len(), count, "{place}");
            }
        }
    }
}
