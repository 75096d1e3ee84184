//! The pages about messages, verifications and masked numbers, and their examples, work as written.
//!
//! **Invariant: each `sh` block of a page runs, in order, in one shell**, in the folder `quickstart` of the README. Only addresses
//! differ; between two blocks the test waits, as a reader would, for what they started.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use e2e::server::{self, Options};
use e2e::{Server, ports, wait};
use serde_json::Value;
use tempfile::TempDir;

use crate::smpp::{SOON, Smsc};

/// What a reader does besides: `curl` fails if the server refuses, and `until FILE COUNT TEXT` waits until so many lines of a file
/// contain a text.
const READER: &str = r#"
set -euo pipefail
trap 'kill $(jobs -p) 2> kill.log || true' EXIT
curl() { command curl --silent --show-error --fail-with-body "$@" || { echo "refused: curl $*" >&2; exit 1; }; echo; }
until_lines() {
  for _ in $(seq 100); do
    [ "$(grep -c "$3" "$1" 2> grep.log)" -ge "$2" ] 2> grep.log && return
    sleep 0.1
  done
  echo "$1 has no $2 lines with $3:" >&2
  cat "$1" >&2
  exit 1
}
"#;

/// Between the outputs of two blocks.
const CUT: &str = "-- next block --\n";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The blocks of a page with a first line, as written, and the blocks that are indented by four spaces and show what is printed.
fn read(page: &str) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let text = fs::read_to_string(root().join(page))?;
    let fenced = text.split("```").skip(1).step_by(2);
    let commands = fenced.filter_map(|block| block.strip_prefix("sh\n"));
    let commands = commands.map(str::to_owned).collect();
    let mut shown = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(line) if is_open => {
                let last: &mut String = shown.last_mut().context("no block")?;
                last.push_str(&format!("{line}\n"));
            }
            Some(line) => shown.push(format!("{line}\n")),
            None => {}
        }
        is_open = line.starts_with("    ");
    }
    Ok((commands, shown))
}

/// A server and the folder in which a page is read.
struct Reader {
    server: Server,
    folder: TempDir,
    replace: Vec<(String, String)>,
    environment: Vec<(&'static str, String)>,
}

impl Reader {
    fn new(options: Options) -> anyhow::Result<Self> {
        let server = options.start()?;
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("quickstart"))?;
        std::os::unix::fs::symlink(root().join("examples"), folder.path().join("examples"))?;
        let credentials = format!(
            "PATCHCORD_ADMIN_SID={}\nPATCHCORD_ADMIN_TOKEN={}\n",
            server::ADMIN_SID,
            server::ADMIN_TOKEN
        );
        fs::write(server.data().join("admin-credentials"), credentials)?;
        let data = folder.path().join("quickstart/patchcord-data");
        std::os::unix::fs::symlink(server.data(), data)?;
        let base = server.ready()["http"].as_str().context("no address")?;
        let replace = vec![("http://127.0.0.1:8080".to_owned(), base.to_owned())];
        Ok(Self {
            server,
            folder,
            replace,
            environment: Vec::new(),
        })
    }

    /// The page has this; the test needs something else.
    fn with(mut self, written: &str, here: &str) -> Self {
        self.replace.push((written.to_owned(), here.to_owned()));
        self
    }

