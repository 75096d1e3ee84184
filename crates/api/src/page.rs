//! Paged lists: the requested page, and the envelope around it.

use std::fmt::Write;

use model::{Timestamp, error};
use store::{Place, RowKey, Rows, Sort, Window};
use url::form_urlencoded::Serializer;

use crate::context::{Answer, Context, Reply};
use crate::dialect::{Paging, RestDialect};
use crate::failure::Failure;
use crate::format::Format;
use crate::params::{Params, shown};
use crate::value::{Entry, Resource, json_list, json_text, xml_element, xml_text};

const DEFAULT_SIZE: i64 = 50;
/// Parameters that select a page of a list rather than its rows.
const OF_PAGES: [&str; 4] = ["Page", "PageSize", "PageToken", "AfterSid"];

/// The requested page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    paging: Paging,
    number: i64,
    size: i64,
    place: Place,
}

impl Page {
    pub(crate) fn read(context: &Context<'_>) -> Result<Self, Failure> {
        Self::of(&context.params, context.dialect)
    }

    fn of(params: &Params, dialect: &RestDialect) -> Result<Self, Failure> {
        let most = dialect.max_page_size;
        let number = params.parsed("Page", "a whole number")?.unwrap_or(0);
        let size = params
            .parsed("PageSize", "a whole number")?
            .unwrap_or(DEFAULT_SIZE);
        if !(0..=i64::MAX / most).contains(&number) {
            return Err(Failure::parameter("Page", "pages are counted from 0"));
        }
        if !(1..=most).contains(&size) {
            let reason = format!("must be from 1 to {most}");
            return Err(Failure::parameter("PageSize", &reason));
        }
        let place = match dialect.paging {
            Paging::Numbered => match params.filled("AfterSid") {
                Some(sid) => Place::AfterRow(row_of(sid.trim())?),
                None => Place::Offset,
            },
            Paging::Keyed | Paging::Meta => match params.filled("PageToken") {
                Some(token) => of_token(token)
                    .ok_or_else(|| Failure::parameter("PageToken", "this is not a page token"))?,
                None => Place::Newest,
            },
        };
        Ok(Self {
            paging: dialect.paging,
            number,
            size,
            place,
        })
    }

    /// The only page of a short list, with all its rows.
    pub(crate) fn whole(context: &Context<'_>, rows: usize) -> Self {
        Self {
            paging: context.dialect.paging,
            number: 0,
            size: i64::try_from(rows).unwrap_or(i64::MAX).max(1),
            place: Place::Newest,
        }
    }

    /// The window to request from the store. Next to a row, it is one row more than the page has,
    /// which shows whether another page follows.
    pub(crate) fn window(&self) -> Window {
        let mut window = Window::at(self.number.saturating_mul(self.size), self.size);
        if self.place != Place::Offset {
            window.limit += 1;
        }
        window.place = self.place.clone();
        window
    }

    /// The rows in their envelope.
    ///
    /// - `path`: of the list, below the base path
    /// - `key`: a row's position in the list
    ///
    /// # Errors
    /// 400 if the page is beyond the last one.
    pub(crate) fn show<T>(
        &self,
        context: &Context<'_>,
        resource: &Resource<T>,
        path: &str,
        rows: Rows<T>,
        key: impl Fn(&T) -> RowKey,
    ) -> Answer {
        let view = context.view();
        let dialect = context.dialect;
        let total = rows.total;
        let (rows, older, newer) = self.without_extra(rows.items, total);
        let items: Vec<_> = rows.iter().map(|row| resource.entries(row, view)).collect();
        let ends = rows.first().map(&key).zip(rows.last().map(&key));
        let filters = context.params.without(&OF_PAGES);
        let suffix = match context.format {
            Format::Json => ".json",
            Format::Xml => "",
        };
        let envelope = match self.paging {
            Paging::Numbered => {
                let last = total / self.size;
                if self.place == Place::Offset && self.number > last {
                    let reason = format!("the last page is {last}");
                    return Err(Failure::parameter("Page", &reason));
                }
                let next = ends.filter(|_| older).map(|(_, last)| last.sid);
                let uri = format!("{}{path}{suffix}", dialect.link_base);
                self.numbered(&uri, &filters, total, items.len(), next)
            }
            Paging::Keyed | Paging::Meta => {
                let suffix = if dialect.suffix.is_empty() {
                    ""
                } else {
                    suffix
                };
                let path = format!("{}{path}{suffix}", dialect.link_base);
                let first = ends.as_ref().filter(|_| newer).map(|(first, _)| first);
                let last = ends.as_ref().filter(|_| older).map(|(_, last)| last);
                self.keyed(&path, &filters, items.len(), first, last)
            }
        };
        if self.paging == Paging::Meta {
            let key = dialect.pick(resource.json_list);
            let base = &context.state.public_base;
            let text = json_with_meta(dialect, (key, base), &envelope, &items);
            return Ok(Reply::Document(text.into()));
        }
        let list = dialect.pick(resource.xml_list);
        let text = match context.format {
            Format::Json => {
                let key = dialect.pick(resource.json_list);
                json(dialect, key, &envelope, &items)
            }
            Format::Xml => {
                let names = (list, dialect.pick(resource.xml));
                let envelope = if dialect.pick(resource.xml_envelope) {
                    &envelope[..]
                } else {
                    &[]
                };
                xml(dialect, names, envelope, &items)
            }
        };
        Ok(Reply::Document(text.into()))
    }

