//! The OpenAPI 3.1 document of the whole API, in all dialects.
//!
//! **Invariant: everything in it is read from the tables** of routes, parameters and fields. It
//! describes answers in JSON; each is also available in XML.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::dialect::{Paging, RestDialect};
use crate::route::{self, Answers, Is, Param, Route, Verb};
use crate::value::{Kind, Null, Shape};

/// The document as JSON text, with a line feed at the end.
#[must_use]
pub fn openapi() -> String {
    let mut paths: BTreeMap<String, Value> = BTreeMap::new();
    let mut schemas = BTreeMap::new();
    for dialect in RestDialect::ALL {
        schemas.insert(name(dialect, "Error"), error());
        for route in route::all(dialect) {
            let shape = match route.answers {
                Answers::One(shape)
                | Answers::Legs(shape)
                | Answers::Page(shape)
                | Answers::All(shape) => Some(shape),
                Answers::Texts | Answers::Nothing => None,
            };
            if let Some(shape) = shape {
                schemas.insert(name(dialect, shape.name(dialect)), object(shape, dialect));
            }
            for path in route.paths {
                let full = format!("{}{path}.json", dialect.base);
                let entry = paths.entry(full).or_insert_with(|| json!({}));
                let operation = operation(route, path, dialect);
                entry[route.method.as_str().to_ascii_lowercase()] = operation;
            }
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Patchcord",
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
                    "description": "SID or e-mail address of an account, and its token or password.",
                },
            },
            "schemas": schemas,
        },
    });
    format!("{document:#}\n")
}

fn name(dialect: &RestDialect, resource: &str) -> String {
    format!("{}.{resource}", dialect.name)
}

fn reference(dialect: &RestDialect, resource: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", name(dialect, resource)) })
}

fn operation(route: &Route, path: &str, dialect: &RestDialect) -> Value {
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text() }))
        .collect();
    let declared: Vec<&Param> = route.params_in(dialect).collect();
    let in_query = matches!(route.method, Verb::Get | Verb::Delete | Verb::Other);
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
    let method = route.method.as_str().to_ascii_lowercase();
    let id: String = path
        .split('/')
        .map(|part| part.trim_matches(['{', '}']))
        .collect::<Vec<_>>()
        .join("_");
    let mut operation = json!({
        "operationId": format!("{}_{method}{id}", dialect.name),
        "summary": route.doc,
        "tags": [route.target],
        "description": format!("Requires the permission {}:{}.", route.action.as_str(), route.target),
        "parameters": parameters,
        "responses": responses(route, dialect),
    });
    if !in_query && !declared.is_empty() {
        operation["requestBody"] = form(&declared, dialect);
    }
    operation
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
        Answers::Texts => answer(json!({ "type": "array", "items": text() })),
        Answers::Legs(shape) if dialect.lists_legs => answer(json!({
            "oneOf": [reference(dialect, shape.name(dialect)), array(shape, dialect)],
        })),
        Answers::One(shape) | Answers::Legs(shape) => {
            answer(reference(dialect, shape.name(dialect)))
        }
        Answers::All(shape) if dialect.bare_lists => answer(array(shape, dialect)),
        Answers::All(shape) | Answers::Page(shape) => answer(page(shape, dialect)),
    };
    let mut responses = json!({ "default": answer(reference(dialect, "Error")) });
    responses[dialect.pick(route.status).to_string()] = success;
    responses
}

fn answer(schema: Value) -> Value {
    json!({ "description": "The response.", "content": { "application/json": { "schema": schema } } })
}

fn page(shape: &dyn Shape, dialect: &RestDialect) -> Value {
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
    }
    properties[shape.list_key(dialect)] = array(shape, dialect);
    json!({ "type": "object", "properties": properties })
}

fn array(shape: &dyn Shape, dialect: &RestDialect) -> Value {
    json!({ "type": "array", "items": reference(dialect, shape.name(dialect)) })
}

fn object(shape: &dyn Shape, dialect: &RestDialect) -> Value {
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

fn error() -> Value {
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
