//! Where settings come from: the file, the environment, the flags; in this order, later ones win.
//!
//! **Invariant: no given value is silently ignored**: each key is either set or reported.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Config, KEYS, Key, MailSecurity, Reason, SECTIONS, SHORT_NAMES, role, siprec, trunk};

/// The command line's values; `None` where it has none.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// `--config`
    pub(crate) file: Option<PathBuf>,
    /// `--data`
    pub(crate) data: Option<String>,
    /// `--http`
    pub(crate) http: Option<String>,
    /// `--sip`
    pub(crate) sip: Option<String>,
    /// `--metrics`
    pub(crate) metrics: Option<String>,
    /// `--dev`
    pub(crate) dev: Option<String>,
}

/// A refused key, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    key: String,
    reason: Reason,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, reason: Reason) -> Self {
        Self {
            key: key.into(),
            reason,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.reason)
    }
}

/// All faults in the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigErrors(Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads all sources.
///
/// # Errors
/// [`ConfigErrors`] with every unknown key and every unusable value.
pub(crate) fn load(
    flags: &Flags,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigErrors> {
    let mut problems = Vec::new();
    let mut config = match Config::defaults() {
        Ok(config) => config,
        Err(reason) => return Err(ConfigErrors(vec![Problem::new("defaults", reason)])),
    };
    if let Some(path) = &flags.file {
        read_file(path, &mut config, &mut problems);
    }
    for (name, value) in environment {
        read_variable(&name, &value, &mut config, &mut problems);
    }
    let given = [
        ("--data", "data", &flags.data),
        ("--http", "http", &flags.http),
        ("--sip", "sip", &flags.sip),
        ("--metrics", "metrics", &flags.metrics),
        ("--dev", "dev", &flags.dev),
    ];
    for (flag, key, value) in given {
        if let Some(text) = value
            && let Err(reason) = config.set("server", key, text)
        {
            problems.push(Problem::new(flag, reason));
        }
    }
    problems.extend(check(&config));
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigErrors(problems))
    }
}

/// What the text of a value alone does not say. Secrets are not shown.
fn check(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    if config.server.data.is_file() {
        let shown = config.server.data.display();
        let reason = format!("`{shown}` is a file; name a folder (also `--data`)");
        problems.push(Problem::new("server.data", reason));
    }
    if let Some(key) = &config.server.secret_key
        && store::SecretKey::from_hex(key.expose()).is_err()
    {
        let reason = "must be 64 hexadecimal digits".to_owned();
        problems.push(Problem::new("server.secret_key", reason));
    }
    check_mail(config, &mut problems);
    if let Some(url) = &config.database.url
        && !["sqlite:", "postgres:", "postgresql:"]
            .iter()
            .any(|scheme| url.expose().starts_with(scheme))
    {
        let reason = "must begin with `sqlite:` or `postgres:`".to_owned();
        problems.push(Problem::new("database.url", reason));
    }
    problems
}

fn check_mail(config: &Config, problems: &mut Vec<Problem>) {
    let mail = &config.mail;
    let mut refuse = |key: &str, reason: &str| {
        problems.push(Problem::new(format!("mail.{key}"), reason.to_owned()));
    };
    match (&mail.username, &mail.password) {
        (Some(_), None) => refuse("password", "must be set, because `mail.username` is"),
        (None, Some(_)) => refuse("username", "must be set, because `mail.password` is"),
        (None, None) => return,
        (Some(_), Some(_)) => {}
    }
    let is_local = mail.server.as_ref().is_some_and(|server| {
        let ip = server.as_str().parse::<std::net::IpAddr>();
        server.as_str() == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    });
    let is_open = matches!(
        mail.security,
        Some(MailSecurity::Plain | MailSecurity::Opportunistic)
    );
    if is_open && !is_local {
        let reason = "would send the password unencrypted; write `tls` or `starttls`";
        refuse("security", reason);
    }
}

fn read_file(path: &Path, config: &mut Config, problems: &mut Vec<Problem>) {
    let shown = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            return problems.push(Problem::new(shown, format!("cannot be read: {error}")));
        }
    };
    match text.parse::<toml::Table>() {
        Ok(table) => read_tables(&table, config, problems),
        Err(error) => problems.push(Problem::new(shown, error.to_string())),
    }
}