    fn shell(&self, blocks: &[String], waits: &[&str]) -> anyhow::Result<Command> {
        let mut script = READER.to_owned();
        for (at, block) in blocks.iter().enumerate() {
            let mut block = block.clone();
            for (written, here) in &self.replace {
                block = block.replace(written, here);
            }
            let wait = waits.get(at).copied().unwrap_or_default();
            script.push_str(&format!(
                "{block}\n{wait}\nprintf '\\n{}'\n",
                CUT.escape_default()
            ));
        }
        let binary = server::binary();
        let programs = binary.parent().context("no folder")?;
        let path = std::env::var("PATH").unwrap_or_default();
        // `timeout` also ends the processes that the shell started.
        let mut command = Command::new("timeout");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PATCHCORD_") {
                command.env_remove(name);
            }
        }
        command
            .args(["-k", "2", "50", "bash", "-c", &script])
            .current_dir(self.folder.path().join("quickstart"))
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SID", server::ADMIN_SID)
            .env("TOKEN", server::ADMIN_TOKEN)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// What each block printed.
    ///
    /// - `types`: writes what the reader types
    fn run(
        &self,
        (blocks, waits): (&[String], &[&str]),
        types: impl FnOnce(&mut dyn std::io::Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<String>> {
        let mut shell = self.shell(blocks, waits)?.spawn()?;
        let mut stdin = shell.stdin.take().context("no input")?;
        let typed = types(&mut stdin);
        drop(stdin);
        let mut log = shell.stderr.take().context("no log")?;
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            log.read_to_string(&mut text).map(|_| text)
        });
        let output = shell.wait_with_output()?;
        let log = log.join().map_err(|_| anyhow::anyhow!("panicked"))??;
        let said = String::from_utf8(output.stdout)?;
        ensure!(
            output.status.success(),
            "{}\n{said}\n{log}\n{}",
            output.status,
            self.server.log()
        );
        typed.with_context(|| format!("{said}\n{log}"))?;
        let parts = said.split(CUT).map(|part| part.trim().to_owned());
        Ok(parts.take(blocks.len()).collect())
    }
}

/// JSON documents that a block printed, one after the other.
fn documents(printed: &str) -> anyhow::Result<Vec<Value>> {
    let stream = serde_json::Deserializer::from_str(printed).into_iter();
    stream
        .collect::<Result<_, _>>()
        .with_context(|| printed.to_owned())
}

