//! Paged lists: what part is asked for, and the envelope around it.

use std::fmt::Write;

use store::{Rows, Sort, Window};

use crate::failure::Failure;
use crate::format::Format;
use crate::params::{Params, shown};
use crate::value::{Entry, json_list, json_text, xml_element, xml_text};

const DEFAULT_SIZE: i64 = 50;
const LARGEST_SIZE: i64 = 10_000;

/// The page asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    number: i64,
    size: i64,
}

/// Names of a paged list.
pub(crate) struct ListNames<'a> {
    /// Path of the list in links.
    pub(crate) uri: &'a str,
    /// Key of the array in JSON.
    pub(crate) json: &'static str,
    /// XML element of the list.
    pub(crate) xml: &'static str,
    /// XML element of an item.
    pub(crate) xml_item: &'static str,
    /// Whether the XML list carries the envelope.
    pub(crate) xml_envelope: bool,
}

impl Page {
    pub(crate) fn read(params: &Params) -> Result<Self, Failure> {
        let number = params.parsed("Page", "a whole number")?.unwrap_or(0);
        let size = params
            .parsed("PageSize", "a whole number")?
            .unwrap_or(DEFAULT_SIZE);
        if !(0..=i64::MAX / LARGEST_SIZE).contains(&number) {
            return Err(Failure::parameter("Page", "pages are counted from 0"));
        }
        if !(1..=LARGEST_SIZE).contains(&size) {
            return Err(Failure::parameter("PageSize", "must be from 1 to 10000"));
        }
        Ok(Self { number, size })
    }

    pub(crate) fn window(self) -> Window {
        Window {
            offset: self.number.saturating_mul(self.size),
            limit: self.size,
        }
    }

    /// The text of a page of rows, shown as `items`.
    ///
    /// # Errors
    /// 400 if the page lies behind the last.
    pub(crate) fn write<T>(
        self,
        format: Format,
        names: &ListNames<'_>,
        rows: &Rows<T>,
        show: impl Fn(&T) -> (String, Vec<Entry>),
    ) -> Result<String, Failure> {
        let last = rows.total / self.size;
        if self.number > last {
            return Err(Failure::parameter(
                "Page",
                &format!("the last page is {last}"),
            ));
        }
        let (sids, items): (Vec<_>, Vec<_>) = rows.items.iter().map(show).unzip();
        let last_sid = sids.last().map_or("", String::as_str);
        let envelope = self.envelope(names.uri, rows.total, items.len(), last_sid);
        Ok(match format {
            Format::Json => json(names, &envelope, &items),
            Format::Xml => xml(names, &envelope, &items),
        })
    }

    fn envelope(self, uri: &str, total: i64, items: usize, last_sid: &str) -> Vec<Member> {
        let Self { number, size } = self;
        let last = total / size;
        let start = number.saturating_mul(size);
        let items = i64::try_from(items).unwrap_or(i64::MAX);
        let end = if number == last {
            start + items
        } else {
            start + size - 1
        };
        let link = |page: i64| format!("{uri}?Page={page}&PageSize={size}");
        let previous = if number == 0 {
            "null".to_owned()
        } else {
            link(number - 1)
        };
        let next = if number == last {
            "null".to_owned()
        } else {
            format!("{}&AfterSid={last_sid}", link(number + 1))
        };
        vec![
            Member::number("page", "page", number),
            Member::number("num_pages", "numpages", last),
            Member::number("page_size", "pagesize", size),
            Member::number("total", "total", total),
            Member::text("start", "start", start.to_string()),
            Member::text("end", "end", end.to_string()),
            Member::text("uri", "uri", uri.to_owned()),
            Member::text("first_page_uri", "firstpageuri", link(0)),
            Member::text("previous_page_uri", "previouspageuri", previous),
            Member::text("next_page_uri", "nextpageuri", next),
            Member::text("last_page_uri", "lastpageuri", link(last)),
        ]
    }
}

/// One member of the envelope.
struct Member {
    json: &'static str,
    xml: &'static str,
    value: String,
    is_number: bool,
}

impl Member {
    fn number(json: &'static str, xml: &'static str, value: i64) -> Self {
        Self {
            json,
            xml,
            value: value.to_string(),
            is_number: true,
        }
    }

    fn text(json: &'static str, xml: &'static str, value: String) -> Self {
        Self {
            json,
            xml,
            value,
            is_number: false,
        }
    }
}

fn json(names: &ListNames<'_>, envelope: &[Member], items: &[Vec<Entry>]) -> String {
    let mut out = String::from("{");
    for member in envelope {
        json_text(&mut out, member.json);
        out.push(':');
        if member.is_number {
            out.push_str(&member.value);
        } else {
            json_text(&mut out, &member.value);
        }
        out.push(',');
    }
    json_text(&mut out, names.json);
    out.push(':');
    json_list(&mut out, items);
    out.push('}');
    out
}

fn xml(names: &ListNames<'_>, envelope: &[Member], items: &[Vec<Entry>]) -> String {
    let mut out = format!("<RestcommResponse><{}", names.xml);
    for member in envelope.iter().filter(|_| names.xml_envelope) {
        let _ = write!(out, " {}=\"", member.xml);
        xml_text(&mut out, &member.value);
        out.push('"');
    }
    out.push('>');
    for item in items {
        xml_element(&mut out, names.xml_item, item);
    }
    let _ = write!(out, "</{}></RestcommResponse>", names.xml);
    out
}

/// The order that `SortBy=Field[:asc|:desc]` asks for; an unknown field asks for none.
///
/// # Errors
/// 400 without a field or with another direction.
pub(crate) fn sort_by<K>(
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
        Page::read(&Params::parse(query.as_bytes()))
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
            let envelope = Page { number, size }.envelope("/l", total, items, "CA1");
            let value = |name| {
                let found = envelope.iter().find(|member| member.json == name);
                found.map(|member| member.value.as_str())
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
            let found = sort_by(&Params::parse(query.as_bytes()), key);
            let found = found.ok().map(|sort| sort.map(|sort| sort.descending));
            assert_eq!(found, expected, "{query}");
        }
    }
}