fn read_tables(file: &toml::Table, config: &mut Config, problems: &mut Vec<Problem>) {
    for (section, value) in file {
        match value {
            toml::Value::Array(tables) if section == "trunk" => {
                read_trunks(tables, config, problems);
            }
            toml::Value::Array(tables) if section == "siprec" => {
                read_recorders(tables, config, problems);
            }
            toml::Value::Array(tables) if section == "role" => {
                read_roles(tables, config, problems);
            }
            toml::Value::Table(keys) if SECTIONS.iter().any(|(known, _)| known == section) => {
                for (name, value) in keys {
                    let read = plain(value).and_then(|text| set(config, section, name, &text));
                    if let Err(reason) = read {
                        problems.push(Problem::new(format!("{section}.{name}"), reason));
                    }
                }
            }
            toml::Value::Table(_) | toml::Value::Array(_) => {
                problems.push(Problem::new(section, unknown_section(section)));
            }
            _ => problems.push(Problem::new(section, outside_sections(section))),
        }
    }
}

/// The message for a value at the top level of the file.
fn outside_sections(name: &str) -> Reason {
    let sections: Vec<String> = KEYS
        .iter()
        .filter(|key| key.name == name)
        .map(|key| format!("`[{}]`", key.section))
        .collect();
    if sections.is_empty() {
        return unknown_section(name);
    }
    format!("put it under {}", sections.join(" or "))
}

fn read_trunks(tables: &[toml::Value], config: &mut Config, problems: &mut Vec<Problem>) {
    for (at, value) in tables.iter().enumerate() {
        match value {
            toml::Value::Table(table) => config.trunks.extend(trunk::read(at, table, problems)),
            _ => problems.push(Problem::new(
                format!("trunk[{at}]"),
                "is not a table".to_owned(),
            )),
        }
    }
}

fn read_recorders(tables: &[toml::Value], config: &mut Config, problems: &mut Vec<Problem>) {
    for (at, value) in tables.iter().enumerate() {
        match value {
            toml::Value::Table(table) => {
                let recorder = siprec::read(at, table, &config.recorders, problems);
                config.recorders.extend(recorder);
            }
            _ => problems.push(Problem::new(
                format!("siprec[{at}]"),
                "is not a table".to_owned(),
            )),
        }
    }
}

fn read_roles(tables: &[toml::Value], config: &mut Config, problems: &mut Vec<Problem>) {
    for (at, value) in tables.iter().enumerate() {
        match value {
            toml::Value::Table(table) => {
                let role = role::read(at, table, &config.roles, problems);
                config.roles.extend(role);
            }
            _ => problems.push(Problem::new(
                format!("role[{at}]"),
                "is not a table".to_owned(),
            )),
        }
    }
}

/// Sections of which there may be several.
const REPEATED: [&str; 3] = ["trunk", "siprec", "role"];

fn unknown_section(name: &str) -> Reason {
    if REPEATED.contains(&name) {
        return format!("write it as `[[{name}]]`");
    }
    if SECTIONS.iter().any(|(known, _)| *known == name) {
        return format!("is a section: write `[{name}]`");
    }
    let names = SECTIONS.iter().map(|(known, _)| *known).chain(REPEATED);
    format!("no such section{}", suggestion(name, names))
}

/// A scalar, or a list of them, in the text format of settings.
pub(super) fn plain(value: &toml::Value) -> Result<String, Reason> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        toml::Value::Array(values) => {
            let parts: Result<Vec<String>, Reason> = values.iter().map(plain).collect();
            parts.map(|parts| parts.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => {
            Err("must be a string, a whole number, true or false, or a list of them".to_owned())
        }
    }
}

/// Names used by the build, tests, and programs that the server starts.
const OTHERS: &[&str] = &[
    "BEFORE_BIN",
    "BIN",
    "BUILD_DATE",
    "CRASH_DATABASE",
    "END_SILENCE_MS",
    "FUZZ_SECONDS",
    "HINTS",
    "KILLS",
    "LANGUAGE",
    "OUTAGE_SECONDS",
    "REVISION",
    "SOAK_CALLS",
    "SOAK_RATE",
    "TEST_POSTGRES_URL",
    "UPDATE_DOCS",
];

/// Whether a name is not one of our settings: one of [`OTHERS`], or set by Kubernetes or Docker for
/// a service named `patchcord`.
fn is_foreign(rest: &str, value: &str) -> bool {
    let is_link = rest.starts_with("PORT_")
        || rest.starts_with("SERVICE_")
        || (rest == "PORT" && value.contains("://"));
    is_link || OTHERS.contains(&rest)
}

