//! The quick start of the README works as written, and its calls have sound.
//!
//! **Invariant: each command of that section runs, in order, in one shell.** Only ports differ, so
//! that it can run next to other servers; between two blocks the test waits, as a reader would, for
//! what was started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use e2e::tone::Heard;
use e2e::{Pitch, ports, server};

/// The tones of ann's phone and of bob's in Hz, as configured in `examples/phones`.
const ANN: f64 = 1000.0;
const BOB: f64 = 700.0;

/// What a reader waits for between two blocks: the ready line, the web server, ann's registration,
/// and the record of the last call.
const READER: &str = r#"
reader() {
  for _ in $(seq 100); do
    curl -sf "$READY" > ready.txt &&
      { [ ! -f hello.xml ] || curl -sf "$HELLO" > web.txt; } &&
      { [ ! -f ann.log ] || grep -q "200 OK" ann.log; } &&
      ! patchcord calls show "$(patchcord calls list | grep -om 1 'CA[0-9a-f]\{32\}')" 2>&1 | grep -q "no trace\|not stored" && return
    sleep 0.1
  done
  echo "something that was started is not ready" >&2
  exit 1
}
"#;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The shell blocks of the section, as written.
fn blocks(readme: &str) -> Vec<&str> {
    let (_, section) = readme.split_once("\n## Quick start\n").unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let fenced = section.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.strip_prefix("sh\n"))
        .collect()
}

/// The recordings of a phone, oldest first.
fn heard(folder: &Path, phone: &str) -> anyhow::Result<Vec<Heard>> {
    let entries = fs::read_dir(folder.join("quickstart/phones").join(phone))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with("-dec.wav"));
    files.sort();
    let read = |path: &PathBuf| Heard::from_wav(&fs::read(path)?);
    files.iter().map(read).collect()
}

#[test]
fn the_quick_start_is_heard() -> anyhow::Result<()> {
    let readme = fs::read_to_string(root().join("README.md"))?;
    let blocks = blocks(&readme);
    assert_eq!(blocks.len(), 10, "{blocks:#?}");

    let folder = tempfile::tempdir()?;
    let (http, sip, web) = (ports::lasting()?, ports::lasting()?, ports::lasting()?);
    let here = |text: &str| {
        text.replace("127.0.0.1:8080", &format!("127.0.0.1:{http}"))
            .replace("@127.0.0.1", &format!("@127.0.0.1:{sip}"))
            .replace("8000", &web.to_string())
    };
    for phone in ["guest", "ann", "bob"] {
        let (from, to) = (root(), folder.path());
        let place = Path::new("examples/phones").join(phone);
        fs::create_dir_all(to.join(&place))?;
        for file in ["config", "accounts"] {
            let file = place.join(file);
            let text = fs::read_to_string(from.join(&file)).with_context(|| phone.to_owned())?;
            fs::write(
                to.join(&file),
                text.replace("@127.0.0.1", &format!("@127.0.0.1:{sip}")),
            )?;
        }
    }
    let commands: Vec<String> = blocks.iter().map(|block| here(block)).collect();
    let script = format!(
        "set -eu\ntrap 'kill $(jobs -p) 2> kill.log || true' EXIT\n{READER}\n{}",
        commands.join("\nreader\n")
    );
    let binary = server::binary();
    let programs = binary.parent().context("no folder")?;
    let path = std::env::var("PATH").unwrap_or_default();
    // `timeout` also ends the processes that the shell started.
    let output = Command::new("timeout")
        .args(["-k", "2", "55", "bash", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("READY", format!("http://127.0.0.1:{http}/readyz"))
        .env("HELLO", format!("http://127.0.0.1:{web}/hello.xml"))
        .env("PATCHCORD_SERVER__HTTP", format!("127.0.0.1:{http}"))
        .env("PATCHCORD_SERVER__SIP", format!("127.0.0.1:{sip}"))
        .env("PATCHCORD_SERVER__METRICS", "127.0.0.1:0")
        .env("PATCHCORD_MEDIA__PORTS", "any")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let log = fs::read_to_string(folder.path().join("quickstart/server.log")).unwrap_or_default();
    let all = format!("{said}\n{}\n{log}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{all}", output.status);

    let guest = heard(folder.path(), "guest")?;
    let [hello, dialled] = &guest[..] else {
        anyhow::bail!("the guest made {} calls\n{all}", guest.len());
    };
    let spoken: f64 = hello.loud_parts(-40.0, 0.6).iter().sum();
    assert!(spoken > 0.5, "heard {spoken:.2} s of speech\n{all}");
    assert!(
        dialled.span_of(Pitch::of(ANN)).seconds() > 1.0,
        "guest and ann\n{all}"
    );
    let bob = heard(folder.path(), "bob")?;
    assert!(
        bob[0].span_of(Pitch::of(ANN)).seconds() > 1.0,
        "bob and ann\n{all}"
    );
    let ann = heard(folder.path(), "ann")?;
    assert!(
        ann[0].span_of(Pitch::of(BOB)).seconds() > 1.0,
        "ann and bob\n{all}"
    );

    assert!(said.contains("guest -> 2000"), "calls list\n{all}");
    assert!(said.contains("<Dial> ended"), "calls show\n{all}");
    assert!(said.contains("0 errors"), "lint\n{all}");
    assert!(said.contains("1 passed, 0 failed"), "test\n{all}");
    Ok(())
}
