//! One table of fields per resource, and the JSON and XML written from it.
//!
//! **Invariant: JSON and XML of a resource come from the same table.** A field defines its names,
//! its kind, its form without a value, its meaning, and how it is read from the record, for every
//! dialect.

use std::fmt::{Display, Write};

use model::address::redacted;
use model::{AccountSid, Timestamp};
use store::RecordingLinks;

use crate::dialect::{Each, RestDialect};

/// The context that a field needs besides its record.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// Dialect of the request.
    pub(crate) dialect: &'static RestDialect,
    /// Base of absolute links, `http://host`.
    pub(crate) public_base: &'a str,
    /// Signs links to media.
    pub(crate) links: &'a RecordingLinks,
    /// Whether the digests of clients are shown.
    pub(crate) shows_digests: bool,
    /// Whether secret fields are left out, and the logins in addresses.
    pub(crate) hides_secrets: bool,
}

impl View<'_> {
    /// Path of a resource as links show it.
    pub(crate) fn uri(&self, account: AccountSid, kind: &str, sid: impl Display) -> String {
        format!("{}/Accounts/{account}/{kind}/{sid}", self.dialect.link_base)
    }
}

/// A value before formatting.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Not even a null.
    Absent,
    Null,
    Text(String),
    Number(i64),
    /// A number with a fraction, as it is written.
    Decimal(String),
    Flag(bool),
    /// A creation or update time.
    Date(Timestamp),
    /// Any other time.
    Time(Timestamp),
    /// Path of a resource below the version; `.json` is appended in JSON.
    Link(String),
    /// A path that differs between the dialects in another way.
    Links {
        json: String,
        xml: String,
    },
    Object(Vec<Entry>),
    /// Texts whose names are not fixed.
    Texts(Vec<(String, String)>),
    /// Items and the XML name of each.
    List(&'static str, Vec<Vec<Entry>>),
}

/// The kind of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Decimal,
    Flag,
    Date,
    Time,
    Link,
    Object,
    List,
}

/// The form of a field without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Null {
    /// It always has a value.
    Never,
    /// Omitted.
    Absent,
    /// Omitted from JSON, an empty element in XML.
    Empty,
    /// `null` in JSON, omitted from XML.
    Explicit,
}

/// One field of a resource. An empty name omits the field from that format.
pub(crate) struct Field<T: 'static> {
    pub(crate) json: Each<&'static str>,
    pub(crate) xml: Each<&'static str>,
    pub(crate) kind: Each<Kind>,
    pub(crate) null: Each<Null>,
    pub(crate) doc: &'static str,
    /// Whether its value gives access to something.
    pub(crate) secret: bool,
    pub(crate) get: Each<fn(&T, View<'_>) -> Value>,
}

/// A field that is the same in all dialects, except that Twilio's clients expect explicit nulls.
pub(crate) const fn field<T>(
    json: &'static str,
    xml: &'static str,
    kind: Kind,
    null: Null,
    doc: &'static str,
    get: fn(&T, View<'_>) -> Value,
) -> Field<T> {
    Field {
        json: [json, json],
        xml: [xml, xml],
        kind: [kind, kind],
        null: match null {
            Null::Never => [null, null],
            Null::Absent | Null::Empty | Null::Explicit => [null, Null::Explicit],
        },
        doc,
        secret: false,
        get: [get, get],
    }
}

impl<T> Field<T> {
    /// Restricts it to the given dialects.
    pub(crate) const fn within(mut self, dialects: Each<bool>) -> Self {
        let mut at = 0;
        while at < dialects.len() {
            if !dialects[at] {
                self.json[at] = "";
                self.xml[at] = "";
            }
            at += 1;
        }
        self
    }

    /// Keeps its value out of the audit log.
    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Gives it another kind and value in Twilio's dialect.
    pub(crate) const fn twilio(mut self, kind: Kind, get: fn(&T, View<'_>) -> Value) -> Self {
        let [restcomm_kind, _] = self.kind;
        let [restcomm_get, _] = self.get;
        self.kind = [restcomm_kind, kind];
        self.get = [restcomm_get, get];
        self
    }
}

/// The representation of a kind of resource.
pub(crate) struct Resource<T: 'static> {
    /// XML element of a single resource.
    pub(crate) xml: Each<&'static str>,
    /// XML element of a list.
    pub(crate) xml_list: Each<&'static str>,
    /// Key of a list in JSON.
    pub(crate) json_list: Each<&'static str>,
    /// Whether XML lists have the paging envelope.
    pub(crate) xml_envelope: Each<bool>,
    /// The fields, in order.
    pub(crate) fields: &'static [Field<T>],
}

/// A table without its record type, for the OpenAPI document.
pub(crate) trait Shape {
    /// Name of the resource.
    fn name(&self, dialect: &RestDialect) -> &'static str;
    /// Key of a list in JSON.
    fn list_key(&self, dialect: &RestDialect) -> &'static str;
    /// Name in JSON, kind, form without a value, and documentation of each field.
    fn json_fields(&self, dialect: &RestDialect) -> Vec<(&'static str, Kind, Null, &'static str)>;
}

impl<T> Shape for Resource<T> {
    fn name(&self, dialect: &RestDialect) -> &'static str {
        dialect.pick(self.xml)
    }

    fn list_key(&self, dialect: &RestDialect) -> &'static str {
        dialect.pick(self.json_list)
    }

    fn json_fields(&self, dialect: &RestDialect) -> Vec<(&'static str, Kind, Null, &'static str)> {
        let rows = self.fields.iter().map(|field| {
            let (json, kind) = (dialect.pick(field.json), dialect.pick(field.kind));
            (json, kind, dialect.pick(field.null), field.doc)
        });
        rows.filter(|(json, ..)| !json.is_empty()).collect()
    }
}