    /// The rows of the page, and whether there are pages after and before it.
    fn without_extra<T>(&self, mut rows: Vec<T>, total: i64) -> (Vec<T>, bool, bool) {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        match self.place {
            // As in Restcomm: a full last page is followed by an empty one.
            Place::Offset => (rows, self.number < total / self.size, self.number > 0),
            Place::NewerThan(_) => {
                if more {
                    rows.remove(0);
                }
                (rows, true, more)
            }
            Place::OlderThan(_) | Place::AfterRow(_) => {
                rows.truncate(size);
                (rows, more, true)
            }
            Place::Newest => {
                rows.truncate(size);
                (rows, more, self.number > 0)
            }
        }
    }

    /// - `filters`: parameters that select and sort the rows, which links to other pages repeat
    /// - `next`: the last row of the page, if there is a page after it
    fn numbered(
        &self,
        uri: &str,
        filters: &[(String, String)],
        total: i64,
        items: usize,
        next: Option<String>,
    ) -> Vec<Member> {
        let Self { number, size, .. } = *self;
        let last = total / size;
        let start = number.saturating_mul(size);
        let items = i64::try_from(items).unwrap_or(i64::MAX);
        let end = if next.is_none() {
            start + items
        } else {
            start + size - 1
        };
        let link = |page: i64, after: Option<String>| {
            let mut query = Serializer::new(String::new());
            query.append_pair("Page", &page.to_string());
            query.append_pair("PageSize", &size.to_string());
            if let Some(sid) = after {
                query.append_pair("AfterSid", &sid);
            }
            query.extend_pairs(filters);
            format!("{uri}?{}", query.finish())
        };
        let none = || "null".to_owned();
        let previous = (number > 0).then(|| link(number - 1, None));
        let previous = previous.unwrap_or_else(none);
        let next = next.map_or_else(none, |sid| link(number + 1, Some(sid)));
        vec![
            Member::number("page", "page", number),
            Member::number("num_pages", "numpages", last),
            Member::number("page_size", "pagesize", size),
            Member::number("total", "total", total),
            Member::text("start", "start", start.to_string()),
            Member::text("end", "end", end.to_string()),
            Member::text("uri", "uri", uri.to_owned()),
            Member::text("first_page_uri", "firstpageuri", link(0, None)),
            Member::text("previous_page_uri", "previouspageuri", previous),
            Member::text("next_page_uri", "nextpageuri", next),
            Member::text("last_page_uri", "lastpageuri", link(last, None)),
        ]
    }

    /// - `first`, `last`: keys of the first and last row, if there are rows beyond them
    fn keyed(
        &self,
        path: &str,
        filters: &[(String, String)],
        items: usize,
        first: Option<&RowKey>,
        last: Option<&RowKey>,
    ) -> Vec<Member> {
        let Self { number, size, .. } = *self;
        let start = number.saturating_mul(size);
        let items = i64::try_from(items).unwrap_or(i64::MAX);
        let link = |page: i64, token: Option<String>| {
            let mut query = Serializer::new(String::new());
            query.extend_pairs(filters);
            query.append_pair("PageSize", &size.to_string());
            query.append_pair("Page", &page.to_string());
            if let Some(token) = token {
                query.append_pair("PageToken", &token);
            }
            format!("{path}?{}", query.finish())
        };
        let next = last.map(|key| link(number.saturating_add(1), Some(token("PA", key))));
        let previous = first.map(|key| link((number - 1).max(0), Some(token("PB", key))));
        vec![
            Member::number("page", "page", number),
            Member::number("page_size", "pagesize", size),
            Member::number("start", "start", start),
            Member::number("end", "end", (start + items - 1).max(start)),
            Member::text("uri", "uri", link(number, None)),
            Member::text("first_page_uri", "firstpageuri", link(0, None)),
            Member::maybe("previous_page_uri", "previouspageuri", previous),
            Member::maybe("next_page_uri", "nextpageuri", next),
        ]
    }
}

