//! Twilio's own libraries work against the server, unmodified except for the base URL.
//!
//! `scripts/setup` installs them below the cache folder; the programs that use them are in `e2e/sdk`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use e2e::phone::Setup;
use e2e::process::cache;
use e2e::server::Options;
use e2e::{App, Pitch, Reply, Server, wait};
use serde_json::{Value, json};

use crate::smpp::{Smsc, link};

/// Runs a program that uses a library, and checks what it saw and what the application received.
fn drive(mut program: Command) -> anyhow::Result<()> {
    let server = Server::start()?;
    let app = App::start()?;
    let rest = server.rest();
    let pitches = Pitch::random(2);
    let phone = |name: &str, pitch| {
        let password = format!("{name}-Secret-1");
        rest.client(name, &password)?;
        let setup = Setup::new(name).registers(&password).answers();
        setup.start(&server, pitch)
    };
    let _ann = phone("ann", pitches[0])?;
    let _bob = phone("bob", pitches[1])?;
    app.on("/first", Reply::document("<Pause length=\"60\"/>"));
    let next = "<Sms to=\"nobody\" from=\"+15550100\">hello</Sms>\
                <Dial record=\"true\"><Client>bob</Client></Dial>";
    app.on("/next", Reply::document(next));

    let base = server.ready()["http"].as_str().context("no address")?;
    let output = program
        .args([base, rest.account(), e2e::server::ADMIN_TOKEN])
        .args([app.url("/first"), app.url("/next")])
        .output()
        .with_context(|| format!("{program:?}: was scripts/setup run?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{said}\n{}", server.log());
    let seen: Value = serde_json::from_slice(&output.stdout)?;

    let made = seen["made"].as_array().context("made")?;
    assert_eq!(seen["account"], rest.account());
    let newest_first: Vec<Value> = made.iter().rev().cloned().collect();
    assert_eq!(seen["listed"], Value::from(newest_first));
    assert_eq!(seen["pages"], 1, "two pages of two calls");
    assert_eq!(seen["changed"], made[0]);
    // The answer shows the call after the change.
    assert_eq!(seen["ended"], json!([made[0], "completed", true]));
    assert_eq!(seen["again"], json!([404, 20_404]));
    assert_eq!(seen["sent"], json!(["client:bob", "hi", "1", null]));
    assert_eq!(seen["children"], json!(["outbound-dial"]));
    assert_eq!(seen["missing"], json!([404, 20_404]));
    let refused = seen["refused"].as_str().unwrap_or_default();
    assert!(
        refused.contains("CallReason: this parameter is not supported here"),
        "{refused}"
    );
    assert_eq!(seen["messages"], json!([["hello", "outbound-call"]]));
    // The file may be closed before the answer is written.
    let live = &seen["live"];
    assert_eq!(live[0], "in-progress", "{live}");
    assert_eq!(
        (&live[1], &live[2]),
        (&json!("paused"), &json!("in-progress"))
    );
    assert!(live[3] == "stopped" || live[3] == "completed", "{live}");
    assert_eq!(seen["recordings"], json!([made[0], made[0]]));
    assert_eq!(seen["application"], json!([true, "GET", true, true]));
    let gone = [401, 20_003];
    assert_eq!(seen["key"], json!([made[0], "renamed", [true], true, gone]));
    assert_eq!(seen["deleted"], true);
    // The document runs in the dialect of the base path that named it.
    for path in ["/first", "/next"] {
        let request = wait::until("request", Duration::from_secs(5), || {
            app.requests(path).into_iter().next()
        })?;
        assert_eq!(request.param("ApiVersion"), Some("2010-04-01"), "{path}");
    }
    Ok(())
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("sdk")
        .join(name)
}

#[test]
fn the_python_library_makes_lists_changes_and_ends_calls() -> anyhow::Result<()> {
    let mut program = Command::new(cache()?.join("venv/bin/python"));
    program.arg(script("client.py"));
    drive(program)
}

#[test]
fn the_node_library_makes_lists_changes_and_ends_calls() -> anyhow::Result<()> {
    let mut program = Command::new("node");
    program
        .env("NODE_PATH", cache()?.join("node/node_modules"))
        .arg(script("client.cjs"));
    drive(program)
}

#[test]
fn the_python_library_masks_numbers() -> anyhow::Result<()> {
    let server = Server::start()?;
    let rest = server.rest();
    let mut program = Command::new(cache()?.join("venv/bin/python"));
    let base = server.ready()["http"].as_str().context("no address")?;
    program
        .arg(script("proxy.py"))
        .args([base, rest.account(), e2e::server::ADMIN_TOKEN]);
    for number in ["+493000000001", "+493000000002"] {
        let made = rest.number(number, "http://app.example/v")?;
        program.arg(made["sid"].as_str().context("no sid")?);
    }
    let output = program
        .output()
        .with_context(|| format!("{program:?}: was scripts/setup run?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{said}\n{}", server.log());
    let seen: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(seen["refused"], json!([409, 461]));
    Ok(())
}

/// The resources that the programs `resources.*` walk through, by their tags in the OpenAPI document.
const COMMON: [&str; 14] = [
    "Accounts",
    "Applications",
    "AvailablePhoneNumbers",
    "Calls",
    "Conferences",
    "IncomingPhoneNumbers",
    "Keys",
    "Notifications",
    "OutgoingCallerIds",
    "Queues",
    "Recordings",
    "SmsMessages",
    "Transcriptions",
    "Usage",
];

/// The former path of text messages, which the libraries no longer use.
const FORMER: &str = "/SMS/";

/// Runs a program that walks through every common resource in test mode; it must have made each request that the OpenAPI
/// document has.
fn walk(mut program: Command) -> anyhow::Result<()> {
    let allows = "[fetch]\nallow_addresses = [\"127.0.0.1\"]\n";
    let server = Options::default().config(allows).start()?;
    let base = server.ready()["http"].as_str().context("no address")?;
    let output = program
        .args([base, e2e::server::ADMIN_SID, e2e::server::ADMIN_TOKEN])
        .output()
        .with_context(|| format!("{program:?}: was scripts/setup run?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{said}\n{}", server.log());
    let seen: Value = serde_json::from_slice(&output.stdout)?;
    // Seven calls with their callbacks, and the texts.
    let signed = seen["signed"].as_u64().unwrap_or_default();
    assert!(signed > 20, "{signed} signatures were checked");
    let made = seen["requests"].as_array().context("requests")?;
    let made: Vec<&str> = made.iter().filter_map(Value::as_str).collect();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let openapi = std::fs::read(root.join("docs/openapi-twilio.json"))?;
    let openapi: Value = serde_json::from_slice(&openapi)?;
    let mut missing = Vec::new();
    for (path, operations) in openapi["paths"].as_object().context("paths")? {
        for (method, operation) in operations.as_object().context("operations")? {
            let wanted = format!("{} {path}", method.to_uppercase());
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            let is_common = COMMON.contains(&tag) && !path.contains(FORMER);
            if is_common && !made.iter().any(|made| fits(&wanted, made)) {
                missing.push(wanted);
            }
        }
    }
    assert!(missing.is_empty(), "not requested: {missing:#?}");
    Ok(())
}

/// Whether a request is of an operation, whose path has `{…}` for any segment.
fn fits(operation: &str, request: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        let text = text.trim_end_matches(".json");
        text.split('/').map(str::to_owned).collect()
    };
    let (wanted, made) = (parts(operation), parts(request));
    let fits = |(wanted, made): (&String, &String)| wanted == made || wanted.starts_with('{');
    wanted.len() == made.len() && wanted.iter().zip(&made).all(fits)
}

#[test]
fn the_python_library_walks_through_every_resource() -> anyhow::Result<()> {
    let mut program = Command::new(cache()?.join("venv/bin/python"));
    program.arg(script("resources.py"));
    walk(program)
}

#[test]
fn the_node_library_walks_through_every_resource() -> anyhow::Result<()> {
    let mut program = Command::new("node");
    program
        .env("NODE_PATH", cache()?.join("node/node_modules"))
        .arg(script("resources.cjs"));
    walk(program)
}

/// Runs a program that verifies a number with a library.
fn verify(mut program: Command) -> anyhow::Result<()> {
    let server = Server::start()?;
    let base = server.ready()["http"].as_str().context("no address")?;
    let output = program
        .args([base, e2e::server::ADMIN_SID, e2e::server::ADMIN_TOKEN])
        .output()
        .with_context(|| format!("{program:?}: was scripts/setup run?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{said}\n{}", server.log());
    let seen: Value = serde_json::from_slice(&output.stdout)?;
    let expected = json!({
        "service": ["Shop", 7],
        "sent": ["pending", "+4915112345678", "sms", false],
        "checks": ["pending", false, "approved", true],
        "fetched": "approved",
        "again": [404, 20_404],
        "canceled": "canceled",
        "limited": [429, 20_429],
        "attempts": ["converted", "unconverted"],
        "summary": [2, 1],
        "limits": ["end_user_ip"],
        "listed": [true],
        "deleted": true,
        "missing": [404, 20_404],
    });
    assert_eq!(seen, expected);
    Ok(())
}

#[test]
fn the_python_library_starts_and_checks_verifications() -> anyhow::Result<()> {
    let mut program = Command::new(cache()?.join("venv/bin/python"));
    program.arg(script("verify.py"));
    verify(program)
}

#[test]
fn the_node_library_starts_and_checks_verifications() -> anyhow::Result<()> {
    let mut program = Command::new("node");
    program
        .env("NODE_PATH", cache()?.join("node/node_modules"))
        .arg(script("verify.cjs"));
    verify(program)
}

/// Runs a program that sends texts with a library, which leave by an SMPP link, and follows them until the SMSC has sent its
/// receipts.
fn follow(mut program: Command) -> anyhow::Result<()> {
    let (server, smsc) = (Server::start()?, Smsc::start()?);
    link(&server.rest(), &smsc, &[])?;
    let base = server.ready()["http"].as_str().context("no address")?;
    let output = program
        .args([base, e2e::server::ADMIN_SID, e2e::server::ADMIN_TOKEN])
        .output()
        .with_context(|| format!("{program:?}: was scripts/setup run?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{said}\n{}", server.log());
    let seen: Value = serde_json::from_slice(&output.stdout)?;
    let expected = json!({
        "short": ["delivered", "1", "outbound-api", true, null],
        "long": ["delivered", "2", "outbound-api", true, null],
        "unicode": ["delivered", "2", "outbound-api", true, null],
        "lost": ["undelivered", "1", "outbound-api", true, 30_005],
        "listed": ["delivered"],
    });
    assert_eq!(seen, expected);
    // It is the SMSC that delivered them, character by character.
    assert_eq!(smsc.given("4915112345671"), "hello");
    assert_eq!(smsc.given("4915112345672"), "a".repeat(161));
    assert_eq!(smsc.given("4915112345673"), "ж".repeat(71));
    Ok(())
}

#[test]
fn the_python_library_follows_a_text_until_it_is_delivered() -> anyhow::Result<()> {
    let mut program = Command::new(cache()?.join("venv/bin/python"));
    program.arg(script("delivered.py"));
    follow(program)
}

#[test]
fn the_node_library_follows_a_text_until_it_is_delivered() -> anyhow::Result<()> {
    let mut program = Command::new("node");
    program
        .env("NODE_PATH", cache()?.join("node/node_modules"))
        .arg(script("delivered.cjs"));
    follow(program)
}

/// The script of `docs/test-mode.md` as written, except for the server's address.
#[test]
fn the_first_call_in_test_mode_is_busy() -> anyhow::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/test-mode.md"))?;
    let (_, block) = page.split_once("```sh\n").context("no script")?;
    let code = block.split("```").next().unwrap_or_default();
    let server = Server::start()?;
    let base = server.ready()["http"].as_str().context("no address")?;
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c"])
        .arg(code.replace("http://127.0.0.1:8080", base))
        .env("SID", e2e::server::ADMIN_SID)
        .env("TOKEN", e2e::server::ADMIN_TOKEN)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "busy\n", "{output:?}\n{}", server.log());
    Ok(())
}

/// `docs/twilio.md`, and the code in its blocks of this language.
fn page(language: &str) -> anyhow::Result<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/twilio.md"))?;
    let fence = format!("```{language}\n");
    let (_, block) = page.split_once(&fence).context("no such block")?;
    let code = block.split("```").next().unwrap_or_default().to_owned();
    Ok((page, code))
}

/// Runs a program of the page as written, except for the server's address.
fn run_as_written(mut program: Command, code: &str) -> anyhow::Result<()> {
    let server = Server::start()?;
    let address = "http://127.0.0.1:8080";
    anyhow::ensure!(code.contains(address), "{code}");
    let base = server.ready()["http"].as_str().context("no address")?;
    let output = program
        .arg(code.replace(address, base))
        .env("PATCHCORD_ADMIN_SID", e2e::server::ADMIN_SID)
        .env("PATCHCORD_ADMIN_TOKEN", e2e::server::ADMIN_TOKEN)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{failed}\n{}", server.log());
    anyhow::ensure!(said.trim().ends_with("[]"), "{said}");
    Ok(())
}

#[test]
fn the_python_program_of_the_page_runs() -> anyhow::Result<()> {
    let mut program = Command::new(cache()?.join("venv/bin/python"));
    program.arg("-c");
    run_as_written(program, &page("python")?.1)
}

#[test]
fn the_node_program_of_the_page_runs() -> anyhow::Result<()> {
    let mut program = Command::new("node");
    program.env("NODE_PATH", cache()?.join("node/node_modules"));
    program.arg("-e");
    run_as_written(program, &page("js")?.1)
}

#[test]
fn the_page_names_each_resource_and_no_other() -> anyhow::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let openapi = std::fs::read(root.join("docs/openapi-twilio.json"))?;
    let openapi: Value = serde_json::from_slice(&openapi)?;
    let paths = openapi["paths"].as_object().context("paths")?;
    let served: BTreeSet<&str> = paths
        .keys()
        .filter_map(|path| path.strip_prefix("/2010-04-01")?.strip_suffix(".json"))
        .collect();
    let (page, _) = page("python")?;
    let named: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.starts_with("/Accounts"))
        .collect();
    assert_eq!(named, served);
    Ok(())
}