/// A field with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) json: &'static str,
    pub(crate) xml: &'static str,
    pub(crate) null: Null,
    pub(crate) value: Value,
}

impl<T> Resource<T> {
    /// The fields of a record.
    pub(crate) fn entries(&self, record: &T, view: View<'_>) -> Vec<Entry> {
        let dialect = view.dialect;
        let entry = |field: &Field<T>| {
            let (json, xml) = (dialect.pick(field.json), dialect.pick(field.xml));
            if json.is_empty() && xml.is_empty() || field.secret && view.hides_secrets {
                return None;
            }
            let value = match dialect.pick(field.get)(record, view) {
                Value::Text(text) if view.hides_secrets && is_address(&text) => {
                    Value::Text(redacted(&text))
                }
                value => value,
            };
            let kind = dialect.pick(field.kind);
            debug_assert!(value.is(kind), "{json} is {value:?}");
            let null = dialect.pick(field.null);
            let is_there = !matches!(value, Value::Absent | Value::Null);
            debug_assert!(is_there || null != Null::Never, "{json} has no value");
            Some(Entry {
                json,
                xml,
                null,
                value,
            })
        };
        self.fields.iter().filter_map(entry).collect()
    }
}

/// Whether a text is an HTTP address, which may have a login in it.
fn is_address(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    })
}

impl Value {
    /// Text of anything printable.
    pub(crate) fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    /// Text, or null.
    pub(crate) fn maybe(value: Option<impl ToString>) -> Self {
        value.map_or(Self::Null, Self::text)
    }

    /// Number, or null.
    pub(crate) fn number(value: Option<i64>) -> Self {
        value.map_or(Self::Null, Self::Number)
    }

    /// Time, or null.
    pub(crate) fn time(value: Option<Timestamp>) -> Self {
        value.map_or(Self::Null, Self::Time)
    }

    fn is(&self, kind: Kind) -> bool {
        match self {
            Self::Absent | Self::Null => true,
            Self::Text(_) => kind == Kind::Text,
            Self::Number(_) => kind == Kind::Number,
            Self::Decimal(_) => kind == Kind::Decimal,
            Self::Flag(_) => kind == Kind::Flag,
            Self::Date(_) => kind == Kind::Date,
            Self::Time(_) => kind == Kind::Time,
            Self::Link(_) | Self::Links { .. } => kind == Kind::Link,
            Self::Object(_) | Self::Texts(_) => kind == Kind::Object,
            Self::List(..) => kind == Kind::List,
        }
    }
}

/// Appends an object.
pub(crate) fn json_object(out: &mut String, dialect: &RestDialect, entries: &[Entry]) {
    out.push('{');
    let mut first = true;
    for entry in entries.iter().filter(|entry| entry.is_in_json()) {
        if !first {
            out.push(',');
        }
        first = false;
        json_text(out, entry.json);
        out.push(':');
        json_value(out, dialect, &entry.value);
    }
    out.push('}');
}

/// Appends an array of objects.
pub(crate) fn json_list(out: &mut String, dialect: &RestDialect, items: &[Vec<Entry>]) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        json_object(out, dialect, item);
    }
    out.push(']');
}

/// Appends a quoted string.
pub(crate) fn json_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn json_value(out: &mut String, dialect: &RestDialect, value: &Value) {
    match value {
        Value::Absent | Value::Null => out.push_str("null"),
        Value::Text(text) => json_text(out, text),
        Value::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Decimal(text) => out.push_str(text),
        Value::Flag(flag) => {
            let _ = write!(out, "{flag}");
        }
        Value::Date(at) => json_text(out, &(dialect.date)(*at)),
        Value::Time(at) => json_text(out, &(dialect.time)(*at)),
        Value::Link(path) => json_text(out, &format!("{path}.json")),
        Value::Links { json, .. } => json_text(out, json),
        Value::Object(entries) => json_object(out, dialect, entries),
        Value::Texts(texts) => {
            out.push('{');
            for (at, (name, text)) in texts.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                json_text(out, name);
                out.push(':');
                json_text(out, text);
            }
            out.push('}');
        }
        Value::List(_, items) => json_list(out, dialect, items),
    }
}

