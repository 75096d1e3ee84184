//! The reference in the repository, and its examples.

use crate::server::Server;

#[test]
fn reference_document_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rest.md");
    if std::env::var_os("PATCHCORD_UPDATE_DOCS").is_some() {
        std::fs::write(&path, api::reference()).unwrap();
    }
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == api::reference(),
        "docs/rest.md is stale: run `just gen`"
    );
}

#[tokio::test]
async fn every_example_can_be_run() {
    let server = Server::start().await;
    let who = server.admin();
    for example in api::examples() {
        let path = format!("/Accounts/{}{}.json", server.admin, example.path);
        let form = example.form.join("&");
        let answer = server
            .ask(example.method, Some(&who), &path, &[], &form)
            .await;
        assert_eq!(answer.status, 200, "{path} {form}: {}", answer.body);
        assert!(!answer.headers.contains_key("patchcord-warning"), "{form}");
        assert!(!answer.error().is_null());
    }
}

/// It contains every route, parameter and field.
#[test]
fn the_reference_is_whole() {
    let text = api::reference();
    for route in api::routes() {
        let path = route
            .path
            .trim_start_matches("/restcomm/2012-04-24")
            .trim_start_matches("/2010-04-01");
        let row = text.lines().any(|line| {
            line.starts_with(&format!("| {}", route.method)) && line.contains(&format!("`{path}`"))
        });
        assert!(row, "{} {path}", route.method);
    }
    let documents = ["/restcomm", "/2010-04-01"].map(crate::openapi::document);
    let schemas = documents
        .iter()
        .flat_map(|document| document["components"]["schemas"].as_object().unwrap());
    for (name, schema) in schemas {
        if name == "Error" {
            continue;
        }
        for field in schema["properties"].as_object().unwrap().keys() {
            assert!(text.contains(&format!("| `{field}`")), "{name}: {field}");
        }
    }
}