fn lines(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn the_ride_with_masked_numbers_runs() -> anyhow::Result<()> {
    let (blocks, shown) = read("examples/masking/README.md")?;
    ensure!(blocks.len() == 7 && shown.len() == 2, "{blocks:#?}");
    let mut reader = Reader::new(Options::default())?;
    let base = reader.replace[0].1.clone();
    reader.environment.push(("API_URL", base));
    for (name, port) in [("RIDE_PORT", "8001"), ("PHONES_PORT", "8002")] {
        let own = ports::lasting()?.to_string();
        reader = reader.with(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{own}"));
        reader.environment.push((name, own));
    }
    let waits = [
        "until_lines phones.log 1 ready; until_lines ride.log 2 dials",
        "",
        "until_lines phones.log 1 gate",
        "until_lines phones.log 1 minutes; until_lines ride.log 2 contact",
        "",
        "until_lines phones.log 3 'gets a text'; until_lines ride.log 1 'the ride is'",
    ];
    let printed = reader.run((&blocks, &waits), |_| Ok(()))?;
    ensure!(printed[1] == shown[0].trim(), "{}", printed[1]);
    ensure!(printed[4] == shown[1].trim(), "{}", printed[4]);
    let folder = reader.folder.path().join("quickstart");
    let (phones, ride) = (
        lines(&folder.join("phones.log")),
        lines(&folder.join("ride.log")),
    );
    // The number connects the two no more, and says so.
    let last = phones.lines().last().unwrap_or_default();
    ensure!(
        last.starts_with("+49170000101 gets a text from +493000000001: ") && !last.contains("hat"),
        "{phones}"
    );
    ensure!(!phones.contains("hat"), "{phones}");
    ensure!(ride.ends_with("the ride is closed: api\n"), "{ride}");
    Ok(())
}

#[test]
fn the_login_with_a_code_runs() -> anyhow::Result<()> {
    let (blocks, shown) = read("examples/verify/README.md")?;
    ensure!(blocks.len() == 3 && shown.len() == 2, "{blocks:#?}");
    let developer = Options::default().variable("PATCHCORD_SERVER__DEV", "true");
    let mut reader = Reader::new(developer)?;
    let base = reader.replace[0].1.clone();
    reader.environment.push(("API_URL", base));
    let rest = reader.server.rest();
    let printed = reader.run((&blocks, &[]), |input| {
        let code = wait::until("the e-mail", SOON, || {
            let list = rest.send("GET", "/dev/mail.json", None).ok()?;
            let list: Value = serde_json::from_slice(&list.body).ok()?;
            let body = list[0]["body"].as_str()?;
            let code: String = body.chars().filter(char::is_ascii_digit).collect();
            (list[0]["to"] == "ann@shop.example").then_some(code)
        })?;
        Ok(writeln!(input, "{code}")?)
    })?;
    ensure!(printed[0] == shown[0].trim(), "{}", printed[0]);
    ensure!(printed[1] == shown[1].trim(), "{}", printed[1]);
    ensure!(printed[2] == "The code?\nWelcome.", "{}", printed[2]);
    Ok(())
}

#[test]
fn the_page_about_verifications_runs() -> anyhow::Result<()> {
    let (blocks, _) = read("docs/solutions/verify.md")?;
    ensure!(blocks.len() == 3, "{blocks:#?}");
    // A code of `/2fa` is sent in real mode, to the phones of a client.
    let reader = Reader::new(Options::default())?;
    let printed = reader.run((&blocks, &[]), |_| Ok(()))?;
    let first = documents(&printed[0])?;
    ensure!(
        first
            .last()
            .is_some_and(|last| last["status"] == "approved"),
        "{first:?}"
    );
    let second = documents(&printed[1])?;
    ensure!(
        second
            .last()
            .is_some_and(|last| last["status"] == "verified"),
        "{second:?}"
    );
    let third = documents(&printed[2])?;
    ensure!(
        third.last().is_some_and(|last| last["status"] == "pending"),
        "{third:?}"
    );
    Ok(())
}

#[test]
fn the_page_about_masked_numbers_runs() -> anyhow::Result<()> {
    let (blocks, _) = read("docs/solutions/masking.md")?;
    ensure!(blocks.len() == 3, "{blocks:#?}");
    let reader = Reader::new(Options::default())?;
    let printed = reader.run((&blocks, &[]), |_| Ok(()))?;
    let first = documents(&printed[0])?;
    ensure!(
        first[1..]
            .iter()
            .all(|one| one["proxy_identifier"] == "+493000000001")
            && first.len() == 3,
        "{first:?}"
    );
    let second = documents(&printed[1])?;
    ensure!(
        second.last().is_some_and(|last| last["status"] == "closed"),
        "{second:?}"
    );
    let third = documents(&printed[2])?;
    ensure!(
        third[1..].iter().all(|one| one["code"] == 200) && third.len() == 4,
        "{third:?}"
    );
    Ok(())
}

#[test]
fn the_page_about_messages_runs() -> anyhow::Result<()> {
    let (blocks, _) = read("docs/messaging.md")?;
    ensure!(blocks.len() == 5, "{blocks:#?}");
    let smsc = Smsc::start()?;
    let reader = Reader::new(Options::default())?
        .with("smsc.example.com", "127.0.0.1")
        .with("Port=2775", &format!("Port={}", smsc.port()))
        .with("Secret=password", "Secret=secret");
    let up = "until curl -u \"$SID:$TOKEN\" \"$BASE/restcomm/2012-04-24/Accounts/$SID/MessageRoutes.json\" | \
              grep '\"up\": *true' > up.log; do sleep 0.1; done";
    let printed = reader.run((&blocks, &[up]), |_| Ok(()))?;
    let sent = documents(&printed[1])?;
    let sid = sent[0]["sid"].as_str().context("no sid")?;
    crate::smpp::ends_as(&reader.server.rest(), sid, "delivered")?;
    ensure!(smsc.given("4915112345678") == "Hello");
    ensure!(
        printed[2].contains("acme") && printed[2].contains("1 short messages"),
        "{}",
        printed[2]
    );
    let later = documents(&printed[3])?;
    ensure!(later[0]["status"] == "scheduled", "{later:?}");
    let canceled = documents(&printed[4])?;
    ensure!(canceled[0]["status"] == "canceled", "{canceled:?}");
    Ok(())
}
