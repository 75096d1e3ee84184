//! `patchcord new`: the files it writes work together, and their tests pass.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use e2e::process::Process;
use e2e::{ports, server, wait};

fn patchcord(words: &[&str], folder: &Path) -> anyhow::Result<(Output, String)> {
    let mut command = server::program();
    let output = command.args(words).current_dir(folder).output()?;
    let said = [&output.stdout[..], &output.stderr].concat();
    Ok((output, String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn a_new_application_passes_its_tests() -> anyhow::Result<()> {
    let outer = tempfile::tempdir()?;
    let outer = outer.path();
    let (made, said) = patchcord(&["new", "menu"], outer)?;
    assert_eq!(made.status.code(), Some(0), "{said}");
    let commands: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    let expected = [
        "patchcord test menu/documents.test.yaml",
        "python3 menu/app.py &",
        "patchcord test menu",
    ];
    assert_eq!(commands, expected);

    let (linted, said) = patchcord(&["lint", "menu"], outer)?;
    assert_eq!(linted.status.code(), Some(0), "{said}");
    let (tested, said) = patchcord(&["test", "menu/documents.test.yaml"], outer)?;
    assert_eq!(tested.status.code(), Some(0), "{said}");

    // Only the port differs from the generated files.
    let port = ports::lasting()?;
    let script = outer.join("menu/app.test.yaml");
    let text = fs::read_to_string(&script)?;
    assert!(text.contains(":8100/menu"), "{text}");
    fs::write(&script, text.replace(":8100/", &format!(":{port}/")))?;
    let (alone, said) = patchcord(&["test", "menu"], outer)?;
    assert_eq!(
        alone.status.code(),
        Some(1),
        "the application is not up: {said}"
    );
    let mut program = Command::new("python3");
    program
        .arg(outer.join("menu/app.py"))
        .env("PORT", port.to_string());
    let _program = Process::start(program, &outer.join("out"), &outer.join("log"))?;
    wait::until("the application", Duration::from_secs(8), || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    })?;
    let (tested, said) = patchcord(&["test", "menu"], outer)?;
    assert_eq!(tested.status.code(), Some(0), "{said}");
    assert!(said.contains("2 passed, 0 failed"), "{said}");

    let (again, said) = patchcord(&["new", "menu"], outer)?;
    assert_eq!(again.status.code(), Some(64), "{said}");
    assert!(said.contains("menu is not empty"), "{said}");
    Ok(())
}