/// The identifier of a row.
fn row_of(sid: &str) -> Result<String, Failure> {
    // Two letters and 32 hexadecimal digits; long ones are preceded by another such part.
    let is_short = |part: &str| {
        part.split_at_checked(2).is_some_and(|(kind, digits)| {
            let is_hex = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            is_hex && kind.bytes().all(|b| b.is_ascii_uppercase())
        })
    };
    if sid.split('-').all(is_short) {
        return Ok(sid.to_owned());
    }
    let reason = format!(
        "`{}` is not an identifier; use the value from `next_page_uri`",
        shown(sid)
    );
    Err(Failure::parameter("AfterSid", &reason))
}

/// A row's position in a list.
pub(crate) fn row_key(created: Timestamp, sid: impl ToString) -> RowKey {
    RowKey {
        created,
        sid: sid.to_string(),
    }
}

/// The text for a page next to a row: `PA` for older rows, `PB` for newer ones.
fn token(side: &str, key: &RowKey) -> String {
    format!("{side}{}-{}", key.created.0, key.sid)
}

fn of_token(token: &str) -> Option<Place> {
    let (side, key) = token.split_at_checked(2)?;
    let (created, sid) = key.split_once('-')?;
    let key = RowKey {
        created: Timestamp(created.parse().ok()?),
        sid: sid.to_owned(),
    };
    match side {
        "PA" => Some(Place::OlderThan(key)),
        "PB" => Some(Place::NewerThan(key)),
        _ => None,
    }
}

/// One member of the envelope.
struct Member {
    json: &'static str,
    xml: &'static str,
    /// `None` becomes null in JSON and is omitted from XML.
    value: Option<String>,
    is_number: bool,
}

impl Member {
    fn number(json: &'static str, xml: &'static str, value: i64) -> Self {
        Self {
            json,
            xml,
            value: Some(value.to_string()),
            is_number: true,
        }
    }

    fn text(json: &'static str, xml: &'static str, value: String) -> Self {
        Self::maybe(json, xml, Some(value))
    }

    fn maybe(json: &'static str, xml: &'static str, value: Option<String>) -> Self {
        Self {
            json,
            xml,
            value,
            is_number: false,
        }
    }
}

fn json(dialect: &RestDialect, key: &str, envelope: &[Member], items: &[Vec<Entry>]) -> String {
    let mut out = String::from("{");
    for member in envelope {
        json_text(&mut out, member.json);
        out.push(':');
        match &member.value {
            None => out.push_str("null"),
            Some(value) if member.is_number => out.push_str(value),
            Some(value) => json_text(&mut out, value),
        }
        out.push(',');
    }
    json_text(&mut out, key);
    out.push(':');
    json_list(&mut out, dialect, items);
    out.push('}');
    out
}

/// The envelope as a member of its own, with complete addresses.
///
/// - `names`: key of the list, and the address of this server
fn json_with_meta(
    dialect: &RestDialect,
    (key, base): (&str, &str),
    envelope: &[Member],
    items: &[Vec<Entry>],
) -> String {
    let mut meta = serde_json::Map::new();
    meta.insert("key".to_owned(), key.into());
    for member in envelope {
        let value = match (&member.value, member.json.strip_suffix("uri")) {
            (Some(path), Some(_)) => format!("{base}{path}").into(),
            (Some(text), None) => text
                .parse::<i64>()
                .map_or(serde_json::Value::Null, Into::into),
            (None, _) => serde_json::Value::Null,
        };
        if !matches!(member.json, "start" | "end") {
            meta.insert(member.json.replace("uri", "url"), value);
        }
    }
    let mut out = String::from("{\"meta\":");
    out.push_str(&serde_json::Value::Object(meta).to_string());
    out.push(',');
    json_text(&mut out, key);
    out.push(':');
    json_list(&mut out, dialect, items);
    out.push('}');
    out
}

/// - `names`: names of the elements of the list and of an item
fn xml(
    dialect: &RestDialect,
    names: (&str, &str),
    envelope: &[Member],
    items: &[Vec<Entry>],
) -> String {
    let root = dialect.root;
    let (list, item) = names;
    let mut out = format!("<{root}><{list}");
    for member in envelope {
        let Some(value) = &member.value else { continue };
        let _ = write!(out, " {}=\"", member.xml);
        xml_text(&mut out, value);
        out.push('"');
    }
    out.push('>');
    for entries in items {
        xml_element(&mut out, dialect, item, entries);
    }
    let _ = write!(out, "</{list}></{root}>");
    out
}

