//! The answers of the server agree with its OpenAPI documents: schemathesis (PyPI) makes requests from each document, and
//! checks that no answer is a server error, that its status is documented, and that its body has the documented form.
//!
//! `scripts/setup` installs it; `e2e/sdk/against_schema.py` runs it with resources that exist.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use e2e::Server;

use e2e::process::cache;

/// Runs schemathesis with a document of this name, and returns what it printed.
fn check(name: &str, phases: &str, cases: &str) -> anyhow::Result<String> {
    let server = Server::start()?;
    let base = server.ready()["http"].as_str().context("no address")?;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let document = root.join(format!("../docs/openapi-{name}.json"));
    let output = Command::new(cache()?.join("schemathesis/bin/python"))
        .arg(root.join("sdk/against_schema.py"))
        .args([base, e2e::server::ADMIN_SID, e2e::server::ADMIN_TOKEN])
        .arg(document.canonicalize()?)
        .args([phases, cases])
        .output()
        .context("was scripts/setup run?")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{printed}\n{failed}");
    // Without an operation it would succeed, too.
    let selected = printed.lines().find(|line| line.contains("Selected:"));
    let all = selected.and_then(|line| line.rsplit(' ').next());
    let (tested, of) = all
        .and_then(|all| all.split_once('/'))
        .context("no summary")?;
    anyhow::ensure!(tested == of && tested != "0", "{printed}");
    Ok(printed)
}

#[test]
fn answers_agree_with_the_document_of_restcomms_base() -> anyhow::Result<()> {
    check("restcomm", "fuzzing", "1").map(drop)
}

#[test]
fn answers_agree_with_the_document_of_twilios_base() -> anyhow::Result<()> {
    check("twilio", "fuzzing", "1").map(drop)
}

#[test]
#[ignore = "a minute for each document; `just schemathesis` runs it"]
fn answers_agree_with_both_documents_in_thousands_of_cases() -> anyhow::Result<()> {
    for name in ["restcomm", "twilio"] {
        check(name, "coverage,fuzzing", "2")?;
    }
    Ok(())
}
