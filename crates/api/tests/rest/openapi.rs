//! The OpenAPI documents in the repository.

use serde_json::Value;

use crate::server::Server;

/// The document of a base path.
pub(crate) fn document(base: &str) -> Value {
    let documents = api::openapi().into_iter();
    let mut parsed = documents.map(|document| serde_json::from_str::<Value>(&document.text));
    let has = |document: &Value| {
        let mut paths = document["paths"].as_object().unwrap().keys();
        paths.all(|path| path.starts_with(base))
    };
    parsed.find_map(|found| found.ok().filter(has)).unwrap()
}

const BASES: [&str; 2] = ["/restcomm/2012-04-24", "/2010-04-01"];

#[test]
fn openapi_document_is_current() {
    for document in api::openapi() {
        let file = document.file();
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let path = docs.join(&file);
        if std::env::var_os("PATCHCORD_UPDATE_DOCS").is_some() {
            std::fs::write(&path, &document.text).unwrap();
        }
        let current = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            current == document.text,
            "docs/{file} is stale: run `just gen`"
        );
    }
}

/// They contain every route, and everything that they refer to.
#[test]
fn the_documents_are_whole() {
    for route in api::routes() {
        // OpenAPI 3.1 has no such methods; the operation PUT describes them.
        if matches!(route.method, "LINK" | "UNLINK") {
            continue;
        }
        let path = format!("{}.json", route.path);
        // Those of other base paths have documents of their own.
        let Some(base) = BASES.iter().find(|base| path.starts_with(**base)) else {
            continue;
        };
        let method = route.method.to_ascii_lowercase();
        let operation = &document(base)["paths"][&path][&method];
        let responses = operation["responses"].as_object().unwrap();
        let success = responses.keys().filter(|status| status.starts_with('2'));
        assert_eq!(success.count(), 1, "{method} {path}");
        for refusal in ["400", "401", "403", "429", "500", "503"] {
            assert!(responses.contains_key(refusal), "{method} {path} {refusal}");
        }
    }
    for document in BASES.map(document) {
        let text = document.to_string();
        for kind in ["schemas", "responses"] {
            for reference in text.split(&format!("#/components/{kind}/")).skip(1) {
                let name = reference.split('"').next().unwrap();
                assert!(document["components"][kind][name].is_object(), "{name}");
            }
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
}

#[test]
fn refusals_say_which_numbers_they_may_have() {
    let words = |base: &str, status: &str| {
        let document = document(base);
        let response = &document["components"]["responses"][status];
        response["description"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let [restcomm, twilio] = BASES;
    assert!(words(restcomm, "401").contains("20003: The credentials are missing"));
    assert!(words(restcomm, "410").contains("21220: "));
    assert!(
        !words(twilio, "410").contains("21220: "),
        "there, the status is 400"
    );
    assert!(words(twilio, "400").contains("21220: "));
    assert!(words(twilio, "503").contains("12400: "));
}

/// What client generators rely on.
#[test]
fn what_is_always_there_is_required() {
    let has = |list: &Value, name: &str| {
        let mut names = list.as_array().unwrap().iter();
        names.any(|found| found == name)
    };
    for base in BASES {
        let document = document(base);
        let calls = format!("{base}/Accounts/{{account}}/Calls.json");
        let form = "application/x-www-form-urlencoded";
        let form = &document["paths"][calls]["post"]["requestBody"]["content"][form]["schema"];
        for name in ["From", "To"] {
            assert!(has(&form["required"], name), "{base} {name}");
        }
        assert_eq!(form["properties"]["StatusCallbackEvent"]["type"], "array");
    }
    let documents = BASES.map(document);
    let schemas = documents
        .iter()
        .flat_map(|document| document["components"]["schemas"].as_object().unwrap());
    for (name, schema) in schemas {
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

/// Everything that a browser needs to show them comes from this server.
#[tokio::test]
async fn the_page_is_served_with_all_that_it_loads() {
    let server = Server::start().await;
    let ask = async |path: &str| server.ask("GET", None, path, &[], "").await;
    for path in ["/docs", "/docs/"] {
        let page = ask(path).await;
        page.is(200);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        let quoted = page.body.split('"').skip(1).step_by(2);
        let loaded: Vec<&str> = quoted.filter(|text| text.starts_with("/docs/")).collect();
        assert_eq!(loaded.len(), 6, "{loaded:?}");
        for file in loaded {
            let answer = ask(file).await;
            answer.is(200);
            assert!(!answer.body.is_empty());
        }
        assert!(
            !page.body.contains("http"),
            "no other server: {}",
            page.body
        );
    }
    for document in api::openapi() {
        let served = ask(&format!("/docs/{}", document.file())).await;
        assert_eq!(served.headers["content-type"], "application/json");
        assert_eq!(served.body, document.text);
    }
    for path in ["/docs/nothing", "/docs/LICENSE.swagger-ui"] {
        let missing = ask(path).await;
        missing.is(404);
        assert!(missing.body.contains("/docs"), "{}", missing.body);
    }
}