/// The order requested by `SortBy=Field[:asc|:desc]`. An unknown field requests none, as in Restcomm, and is reported.
///
/// - `names`: the fields, for the report; all rows have the same price
///
/// # Errors
/// 400 without a field or with an unknown direction.
pub(crate) fn sort_by<K>(
    context: &Context<'_>,
    names: &str,
    key: impl Fn(&str) -> Option<K>,
) -> Result<Option<Sort<K>>, Failure> {
    let sort = read_sort(&context.params, key)?;
    if sort.is_none()
        && let Some(text) = context.params.filled("SortBy")
        && !text.starts_with("Price")
    {
        let text = format!(
            "SortBy: `{}` is not a property to sort by, so the default order was used; write {names}",
            shown(text)
        );
        context.warnings.add(error::REQUEST_WARNING, text);
    }
    Ok(sort)
}

fn read_sort<K>(
    params: &Params,
    key: impl Fn(&str) -> Option<K>,
) -> Result<Option<Sort<K>>, Failure> {
    let Some(text) = params.filled("SortBy") else {
        return Ok(None);
    };
    let (field, direction) = text.split_once(':').unwrap_or((text, "asc"));
    if field.is_empty() {
        return Err(Failure::parameter("SortBy", "the field is missing"));
    }
    let descending = match direction.to_ascii_lowercase().as_str() {
        "asc" => false,
        "desc" => true,
        other => {
            return Err(Failure::parameter(
                "SortBy",
                &format!("`{}` is neither asc nor desc", shown(other)),
            ));
        }
    };
    Ok(key(field).map(|key| Sort { key, descending }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, Failure> {
        Page::of(
            &Params::parse(query.as_bytes()).unwrap(),
            &RestDialect::RESTCOMM,
        )
    }

    #[test]
    fn tokens_name_a_row_and_a_side() {
        let key = RowKey {
            created: Timestamp(17),
            sid: "CA1".to_owned(),
        };
        let table = [
            ("PA17-CA1", Some(Place::OlderThan(key.clone()))),
            ("PB17-CA1", Some(Place::NewerThan(key))),
            ("PC17-CA1", None),
            ("PAx-CA1", None),
            ("P", None),
            ("\u{20ac}17-CA1", None),
        ];
        for (token, place) in table {
            assert_eq!(of_token(token), place, "{token}");
        }
    }

    #[test]
    fn start_and_end_follow_the_rows() {
        // Page, size, total, items → last page, start, end.
        let table = [
            (0, 50, 448, 50, 8, "0", "49"),
            (2, 50, 448, 50, 8, "100", "149"),
            (8, 50, 448, 48, 8, "400", "448"),
            (0, 50, 34, 34, 0, "0", "34"),
            (10, 50, 501, 1, 10, "500", "501"),
            (2, 50, 100, 0, 2, "100", "100"),
        ];
        for (number, size, total, items, last, start, end) in table {
            let page = Page {
                paging: Paging::Numbered,
                number,
                size,
                place: Place::Offset,
            };
            let (_, more, _) = page.without_extra(vec![(); items], total);
            let next = more.then(|| "CA1".to_owned());
            let envelope = page.numbered("/l", &[], total, items, next);
            let value = |name| {
                let found = envelope.iter().find(|member| member.json == name);
                found.and_then(|member| member.value.as_deref())
            };
            assert_eq!(value("num_pages"), Some(last.to_string().as_str()));
            assert_eq!((value("start"), value("end")), (Some(start), Some(end)));
            let ends = (
                value("previous_page_uri") == Some("null"),
                value("next_page_uri") == Some("null"),
            );
            assert_eq!(
                ends,
                (number == 0, number == last),
                "page {number} of {total}"
            );
        }
    }

    #[test]
    fn refuses_pages_that_cannot_be() {
        for good in ["", "Page=3&PageSize=1", "PageSize=10000"] {
            assert!(page(good).is_ok(), "{good}");
        }
        for bad in [
            "Page=-1",
            "Page=x",
            "PageSize=0",
            "PageSize=x",
            "PageSize=10001",
        ] {
            assert!(page(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_orders() {
        let key = |field: &str| (field == "To").then_some(1);
        let table = [
            ("", Some(None)),
            ("SortBy=", Some(None)),
            ("SortBy=To", Some(Some(false))),
            ("SortBy=To:DESC", Some(Some(true))),
            ("SortBy=Other:asc", Some(None)),
            ("SortBy=:asc", None),
            ("SortBy=To:invalid", None),
        ];
        for (query, expected) in table {
            let found = read_sort(&Params::parse(query.as_bytes()).unwrap(), key);
            let found = found.ok().map(|sort| sort.map(|sort| sort.descending));
            assert_eq!(found, expected, "{query}");
        }
    }
}
