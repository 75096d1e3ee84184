//! Writes `docs/config.md` and a configuration file to start from, from the list of settings.
//!
//! **Invariant: both name every key with its default.** The test below keeps the file in the
//! repository current; `just gen` writes it.

use super::{KEYS, Key, SECTIONS, SHORT_NAMES, role, siprec, trunk};

const HEAD: &str = "# Settings\n\n\
    Generated from the program by `just gen`; change it there. [operating.md](operating.md) describes\n\
    the flags, and which source of a setting takes precedence.\n\n\
    In the file, a setting is `key = value` under `[section]`; in the environment it is\n\
    `PATCHCORD_SECTION__KEY`. A *secret* can also be read from a file: append `_file`\n\
    to the name of its key, or `_FILE` to that of the variable, and give the path of the file as the value.\n";

/// Every setting with its value, default and meaning, as Markdown.
pub(crate) fn render() -> String {
    let mut text = HEAD.to_owned();
    for (section, doc) in SECTIONS {
        text += &format!("\n## [{section}]\n\n{}\n\n", doc.trim());
        text += &table(KEYS.iter().filter(|key| key.section == *section));
    }
    text += "\n## [[trunk]]\n\nA provider's SIP server; one table per provider, in the file only. Calls from\ndocuments and the API to numbers go to the first one (or to the second, if the [outbound proxy](rest/outbound-proxy.md) is switched), even if\nthe number exists here; so do calls from clients to numbers that do not exist here. [Gateways](rest/management-gateways.md) are trunks that the API defines.\n\n";
    text += &table(trunk::KEYS.iter());
    text += "\n## [[siprec]]\n\nA recording server (SIPREC, RFC 7866) to which documents may send the audio of their calls with [`<Siprec>`](rcml/siprec.md); one table\nper server, in the file only. Every account may use each of them.\n\n";
    text += &table(siprec::KEYS.iter());
    text += "\n## [[role]]\n\nA role that accounts may have; one table per role, in the file only. An account whose role is neither built in\nnor listed here may do nothing through the API.\n\n";
    text += &table(role::KEYS.iter());
    text
}

/// A configuration file in which every setting is commented out and has its default.
pub(crate) fn template() -> String {
    let mut text = "# Settings of Patchcord: remove the `#` in front of a key to change it.\n\
        # Use it with `patchcord serve --config FILE`; see docs/operating.md and docs/config.md.\n"
        .to_owned();
    for (section, doc) in SECTIONS {
        text += &format!("\n# {}\n[{section}]\n", doc.trim());
        let keys = KEYS.iter().filter(|key| key.section == *section);
        text.extend(keys.map(commented));
    }
    text += "\n# A provider's SIP server; one table per provider. Calls from documents and the API to numbers\n\
        # go to the first one (or to the second, if the outbound proxy is switched), even if the number exists here;\n\
        # so do calls from clients to numbers that do not exist here.\n# [[trunk]]\n";
    text.extend(trunk::KEYS.iter().map(commented));
    text += "\n# A recording server to which documents may send the audio of their calls (SIPREC); one table per server.\n# [[siprec]]\n";
    text.extend(siprec::KEYS.iter().map(commented));
    text += "\n# A role that accounts may have; one table per role.\n# [[role]]\n";
    text.extend(role::KEYS.iter().map(commented));
    text
}

/// A key behind a `#`, below its meaning.
fn commented(key: &Key) -> String {
    let is_plain = key.default.parse::<u64>().is_ok() || matches!(key.default, "true" | "false");
    let value = if is_plain {
        key.default.to_owned()
    } else {
        toml::Value::String(key.default.to_owned()).to_string()
    };
    let doc = key.doc.trim();
    format!("\n# {doc} ({})\n# {} = {value}\n", key.kind, key.name)
}

fn table<'a>(keys: impl Iterator<Item = &'a Key>) -> String {
    let mut text = "| key | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    for key in keys {
        let default = if key.default.is_empty() {
            "–".to_owned()
        } else {
            format!("`{}`", key.default)
        };
        let secret = if key.secret { ", secret" } else { "" };
        let short = SHORT_NAMES
            .iter()
            .find(|(_, section, name)| *section == key.section && *name == key.name);
        let also = short.map_or_else(String::new, |(name, ..)| format!(" Also `{name}`."));
        text += &format!(
            "| `{}` | {}{secret} | {default} | {}{also} |\n",
            key.name,
            key.kind,
            key.doc.trim()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{KEYS, render, template};

    #[test]
    fn the_template_has_every_key_with_its_default() {
        let text = template();
        let parsed: toml::Table = text.parse().unwrap();
        assert!(
            parsed
                .values()
                .all(|value| value.as_table().is_some_and(toml::Table::is_empty))
        );
        let is_setting = |line: &&str| line.starts_with("# ") && line.contains(" = ");
        let settings = text.split("# [[trunk]]").next().unwrap_or_default();
        assert_eq!(settings.lines().filter(is_setting).count(), KEYS.len());
        let used: String = settings
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if is_setting(&line) => format!("{setting}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), used).unwrap();
        let flags = crate::config::Flags {
            file: Some(file.path().to_owned()),
            ..crate::config::Flags::default()
        };
        let loaded = crate::config::load(&flags, std::iter::empty());
        assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
    }

    #[test]
    fn config_document_is_current() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
        if std::env::var_os("PATCHCORD_UPDATE_DOCS").is_some() {
            std::fs::write(&path, render()).unwrap();
        }
        let current = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            current == render(),
            "docs/config.md is stale: run `just gen`"
        );
    }
}
