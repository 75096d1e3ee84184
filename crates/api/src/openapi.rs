//! One OpenAPI 3.1 document for each dialect.
//!
//! **Invariant: everything in them is read from the tables** of routes, parameters, fields and
//! errors. They describe answers in JSON; each is also available in XML.

use std::collections::{BTreeMap, BTreeSet};

use model::{DialectName, error};
use serde_json::{Map, Value, json};

use crate::dialect::{Paging, RestDialect};
use crate::route::{self, Answers, Is, Param, Route, Verb};
use crate::value::{Kind, Null, Shape};

/// The document of one base path.
pub struct OpenApi {
    /// `restcomm` or `twilio`.
    pub name: &'static str,
    /// JSON, with a line feed at the end.
    pub text: String,
}

impl OpenApi {
    /// Name of its file, in the repository and at `/docs`.
    #[must_use]
    pub fn file(&self) -> String {
        format!("openapi-{}.json", self.name)
    }
}

/// The documents of all dialects.
#[must_use]
pub fn openapi() -> Vec<OpenApi> {
    let document = |dialect: &&RestDialect| OpenApi {
        name: dialect.name,
        text: document(dialect),
    };
    RestDialect::ALL.iter().map(document).collect()
}

/// The document of the base path whose documents run in this dialect.
#[must_use]
pub fn openapi_of(name: DialectName) -> String {
    let dialect = RestDialect::ALL.iter().find(|dialect| dialect.runs == name);
    dialect.map_or_else(String::new, |dialect| document(dialect))
}

fn document(dialect: &RestDialect) -> String {
    let mut paths: BTreeMap<String, Value> = BTreeMap::new();
    let mut schemas = BTreeMap::from([("Error".to_owned(), error(dialect))]);
    let mut statuses = BTreeSet::new();
    // The format knows only the common methods; a PUT can say that it means one of the others.
    let is_common = |route: &&Route| !matches!(route.method, Verb::Link | Verb::Unlink);
    for route in route::all(dialect).filter(is_common) {
        if let Some(shape) = shape_of(route.answers) {
            schemas.insert(schema_name(shape, dialect), object(shape, dialect));
        }
        statuses.extend(route.refusals(dialect));
        for path in route.paths {
            let full = format!("{}{path}{}", dialect.base, dialect.suffix);
            let entry = paths.entry(full).or_insert_with(|| json!({}));
            let operation = operation(route, path, dialect);
            entry[route.method.as_str().to_ascii_lowercase()] = operation;
        }
    }
    let refusals: BTreeMap<String, Value> = statuses
        .into_iter()
        .map(|status| (status.to_string(), refusal(status, dialect)))
        .collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("Patchcord at {}", dialect.base),
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Calls, messages, recordings and what they belong to. The same resources \
                            exist below each base path; the base path determines their format \
                            and the dialect of the documents.",
        },
        "security": [{ "basic": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "SID or e-mail address of an account, and its token or password; or SID and secret of an API key.",
                },
            },
            "schemas": schemas,
            "responses": refusals,
        },
    });
    format!("{document:#}\n")
}

/// The name of a resource's schema: that of its element in XML. Of resources with the same element, such as calls and those
/// of a conference, all but the first also have their kind in it.
fn schema_name(shape: &(dyn Shape + Sync), dialect: &RestDialect) -> String {
    let name = shape.name(dialect);
    let is_same = |other: &(dyn Shape + Sync)| std::ptr::addr_eq(other, shape);
    let named_so = route::all(dialect).filter_map(|route| {
        let other = shape_of(route.answers)?;
        (other.name(dialect) == name).then_some((other, route.target))
    });
    let mut named_so = named_so.peekable();
    if named_so.peek().is_none_or(|(first, _)| is_same(*first)) {
        return name.to_owned();
    }
    let own = named_so.find(|(other, _)| is_same(*other));
    own.map_or_else(|| name.to_owned(), |(_, kind)| format!("{kind}{name}"))
}

fn shape_of(answers: Answers) -> Option<&'static (dyn Shape + Sync)> {
    match answers {
        Answers::One(shape) | Answers::Legs(shape) | Answers::Page(shape) | Answers::All(shape) => {
            Some(shape)
        }
        Answers::Document(_) | Answers::Texts | Answers::Nothing => None,
    }
}

