//! Writes `docs/config.md` from the list of settings.
//!
//! **Invariant: the document names every key with its default.** The test below keeps the file in the
//! repository current; `just gen` writes it.

use super::{KEYS, Key, SECTIONS, SHORT_NAMES, trunk};

const HEAD: &str = "# Settings\n\n\
    Generated from the program by `just gen`; change it there. How sources are combined, and the\n\
    flags, are described in [operating.md](operating.md).\n\n\
    In the file, a setting is `key = value` under `[section]`; in the environment it is\n\
    `PATCHCORD_SECTION__KEY`. A key marked *secret* may also be given as the name of a file that holds it,\n\
    under the name with `_file` (`_FILE`) at its end.\n";

/// Every setting with its value, default and meaning, as Markdown.
pub(crate) fn render() -> String {
    let mut text = HEAD.to_owned();
    for (section, doc) in SECTIONS {
        text += &format!("\n## [{section}]\n\n{}\n\n", doc.trim());
        text += &table(KEYS.iter().filter(|key| key.section == *section));
    }
    text += "\n## [[trunk]]\n\nA provider's SIP server; one table per provider, in the file only. The first takes calls\nto numbers that do not exist here.\n\n";
    text += &table(trunk::KEYS.iter());
    text
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
    use super::render;

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
