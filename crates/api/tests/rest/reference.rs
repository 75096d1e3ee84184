//! The reference in the repository, and its examples.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::available_numbers::stock;
use crate::server::Server;
use crate::tenancy::items;

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn reference() -> Vec<api::Page> {
    api::reference(|file| std::fs::read_to_string(docs().join(file)).unwrap_or_default())
}

#[test]
fn reference_document_is_current() {
    if std::env::var_os("PATCHCORD_UPDATE_DOCS").is_some() {
        for page in reference() {
            std::fs::write(docs().join(page.file), page.text).unwrap();
        }
    }
    for page in reference() {
        let current = std::fs::read_to_string(docs().join(&page.file)).unwrap_or_default();
        let file = page.file;
        assert!(
            current == page.text,
            "docs/{file} is stale or missing: run `just gen`; for a new page, write its introduction and examples"
        );
    }
}

#[test]
fn every_page_is_of_a_resource() {
    let pages = reference();
    for entry in std::fs::read_dir(docs().join("rest")).unwrap() {
        let file = format!("rest/{}", entry.unwrap().file_name().display());
        let known = pages.iter().any(|page| page.file == file);
        assert!(known, "docs/{file} is not the page of a resource");
    }
}

/// The lines of the `sh` blocks of a page.
fn script(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1);
    blocks
        .filter_map(|block| block.split_once("```"))
        .map(|(script, _)| script)
        .collect()
}

/// What runs before each script: `curl` fails if it is refused, or has a warning.
const CHECKED: &str = r#"
set -euo pipefail
curl() {
    local headers; headers=$(mktemp -p "$SCRATCH")
    command curl --silent --show-error --fail-with-body --dump-header "$headers" "$@" || {
        echo "refused: curl $*" >&2; return 1; }
    if grep -i '^patchcord-warning' "$headers" >&2; then echo "warning: curl $*" >&2; return 1; fi
    if [[ -t 1 ]]; then echo; fi
}
"#;

/// Runs a script as its reader would, with a server that has one of each resource.
async fn run(file: &str, script: &str) -> Result<(), String> {
    let server = Server::start().await;
    stock(&server).await;
    items(&server, server.admin, 1).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    let router = server.router();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let (user, token) = server.admin();
    let base = |path: &str| format!("http://{host}{path}/Accounts/{user}");
    let mut bash = Command::new("bash")
        .env("SID", &user)
        .env("TOKEN", &token)
        .env("BASE", base("/restcomm/2012-04-24"))
        .env("TWILIO", base("/2010-04-01"))
        .env("SCRATCH", server.dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = format!("{CHECKED}{script}");
    let mut stdin = bash.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = bash.wait_with_output().await.unwrap();
    serving.abort();
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let answers = String::from_utf8_lossy(&output.stdout).into_owned();
    Err(format!("docs/{file}: {told}\n{answers}"))
}

#[tokio::test]
async fn every_example_can_be_run() {
    let pages = reference()
        .into_iter()
        .filter(|page| page.file != "rest.md");
    let mut failures = Vec::new();
    for page in pages {
        let script = script(&page.text);
        assert!(
            script.contains("curl "),
            "docs/{} has no example",
            page.file
        );
        failures.extend(run(&page.file, &script).await.err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn an_example_that_is_refused_or_warned_about_fails() {
    let refused = r#"curl -u "$SID:wrong" "$BASE/Calls.json""#;
    let warned = r#"curl -u "$SID:$TOKEN" "$BASE/Calls.json?Pagesize=1""#;
    let within = r#"CALL=$(curl -u "$SID:wrong" "$BASE/Calls.json" | jq -r .sid)"#;
    for script in [refused, warned, within] {
        assert!(run("x", script).await.is_err(), "{script}");
    }
}

/// It contains every route, parameter and field.
#[test]
fn the_reference_is_whole() {
    let text: String = reference().into_iter().map(|page| page.text).collect();
    let bases = ["/restcomm/2012-04-24", "/2010-04-01"];
    for route in api::routes() {
        // docs/solutions describes the others.
        if !bases.iter().any(|base| route.path.starts_with(base)) {
            continue;
        }
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