/// A refusal with this status: the numbers that have it, and what they mean.
fn refusal(status: u16, dialect: &RestDialect) -> Value {
    let mut lines = vec!["Refused, with one of these numbers:".to_owned()];
    for row in error::TABLE.iter().filter(|row| row.http_status > 0) {
        let raised = (row.code, row.http_status);
        let rule = dialect.errors.iter().find(|rule| rule.from == raised);
        let (code, shown) = rule.map_or(raised, |rule| rule.to);
        if shown == status {
            lines.push(format!("- {code}: {}", row.text));
        }
    }
    match status {
        406 => lines.push("- 20404: The call does not exist.".to_owned()),
        503 => {
            lines.push("- 20429: The server is stopping or at its limit.".to_owned());
            lines.push("- 12400: The server cannot use its database now.".to_owned());
        }
        _ => {}
    }
    let mut refusal = json!({
        "description": lines.join("\n"),
        "content": { "application/json": { "schema": reference("Error") } },
    });
    let header = match status {
        401 => Some(("WWW-Authenticate", "Asks for HTTP Basic credentials.")),
        429 | 503 => Some(("Retry-After", "Seconds after which to try again, if known.")),
        _ => None,
    };
    if let Some((name, meaning)) = header {
        refusal["headers"] = json!({ name: { "description": meaning, "schema": text() } });
    }
    refusal
}

fn reference(resource: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{resource}") })
}

fn operation(route: &Route, path: &str, dialect: &RestDialect) -> Value {
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text() }))
        .collect();
    let declared: Vec<&Param> = route.params_in(dialect).collect();
    let in_query = !matches!(route.method, Verb::Post | Verb::Put);
    if in_query {
        parameters.extend(declared.iter().map(|param| {
            json!({
                "name": param.name,
                "in": "query",
                "required": dialect.pick(param.required),
                "description": param.doc,
                "schema": schema_of(param.kind),
            })
        }));
    }
    parameters.extend(headers(route).map(|(name, meaning)| {
        json!({ "name": name, "in": "header", "description": meaning, "schema": text() })
    }));
    let method = route.method.as_str().to_ascii_lowercase();
    let id: String = path
        .split('/')
        .map(|part| part.trim_matches(['{', '}']))
        .collect::<Vec<_>>()
        .join("_");
    let mut operation = json!({
        "operationId": format!("{method}{id}"),
        "summary": route.doc,
        "tags": [route.target],
        "description": requirement(route),
        "parameters": parameters,
        "responses": responses(route, dialect),
    });
    if let Some(schema) = route.document {
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        operation["requestBody"] = json!({
            "required": route.method == Verb::Post,
            "content": { "application/json": { "schema": schema } },
        });
    }
    if !in_query && !declared.is_empty() {
        operation["requestBody"] = form(&declared, dialect);
    }
    operation
}

/// Who may send a request.
fn requirement(route: &Route) -> String {
    let (action, target) = (route.action.as_str(), route.target);
    let only = if route.top_only {
        " Only for the top account."
    } else {
        ""
    };
    format!("Requires the permission {action}:{target}.{only}")
}

/// The conditions that a request for a route may have in its headers.
fn headers(route: &Route) -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_single = route.answers.is_single();
    let found = match route.method {
        Verb::Get if is_single => Some(("If-None-Match", "ETags for which the answer is 304.")),
        Verb::Post => Some((
            "Idempotency-Key",
            "Text of up to 255 characters, new for each request; a request that is sent again with its key is not carried out again.",
        )),
        Verb::Get | Verb::Put | Verb::Delete | Verb::Link | Verb::Unlink | Verb::Other => None,
    };
    let change = route.is_change_of_one();
    let unchanged = (
        "If-Match",
        "The ETag of the resource as it was read; if it has changed, the answer is 412.",
    );
    let links = route.method == Verb::Put && route.has_links();
    let linking = links.then_some([
        (
            "X-HTTP-Method-Override",
            "`LINK` or `UNLINK`: links the profile to the resource that `Link` names, or no longer; the body is not used.",
        ),
        ("Link", "With `LINK` and `UNLINK`: the resource, as `<address>; rel=\"related\"`."),
    ]);
    let linking = linking.into_iter().flatten();
    found
        .into_iter()
        .chain(change.then_some(unchanged))
        .chain(linking)
}

fn form(declared: &[&Param], dialect: &RestDialect) -> Value {
    let mut properties = Map::new();
    for param in declared {
        let mut schema = schema_of(param.kind);
        schema["description"] = param.doc.into();
        properties.insert(param.name.to_owned(), schema);
    }
    let required: Vec<&str> = declared
        .iter()
        .filter(|param| dialect.pick(param.required))
        .map(|param| param.name)
        .collect();
    json!({
        "required": !required.is_empty(),
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": { "type": "object", "properties": properties, "required": required },
            },
        },
    })
}

