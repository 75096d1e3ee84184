//! The OpenAPI document in the repository.

use serde_json::Value;

#[test]
fn openapi_document_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("PATCHCORD_UPDATE_DOCS").is_some() {
        std::fs::write(&path, api::openapi()).unwrap();
    }
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == api::openapi(),
        "docs/openapi.json is stale: run `just gen`"
    );
}

/// It contains every route, and everything that it refers to.
#[test]
fn the_document_is_whole() {
    let document: Value = serde_json::from_str(&api::openapi()).unwrap();
    for route in api::routes() {
        let path = format!("{}.json", route.path);
        let method = route.method.to_ascii_lowercase();
        let operation = &document["paths"][&path][&method];
        assert!(operation["responses"].is_object(), "{method} {path}");
    }
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
    let mut ids: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

/// What client generators rely on.
#[test]
fn what_is_always_there_is_required() {
    let document: Value = serde_json::from_str(&api::openapi()).unwrap();
    let has = |list: &Value, name: &str| {
        let mut names = list.as_array().unwrap().iter();
        names.any(|found| found == name)
    };
    for base in ["/restcomm/2012-04-24", "/2010-04-01"] {
        let calls = format!("{base}/Accounts/{{account}}/Calls.json");
        let form = "application/x-www-form-urlencoded";
        let form = &document["paths"][calls]["post"]["requestBody"]["content"][form]["schema"];
        for name in ["From", "To"] {
            assert!(has(&form["required"], name), "{base} {name}");
        }
        assert_eq!(form["properties"]["StatusCallbackEvent"]["type"], "array");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let properties = schema["properties"].as_object().unwrap();
        for key in ["sid", "account_sid", "date_created", "uri"] {
            let Some(property) = properties.get(key) else {
                continue;
            };
            assert_eq!(property["type"], "string", "{name} {key}");
            assert!(has(&schema["required"], key), "{name} {key}");
        }
    }
}