/// The settings that a name with too few underscores may mean, with the correct name of each.
fn meant_names() -> impl Iterator<Item = (String, String)> {
    let is_secret = |section: &str, name: &str| {
        KEYS.iter()
            .any(|key| key.secret && key.section == section && key.name == name)
    };
    let short = SHORT_NAMES.iter().flat_map(move |(name, section, key)| {
        let file = is_secret(section, key).then(|| format!("{name}_FILE"));
        let names = [Some((*name).to_owned()), file];
        names.into_iter().flatten().map(|name| (name.clone(), name))
    });
    let long = KEYS.iter().flat_map(|key| {
        let (section, name) = (
            key.section.to_ascii_uppercase(),
            key.name.to_ascii_uppercase(),
        );
        let right = format!("PATCHCORD_{section}__{name}");
        let single = format!("PATCHCORD_{section}_{name}");
        [
            (single, right.clone()),
            (format!("PATCHCORD_{name}"), right),
        ]
    });
    short.chain(long)
}

/// The message for a name that is neither a short one nor has two underscores.
fn no_such_variable(name: &str) -> Reason {
    let upper = name.to_ascii_uppercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&upper, known);
    let near = meant_names()
        .map(|(written, right)| (distance(&written), right, written.len()))
        .min_by_key(|(distance, ..)| *distance)
        .filter(|(distance, _, length)| *distance <= 1 + (length - "PATCHCORD_".len()) / 4);
    let help = match near {
        Some((_, right, _)) => format!("did you mean `{right}`?"),
        None => "settings are `PATCHCORD_SECTION__KEY`, with two underscores".to_owned(),
    };
    format!("no such variable; {help}")
}

/// Reads an environment variable: `PATCHCORD_SECTION__KEY` or a short name.
fn read_variable(name: &str, value: &str, config: &mut Config, problems: &mut Vec<Problem>) {
    let Some(rest) = name.strip_prefix("PATCHCORD_") else {
        return;
    };
    let short =
        SHORT_NAMES
            .iter()
            .find_map(|(known, section, key)| match name.strip_prefix(known)? {
                "" => Some(((*section).to_owned(), (*key).to_owned())),
                "_FILE" => Some(((*section).to_owned(), format!("{key}_file"))),
                _ => None,
            });
    let long = || {
        let (section, key) = rest.split_once("__")?;
        Some((section.to_ascii_lowercase(), key.to_ascii_lowercase()))
    };
    let result = match short.or_else(long) {
        Some((section, key)) if SECTIONS.iter().any(|(known, _)| *known == section) => {
            set(config, &section, &key, value)
        }
        Some((section, _)) => Err(unknown_section(&section)),
        None if is_foreign(rest, value) => return,
        None => Err(no_such_variable(name)),
    };
    if let Err(reason) = result {
        problems.push(Problem::new(name, reason));
    }
}

/// Sets a key of an existing section; a secret's `_file` form reads that file.
fn set(config: &mut Config, section: &str, name: &str, text: &str) -> Result<(), Reason> {
    let keys = || KEYS.iter().filter(|key| key.section == section);
    if keys().any(|key| key.name == name) {
        return config.set(section, name, text);
    }
    if let Some(secret) = name.strip_suffix("_file")
        && keys().any(|key| key.name == secret && key.secret)
    {
        return config.set(section, secret, &secret_from_file(text)?);
    }
    for (section, keys) in REPEATED.iter().zip([trunk::KEYS, siprec::KEYS, role::KEYS]) {
        if keys.iter().any(|key| key.name == name) {
            return Err(format!(
                "no such key here; it belongs below `[[{section}]]`"
            ));
        }
    }
    Err(no_such_key(name, keys()))
}

/// The content of a secret's file, without a trailing line end.
pub(super) fn secret_from_file(path: &str) -> Result<String, Reason> {
    std::fs::read_to_string(path)
        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|error| format!("cannot read `{path}`: {error}"))
}

pub(super) fn no_such_key(name: &str, keys: impl Iterator<Item = &'static Key>) -> Reason {
    format!("no such key{}", suggestion(name, keys.map(|key| key.name)))
}

