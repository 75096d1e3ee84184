//! `/Accounts/{sid}/Version`: the running build.

use std::future::ready;

use crate::Build;
use crate::context::{Answer, Context, Reply};
use crate::format::Format;
use crate::roles::Action;
use crate::route::{Answers, RESTCOMM, Route};
use crate::value::{Field, Kind, Null, Resource, Value, field, json_object, xml_element};

const FIELDS: &[Field<Build>] = &[
    field(
        "Name",
        "Name",
        Kind::Text,
        Null::Never,
        "Name of the product.",
        |b, _| Value::text(&b.name),
    ),
    field(
        "Version",
        "Version",
        Kind::Text,
        Null::Never,
        "Version of the product.",
        |b, _| Value::text(&b.version),
    ),
    field(
        "Revision",
        "Revision",
        Kind::Text,
        Null::Never,
        "Revision of the source.",
        |b, _| Value::text(&b.revision),
    ),
    field(
        "Date",
        "Date",
        Kind::Text,
        Null::Never,
        "Date of the build.",
        |b, _| Value::text(&b.date),
    ),
];

/// In XML its fields are directly below the root.
static BUILD: Resource<Build> = Resource {
    xml: ["Version", "Version"],
    xml_list: ["Versions", "Versions"],
    json_list: ["versions", "versions"],
    xml_envelope: [false, false],
    fields: FIELDS,
};

/// The route of the version.
pub(crate) static ROUTES: &[Route] = &[Route::get(&["/Accounts/{account}/Version"], |c, _, _| {
    Box::pin(ready(get(c)))
})
.within(RESTCOMM)
.needs(Action::Read, "Usage")
.answers(Answers::One(&BUILD))
.doc("Reads the version of the running build.")];

fn get(context: &Context<'_>) -> Answer {
    let dialect = context.dialect;
    let entries = BUILD.entries(&context.state.build, context.view());
    let mut out = String::new();
    match context.format {
        Format::Json => json_object(&mut out, dialect, &entries),
        Format::Xml => xml_element(&mut out, dialect, dialect.root, &entries),
    }
    Ok(Reply::Document(out.into()))
}
