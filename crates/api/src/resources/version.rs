//! `/Accounts/{sid}/Version`: which build answers.

use crate::Build;
use crate::context::{Answer, Context, Reply, Verb};
use crate::failure::Failure;
use crate::format::Format;
use crate::roles::Action;
use crate::value::{Field, Kind, Null, Value, field, json_object, xml_element};

const FIELDS: &[Field<Build>] = &[
    field("Name", "Name", Kind::Text, Null::Absent, |b, _| {
        Value::text(&b.name)
    }),
    field("Version", "Version", Kind::Text, Null::Absent, |b, _| {
        Value::text(&b.version)
    }),
    field("Revision", "Revision", Kind::Text, Null::Absent, |b, _| {
        Value::text(&b.revision)
    }),
    field("Date", "Date", Kind::Text, Null::Absent, |b, _| {
        Value::text(&b.date)
    }),
];

/// The build, directly below the root in XML.
pub(crate) async fn item(context: &Context<'_>, account: &str) -> Answer {
    if context.verb != Verb::Get {
        return Err(Failure::method("GET"));
    }
    context.operate(account, Action::Read, "Usage").await?;
    let resource = crate::value::Resource {
        xml: "RestcommResponse",
        xml_list: "",
        fields: FIELDS,
    };
    let entries = resource.entries(&context.state.build, context.view());
    let mut out = String::new();
    match context.format {
        Format::Json => json_object(&mut out, &entries),
        Format::Xml => xml_element(&mut out, resource.xml, &entries),
    }
    Ok(Reply::Document(out))
}