/// `; did you mean …?` if one of the names is similar.
fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .map_or_else(String::new, |(_, candidate)| {
            format!("; did you mean `{candidate}`?")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(file: &str, environment: &[(&str, &str)], flags: Flags) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(
            &Flags {
                file: Some(path),
                ..flags
            },
            environment,
        )
        .map_err(|errors| errors.to_string())
    }

    #[test]
    fn later_sources_win() {
        let file = "[server]\nhttp = '127.0.0.1:1'\nsip = '127.0.0.1:1'\ndata = 'file'\n[fetch]\ntimeout_ms = 1\nallow_private = true\n";
        let environment = [
            ("PATCHCORD_SERVER__SIP", "127.0.0.1:2"),
            ("PATCHCORD_SERVER__HTTP", "127.0.0.1:2"),
            ("PATCHCORD_DOMAIN", "Example.ORG"),
            ("PATCHCORD_BIN", "not ours"),
            ("PATCHCORD_PORT", "tcp://10.0.0.1:80"),
            ("PATCHCORD_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("PATCHCORD_SERVICE_HOST", "10.0.0.1"),
            ("HOME", "not ours"),
        ];
        let flags = Flags {
            http: Some("127.0.0.1:3".to_owned()),
            ..Flags::default()
        };
        let config = load_text(file, &environment, flags).unwrap();
        assert_eq!(config.server.http.port(), 3);
        assert_eq!(config.server.sip.port(), 2);
        assert_eq!(config.server.data, PathBuf::from("file"));
        assert_eq!(config.server.domain.as_str(), "example.org");
        assert_eq!(config.fetch.timeout_ms.get(), 1);
        assert!(config.fetch.allow_private);
        assert_eq!(config.media.silence_timeout_s.get(), 60);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        // The file, the environment, and the beginning of the refusal.
        type Row = (
            &'static str,
            &'static [(&'static str, &'static str)],
            &'static str,
        );
        let table: &[Row] = &[
            (
                "[fetch]\ntimout_ms = 1",
                &[],
                "`fetch.timout_ms`: no such key; did you mean `timeout_ms`?",
            ),
            (
                "[compat]\naddresses = ['192.0.2.1']",
                &[],
                "`compat.addresses`: no such key here; it belongs below `[[trunk]]`",
            ),
            (
                "[fecth]\ntimeout_ms = 1",
                &[],
                "`fecth`: no such section; did you mean `fetch`?",
            ),
            (
                "[fetch]\ntimeout_ms = 0",
                &[],
                "`fetch.timeout_ms`: `0` is not a whole number above 0",
            ),
            (
                "[fetch]\nmax_media_bytes = 67108865",
                &[],
                "`fetch.max_media_bytes`: `67108865` is not a whole number from 1 to 67108864",
            ),
            (
                "[fetch]\ntimeout_ms = 1.5",
                &[],
                "`fetch.timeout_ms`: must be a string",
            ),
            (
                "[server]\nsip = 5060",
                &[],
                "`server.sip`: `5060` is not an address and a port: write `127.0.0.1:5060` for this machine",
            ),
            (
                "[server]\nhttp_file = 'x'",
                &[],
                "`server.http_file`: no such key",
            ),
            (
                "[trunk]\nname = 'a'",
                &[],
                "`trunk`: write it as `[[trunk]]`",
            ),
            ("[role]\nname = 'a'", &[], "`role`: write it as `[[role]]`"),
            ("role = [1]", &[], "`role[0]`: is not a table"),
            (
                "[http]\npermissions = []",
                &[],
                "`http.permissions`: no such key here; it belongs below `[[role]]`",
            ),
            (
                "[[role]]\nname = 'a'\n[[role]]\nname = 'a'",
                &[],
                "`role[1].name`: there are two roles `a`",
            ),
            (
                "[http]\nallowed_origins = ['https://a', 'b.example']",
                &[],
                "`http.allowed_origins`: `b.example` is not an origin",
            ),
            ("fetch = 1", &[], "`fetch`: is a section: write `[fetch]`"),
            ("fecth = 1", &[], "`fecth`: no such section; did you mean"),
            (
                "http = '127.0.0.1:8090'",
                &[],
                "`http`: put it under `[server]`",
            ),
            (
                "allow_private = true",
                &[],
                "`allow_private`: put it under `[sip]` or `[fetch]`",
            ),
            (
                "",
                &[("PATCHCORD_FETCH__TIMEOUT", "1")],
                "`PATCHCORD_FETCH__TIMEOUT`: no such key; did you mean `timeout_ms`?",
            ),
            (
                "",
                &[("PATCHCORD_ADMIN_TOKN", "x")],
                "`PATCHCORD_ADMIN_TOKN`: no such variable; did you mean `PATCHCORD_ADMIN_TOKEN`?",
            ),
            (
                "",
                &[("PATCHCORD_ADMIN_TOKEN_file", "x")],
                "`PATCHCORD_ADMIN_TOKEN_file`: no such variable; did you mean `PATCHCORD_ADMIN_TOKEN_FILE`?",
            ),
            (
                "",
                &[("PATCHCORD_ADMIN_SID", "AC12")],
                "`PATCHCORD_ADMIN_SID`: `AC12` is not `AC` and 32",
            ),
            (
                "",
                &[("PATCHCORD_NOWHERE__KEY", "1")],
                "`PATCHCORD_NOWHERE__KEY`: no such section",
            ),
            (
                "",
                &[("PATCHCORD_DOMIAN", "example.org")],
                "`PATCHCORD_DOMIAN`: no such variable; did you mean `PATCHCORD_DOMAIN`?",
            ),
            (
                "",
                &[("PATCHCORD_FETCH_TIMEOUT_MS", "3000")],
                "`PATCHCORD_FETCH_TIMEOUT_MS`: no such variable; did you mean `PATCHCORD_FETCH__TIMEOUT_MS`?",
            ),
            (
                "",
                &[("PATCHCORD_HTTP", "127.0.0.1:1")],
                "`PATCHCORD_HTTP`: no such variable; did you mean `PATCHCORD_SERVER__HTTP`?",
            ),
            (
                "",
                &[("PATCHCORD_LOG_LEVLE", "debug")],
                "`PATCHCORD_LOG_LEVLE`: no such variable; did you mean `PATCHCORD_LOG__LEVEL`?",
            ),
            (
                "",
                &[("PATCHCORD_COLOUR_OF_THE_SKY", "blue")],
                "`PATCHCORD_COLOUR_OF_THE_SKY`: no such variable; settings are `PATCHCORD_SECTION__KEY`",
            ),
            (
                "",
                &[("PATCHCORD_SECRET_KEY", "xyz")],
                "`server.secret_key`: must be 64 hexadecimal digits",
            ),
            (
                "",
                &[("PATCHCORD_DATABASE__URL", "mysql://u:p@h")],
                "`database.url`: must begin with `sqlite:` or `postgres:`",
            ),
        ];
        for (file, environment, expected) in table {
            let problem = load_text(file, environment, Flags::default()).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
        let broken = load_text("[server", &[], Flags::default()).unwrap_err();
        assert!(
            broken.contains("config.toml`") && broken.contains("line 1"),
            "{broken}"
        );
    }

    #[test]
    fn a_file_is_not_a_data_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let flags = Flags {
            data: Some(file.path().display().to_string()),
            ..Flags::default()
        };
        let problem = load_text("", &[], flags).unwrap_err();
        assert!(problem.starts_with("`server.data`: "), "{problem}");
        assert!(problem.contains("is a file; name a folder"), "{problem}");
    }

    #[test]
    fn reports_everything_at_once() {
        let flags = Flags {
            sip: Some("here".to_owned()),
            ..Flags::default()
        };
        let problems = load_text("[fetch]\na = 1\nb = 2\n", &[], flags).unwrap_err();
        assert_eq!(problems.lines().count(), 3, "{problems}");
        assert!(
            problems
                .contains("`--sip`: `here` is not an address and a port: write `127.0.0.1:8080`"),
            "{problems}"
        );
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "abc\n").unwrap();
        let path = path.display().to_string();
        for name in ["PATCHCORD_ADMIN_TOKEN_FILE", "PATCHCORD_ADMIN__TOKEN_FILE"] {
            let config = load_text("", &[(name, &path)], Flags::default()).unwrap();
            assert_eq!(
                config.admin.token.as_ref().map(|token| token.expose()),
                Some("abc"),
                "{name}"
            );
        }
        let config = load_text(
            &format!("[admin]\ntoken_file = '{path}'"),
            &[],
            Flags::default(),
        )
        .unwrap();
        assert_eq!(
            config.admin.token.as_ref().map(|token| token.expose()),
            Some("abc")
        );
    }
}
