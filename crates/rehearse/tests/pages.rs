//! Plays the test on each page of `docs/rcml/`, with the first document of the page as the
//! application's file. What the page says is thereby what happens.

use std::path::{Path, PathBuf};
use std::time::Duration;

use call_proto::{FetchFailure, Fetched};
use model::CallSid;
use rehearse::{Application, Asked, Script};

/// A folder with one file: the document of a page.
struct Page<'a> {
    url: String,
    document: &'a str,
}

impl Application for Page<'_> {
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure> {
        assert_eq!(
            asked.url, self.url,
            "neither the file nor a page of the script"
        );
        Ok(Fetched {
            status: 200,
            content_type: Some("text/xml".to_owned()),
            body: self.document.to_owned(),
            url: asked.url.clone(),
            headers: Vec::new(),
        })
    }

    fn sound(&mut self, _: CallSid, url: &str) -> Result<Option<Duration>, String> {
        panic!("{url} is not in the script");
    }

    fn callback(&mut self, _: &Asked) {}
}

/// The pages of verbs and nouns, with their texts.
fn pages() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rcml");
    let entries = std::fs::read_dir(folder).expect("there are pages");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| !path.ends_with("what-runs.md"))
        .collect();
    paths.sort();
    let named = |path: PathBuf| {
        let name = path.file_stem().expect("it has a name").to_string_lossy();
        let text = std::fs::read_to_string(&path).expect("it can be read");
        (name.into_owned(), text)
    };
    paths.into_iter().map(named).collect()
}

/// The first block of code in this language.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let start = format!("```{language}\n");
    let (_, rest) = page.split_once(&start).expect("there is a block");
    rest.split("```").next().expect("it ends")
}

#[test]
fn the_test_on_each_page_passes() {
    let pages = pages();
    assert!(pages.len() > 20, "{} pages", pages.len());
    let mut failed = Vec::new();
    for (name, text) in &pages {
        let script = block(text, "yaml");
        assert!(script.contains("\n  notifications: []"), "{name}");
        let script = Script::parse(script).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let mut page = Page {
            url: format!("http://app/{name}"),
            document: block(text, "xml"),
        };
        let run = rehearse::run(&script, &mut page);
        if !run.passed() {
            failed.push(format!("{name}: {:#?}", run.failures));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_tests_in_the_index_pass() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rcml.md");
    let text = std::fs::read_to_string(path).expect("it can be read");
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let script = block.split("```").next().expect("it ends");
        let script = Script::parse(script).unwrap_or_else(|problem| panic!("{problem}"));
        let mut page = Page {
            url: String::new(),
            document: "",
        };
        let run = rehearse::run(&script, &mut page);
        assert!(run.passed(), "{:#?}", run.failures);
    }
}
