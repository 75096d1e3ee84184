//! The examples below the help of each command.

pub(super) const PATCHCORD: &str = "\
Examples:
  patchcord serve                                  all settings at their defaults, data in ./patchcord-data
  patchcord serve --sip 0.0.0.0:5080 --data /var/lib/patchcord
  patchcord serve --config /etc/patchcord.toml
  PATCHCORD_FETCH__TIMEOUT_MS=3000 patchcord serve
  patchcord calls list
  patchcord calls show CA0123456789abcdef0123456789abcdef
  patchcord new my-menu                            an application to start from
  patchcord test examples                          run every script in a folder
  patchcord lint welcome.xml
  patchcord webhooks replay --state dead
  patchcord doctor calls                           open calls, their servers, and what happens next

Exit codes: 0 success, 1 a test failed, or lint, replay or doctor found something, 64 wrong
usage, an invalid configuration or script, or a file, folder, call or callback that does not exist, 70 anything else.";

pub(super) const SERVE: &str = "\
Examples:
  patchcord serve
  patchcord serve --http 127.0.0.1:8081 --sip 127.0.0.1:5080 --data /var/lib/patchcord
  patchcord serve --config /etc/patchcord.toml     `patchcord config --toml` prints one to start from
  PATCHCORD_LOG__LEVEL=debug patchcord serve

Environment: PATCHCORD_SECTION__KEY for any setting except the tables [[trunk]], [[siprec]] and
[[role]], with two underscores;
PATCHCORD_ADMIN_SID, PATCHCORD_ADMIN_TOKEN, PATCHCORD_ADMIN_EMAIL, PATCHCORD_ADMIN_PASSWORD,
PATCHCORD_DOMAIN and PATCHCORD_SECRET_KEY. A flag overrides the environment, which overrides the file.

docs/operating.md describes starting and stopping; docs/config.md describes every setting.";

pub(super) const DEMO: &str = "\
Examples:
  patchcord demo
  patchcord demo --stay                            then try the API and `calls show` yourself";

pub(super) const CONFIG: &str = "\
Examples:
  patchcord config                                 a table, as in docs/config.md
  patchcord config --toml > patchcord.toml
  patchcord serve --config patchcord.toml";

pub(super) const OPENAPI: &str = "\
Examples:
  patchcord openapi > openapi-restcomm.json
  patchcord openapi --dialect twilio > openapi-twilio.json";

pub(super) const CALLS: &str = "\
Examples:
  patchcord calls list
  patchcord calls list --status failed --since 2026-03-01 --limit 100
  patchcord calls list --number 0123 --json
  patchcord calls show CA0123456789abcdef0123456789abcdef
  patchcord calls show CA0123456789abcdef0123456789abcdef --json > call.json";

pub(super) const MIGRATE: &str = "\
Examples:
  patchcord migrate --data /var/lib/patchcord --to postgres://patchcord@127.0.0.1/patchcord
  patchcord migrate --from /var/lib/patchcord/patchcord.db --config /etc/patchcord.toml

docs/operating.md describes what to do before and afterwards.";

pub(super) const BIN: &str = "\
Examples:
  patchcord bin list
  patchcord bin restore PN0123456789abcdef0123456789abcdef
  patchcord bin delete RE0123456789abcdef0123456789abcdef";

pub(super) const ERASE: &str = "\
Examples:
  patchcord erase +493012345678 --account AC0123456789abcdef0123456789abcdef";

pub(super) const BACKUP: &str = "\
Examples:
  patchcord backup /backup/2026-03-01 --data /var/lib/patchcord
  patchcord backup /backup/2026-03-01 --config /etc/patchcord.toml --without-key";

pub(super) const RESTORE: &str = "\
Examples:
  patchcord restore /backup/2026-03-01 --data /var/lib/patchcord
  patchcord restore /backup/2026-03-01 --data /var/lib/patchcord --to postgres://patchcord@127.0.0.1/new";

pub(super) const DOCTOR: &str = "\
Examples:
  patchcord doctor calls
  patchcord doctor calls --json --data /var/lib/patchcord
  patchcord doctor phones                          what was turned away, and how to fix it";

pub(super) const NEW: &str = "\
Examples:
  patchcord new my-menu
  patchcord test my-menu/documents.test.yaml       the documents alone
  python3 my-menu/app.py &
  patchcord test my-menu                           the running application, too";

pub(super) const TEST: &str = "\
Examples:
  patchcord test examples/hello-say/test.yaml      one script
  patchcord test examples                          each `test.yaml` and `*.test.yaml` below
  patchcord test --trace my.test.yaml              draw the call even if it passes
  patchcord test --quiet tests                     only what failed, and the count
  patchcord test --junit report.xml tests          for continuous integration
  patchcord test --from CA0123456789abcdef0123456789abcdef > new.test.yaml
                                                   make a script from a past call, with
                                                   zeros for the pressed keys (see `--keys`)

Exit codes: 0 all passed, 1 some failed, 64 wrong usage or a script that cannot be read,
70 anything else.";

pub(super) const WEBHOOK: &str = "\
Examples:
  patchcord webhooks list --state dead
  patchcord webhooks show EV0123456789abcdef0123456789abcdef
  patchcord webhooks replay EV0123456789abcdef0123456789abcdef
  patchcord webhooks replay --state dead
  patchcord webhooks replay --from 2026-03-01T08:00:00Z --until 2026-03-01T09:30:00Z
  patchcord webhooks drop EV0123456789abcdef0123456789abcdef
  patchcord webhooks drop --lane CA0123456789abcdef0123456789abcdef

A running server picks up replays and drops within about a second; if none is running, the next one to start
delivers replays. Each callback keeps its event identifier and its place in the order of its call.";

pub(super) const REPLAY: &str = "\
Examples:
  patchcord replay CA0123456789abcdef0123456789abcdef --data /var/lib/patchcord
  patchcord calls show CA0123456789abcdef0123456789abcdef --json > call.json
  patchcord replay call.json";

pub(super) const LINT: &str = "\
Examples:
  patchcord lint welcome.xml
  patchcord lint documents/ --errors-only
  patchcord lint http://127.0.0.1:8000/hello.xml --dialect twilio
  patchcord lint http://127.0.0.1:8001/voice --post
  ./make-document | patchcord lint - --json

docs/linting.md lists what is found; docs/errors.md describes every number.";

pub(super) const NOTIFICATIONS: &str = "\
Examples:
  patchcord notifications list
  patchcord notifications list --follow            watch for problems while you try an application
  patchcord notifications list --call CA0123456789abcdef0123456789abcdef
  patchcord notifications list --account AC0123456789abcdef0123456789abcdef --limit 100

docs/errors.md describes every number.";

pub(super) const NUMBERS: &str = "\
Examples:
  patchcord numbers import numbers.csv
  patchcord numbers import numbers.csv --replace --data /var/lib/patchcord

A file with two numbers:
  phone_number,country,kind,region,capabilities
  +15015550100,US,local,AR,voice sms
  +448081570000,GB,toll-free,,voice";

pub(super) const AUDIT: &str = "\
Examples:
  patchcord audit list
  patchcord audit list --account AC0123456789abcdef0123456789abcdef --limit 100
  patchcord audit list --json > changes.jsonl";

pub(super) const SMS: &str = "\
Examples:
  patchcord sms routes
  patchcord sms test AC00000000000000000000000000000001 +4930123456 +4915112345678 'Hello 😀'";

pub(super) const PHONES: &str = "\
Examples:
  patchcord phones list
  patchcord phones list --json --data /var/lib/patchcord";
