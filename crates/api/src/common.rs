//! The fields that most resources have: one definition of their names, kinds and meanings.
//!
//! A field with another meaning is written out in its resource.

use crate::value::{Field, Kind, Null, Value, View, field};

/// How a field is read from a record.
type Get<T> = fn(&T, View<'_>) -> Value;

pub(crate) const fn sid<T>(get: Get<T>) -> Field<T> {
    text("sid", "Sid", "Identifier.", get)
}

pub(crate) const fn account_sid<T>(get: Get<T>) -> Field<T> {
    text("account_sid", "AccountSid", "Account that owns it.", get)
}

pub(crate) const fn api_version<T>() -> Field<T> {
    text(
        "api_version",
        "ApiVersion",
        "Version of the API.",
        |_, view| Value::text(view.dialect.version),
    )
}

pub(crate) const fn date_created<T>(get: Get<T>) -> Field<T> {
    date("date_created", "DateCreated", "When it was created.", get)
}

pub(crate) const fn date_updated<T>(get: Get<T>) -> Field<T> {
    date(
        "date_updated",
        "DateUpdated",
        "When it was last changed.",
        get,
    )
}

pub(crate) const fn uri<T>(get: Get<T>) -> Field<T> {
    let doc = "Path of this resource.";
    field("uri", "Uri", Kind::Link, Null::Never, doc, get)
}

const fn text<T>(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: Get<T>,
) -> Field<T> {
    field(json, xml, Kind::Text, Null::Never, doc, get)
}

const fn date<T>(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: Get<T>,
) -> Field<T> {
    field(json, xml, Kind::Date, Null::Never, doc, get)
}