fn responses(route: &Route, dialect: &RestDialect) -> Value {
    let success = match route.answers {
        Answers::Nothing => json!({ "description": "Done." }),
        Answers::Document(media_type) => json!({
            "description": "The document.",
            "content": { media_type: { "schema": {} } },
        }),
        Answers::Texts => answer(json!({ "type": "array", "items": text() })),
        Answers::Legs(shape) if dialect.lists_legs => answer(json!({
            "oneOf": [reference(&schema_name(shape, dialect)), array(shape, dialect)],
        })),
        Answers::One(shape) | Answers::Legs(shape) => {
            answer(reference(&schema_name(shape, dialect)))
        }
        Answers::All(shape) if dialect.bare_lists => answer(array(shape, dialect)),
        Answers::All(shape) | Answers::Page(shape) => answer(page(shape, dialect)),
    };
    let success = if dialect.has_envelope {
        in_envelope(&success)
    } else {
        success
    };
    let mut responses = json!({});
    for status in route.refusals(dialect) {
        let name = status.to_string();
        responses[&name] = json!({ "$ref": format!("#/components/responses/{name}") });
    }
    responses[dialect.pick(route.status).to_string()] = success;
    if route.method == Verb::Get && route.answers.is_single() {
        responses["304"] = json!({ "description": "The client already has the current version." });
    }
    responses
}

fn answer(schema: Value) -> Value {
    json!({ "description": "The response.", "content": { "application/json": { "schema": schema } } })
}

fn page(shape: &(dyn Shape + Sync), dialect: &RestDialect) -> Value {
    let whole = json!({ "type": "integer" });
    let link = json!({ "type": ["string", "null"] });
    let mut properties = json!({
        "page": whole,
        "page_size": whole,
        "uri": text(),
        "first_page_uri": text(),
        "previous_page_uri": link,
        "next_page_uri": link,
    });
    match dialect.paging {
        Paging::Numbered => {
            for name in ["num_pages", "total"] {
                properties[name] = whole.clone();
            }
            for name in ["start", "end", "last_page_uri"] {
                properties[name] = text();
            }
        }
        Paging::Keyed => {
            for name in ["start", "end"] {
                properties[name] = whole.clone();
            }
        }
        Paging::Meta => {
            let meta = json!({
                "type": "object",
                "properties": {
                    "first_page_url": text(), "key": text(), "next_page_url": link, "page": whole,
                    "page_size": whole, "previous_page_url": link, "url": text(),
                },
            });
            properties = json!({ "meta": meta });
        }
    }
    properties[shape.list_key(dialect)] = array(shape, dialect);
    json!({ "type": "object", "properties": properties })
}

fn array(shape: &(dyn Shape + Sync), dialect: &RestDialect) -> Value {
    json!({ "type": "array", "items": reference(&schema_name(shape, dialect)) })
}

fn object(shape: &(dyn Shape + Sync), dialect: &RestDialect) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, kind, null, doc) in shape.json_fields(dialect) {
        let plain = match kind {
            Kind::Text | Kind::Date | Kind::Time | Kind::Link => "string",
            Kind::Number => "integer",
            Kind::Decimal => "number",
            Kind::Flag => "boolean",
            Kind::Object => "object",
            Kind::List => "array",
        };
        let kind = match null {
            Null::Explicit => json!([plain, "null"]),
            Null::Never | Null::Absent | Null::Empty => json!(plain),
        };
        if null == Null::Never {
            required.push(name);
        }
        properties.insert(name.to_owned(), json!({ "type": kind, "description": doc }));
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

/// A success with its schema as the member `data` of an envelope.
fn in_envelope(success: &Value) -> Value {
    let inner = &success["content"]["application/json"]["schema"];
    let data = if inner.is_null() {
        json!({ "type": "object" })
    } else {
        inner.clone()
    };
    answer(json!({
        "type": "object",
        "properties": { "code": { "type": "integer" }, "message": text(), "data": data },
        "required": ["code", "message", "data"],
    }))
}

fn error(dialect: &RestDialect) -> Value {
    if dialect.has_envelope {
        return json!({
            "type": "object",
            "properties": {
                "errorCode": { "type": "string", "description": "Number of the error, see docs/errors.md." },
                "message": { "type": "string", "description": "What is wrong." },
                "data": { "type": "object", "description": "Empty." },
            },
            "required": ["errorCode", "message", "data"],
        });
    }
    json!({
        "type": "object",
        "properties": {
            "code": { "type": "integer", "description": "Number of the error, see docs/errors.md." },
            "message": { "type": "string", "description": "What is wrong." },
            "more_info": { "type": "string", "description": "Address of an explanation." },
            "status": { "type": "integer", "description": "HTTP status." },
        },
        "required": ["code", "message", "more_info", "status"],
    })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn schema_of(kind: Is) -> Value {
    match kind {
        Is::Text | Is::Party | Is::Sid(_) | Is::SidPattern(_) | Is::Moment | Is::Day => text(),
        Is::Secret => json!({ "type": "string", "format": "password" }),
        Is::Number => json!({ "type": "integer" }),
        Is::Flag => json!({ "type": "boolean" }),
        Is::Method => json!({ "type": "string", "enum": ["GET", "POST"] }),
        Is::Address => json!({ "type": "string", "format": "uri-reference" }),
        Is::Word(words) => json!({ "type": "string", "enum": words }),
        Is::Words(words) => json!({
            "type": "array",
            "items": { "type": "string", "enum": words },
        }),
    }
}