/// Appends an element with its fields.
pub(crate) fn xml_element(out: &mut String, dialect: &RestDialect, name: &str, entries: &[Entry]) {
    let _ = write!(out, "<{name}>");
    for entry in entries.iter().filter(|entry| !entry.xml.is_empty()) {
        match (&entry.value, entry.null) {
            (Value::Absent, _) | (Value::Null, Null::Never | Null::Absent | Null::Explicit) => {}
            (Value::Null, Null::Empty) => {
                let _ = write!(out, "<{}/>", entry.xml);
            }
            (value, _) => xml_value(out, dialect, entry.xml, value),
        }
    }
    let _ = write!(out, "</{name}>");
}

fn xml_value(out: &mut String, dialect: &RestDialect, name: &str, value: &Value) {
    let text = match value {
        Value::Absent | Value::Null => return,
        Value::Object(entries) => return xml_element(out, dialect, name, entries),
        Value::Texts(texts) => {
            let _ = write!(out, "<{name}>");
            for (name, text) in texts {
                out.push_str("<Item><Name>");
                xml_text(out, name);
                out.push_str("</Name><Value>");
                xml_text(out, text);
                out.push_str("</Value></Item>");
            }
            let _ = write!(out, "</{name}>");
            return;
        }
        Value::List(item, items) => {
            let _ = write!(out, "<{name}>");
            for entries in items {
                xml_element(out, dialect, item, entries);
            }
            let _ = write!(out, "</{name}>");
            return;
        }
        Value::Text(text) | Value::Decimal(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Date(at) => (dialect.date)(*at),
        Value::Time(at) => (dialect.time)(*at),
        Value::Link(path) => path.clone(),
        Value::Links { xml, .. } => xml.clone(),
    };
    let _ = write!(out, "<{name}>");
    xml_text(out, &text);
    let _ = write!(out, "</{name}>");
}

/// Appends the text of an element or attribute. Characters that XML 1.0 cannot represent become
/// U+FFFD.
pub(crate) fn xml_text(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

impl Entry {
    fn is_in_json(&self) -> bool {
        !self.json.is_empty()
            && match self.value {
                Value::Absent => false,
                Value::Null => self.null == Null::Explicit,
                _ => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: &[(Null, &str, &str)] = &[
        (Null::Absent, "{}", "<E></E>"),
        (Null::Empty, "{}", "<E><A/></E>"),
        (Null::Explicit, r#"{"a":null}"#, "<E></E>"),
    ];

    fn entry(null: Null, value: Value) -> Vec<Entry> {
        vec![Entry {
            json: "a",
            xml: "A",
            null,
            value,
        }]
    }

    fn both(entries: &[Entry]) -> (String, String) {
        let (mut json, mut xml) = (String::new(), String::new());
        json_object(&mut json, &RestDialect::RESTCOMM, entries);
        xml_element(&mut xml, &RestDialect::RESTCOMM, "E", entries);
        (json, xml)
    }

    #[test]
    fn nulls_follow_the_rule_of_the_field() {
        for (null, json, xml) in NOTHING {
            let expected = ((*json).to_owned(), (*xml).to_owned());
            assert_eq!(both(&entry(*null, Value::Null)), expected, "{null:?}");
        }
    }

    #[test]
    fn values_are_written_and_escaped() {
        let at = Timestamp(1_373_062_553_123_456);
        let table = [
            (
                Value::text("a\"<\\&\u{1}é"),
                r#""a\"<\\&\u0001é""#,
                "a&quot;&lt;\\&amp;\u{fffd}é",
            ),
            (Value::text("x\r\ny"), r#""x\r\ny""#, "x&#13;&#10;y"),
            (Value::Number(-3), "-3", "-3"),
            (Value::Decimal("34.7465".to_owned()), "34.7465", "34.7465"),
            (Value::Flag(true), "true", "true"),
            (
                Value::Date(at),
                r#""Fri, 5 Jul 2013 22:15:53 +0000""#,
                "Fri, 5 Jul 2013 22:15:53 +0000",
            ),
            (
                Value::Time(at),
                r#""2013-07-05T22:15:53.123Z""#,
                "2013-07-05T22:15:53.123Z",
            ),
            (Value::Link("/v/C".to_owned()), r#""/v/C.json""#, "/v/C"),
            (
                Value::Object(entry(Null::Absent, Value::Number(1))),
                r#"{"a":1}"#,
                "<A>1</A>",
            ),
            (
                Value::Texts(vec![
                    ("b<".to_owned(), "\"".to_owned()),
                    ("c".to_owned(), String::new()),
                ]),
                r#"{"b<":"\"","c":""}"#,
                "<Item><Name>b&lt;</Name><Value>&quot;</Value></Item>\
                 <Item><Name>c</Name><Value></Value></Item>",
            ),
            (
                Value::List("I", vec![entry(Null::Absent, Value::Number(1))]),
                r#"[{"a":1}]"#,
                "<I><A>1</A></I>",
            ),
        ];
        for (value, json, xml) in table {
            let expected = (format!("{{\"a\":{json}}}"), format!("<E><A>{xml}</A></E>"));
            assert_eq!(both(&entry(Null::Absent, value)), expected);
        }
    }
}
