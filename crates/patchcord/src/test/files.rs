//! An application in the form of a folder of files.
//!
//! `/menu` is the file `menu`, `menu.xml` or `menu/index.xml`, or `.rcml` for `.xml`; parameters
//! are ignored. **Invariant: no file outside of the folder is read:** no part of a path is `..` or
//! contains a `/`, however it is encoded.

use std::path::PathBuf;
use std::time::Duration;

use call_proto::{FetchFailure, Fetched};
use model::{CallSid, error};
use percent_encoding::percent_decode_str;
use rehearse::{Application, Asked};
use url::Url;

/// Extensions of documents, which an address may omit.
const DOCUMENTS: [&str; 2] = ["xml", "rcml"];

/// Samples per second of a decoded sound.
const RATE: u64 = 8_000;

pub(super) struct Files {
    folder: Option<PathBuf>,
}

impl Files {
    /// No files: everything is answered with 404.
    pub(super) fn none() -> Self {
        Self { folder: None }
    }

    pub(super) fn of(folder: PathBuf) -> Self {
        Self {
            folder: Some(folder),
        }
    }

    /// The file at an address; `None` if it does not exist.
    ///
    /// # Errors
    /// If the address belongs to another host.
    fn file(&self, url: &str) -> Result<Option<PathBuf>, String> {
        let ours = Url::parse(url).ok();
        let ours = ours.filter(|url| url.host_str() == Some("app"));
        let Some(address) = ours else {
            return Err(format!("{url} is not part of this application of files"));
        };
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let Some(path) = decoded(address.path()) else {
            return Ok(None);
        };
        let names: Vec<String> = if path.is_empty() {
            DOCUMENTS.map(|kind| format!("index.{kind}")).to_vec()
        } else {
            let beside = DOCUMENTS.map(|kind| format!("{path}.{kind}"));
            let inside = DOCUMENTS.map(|kind| format!("{path}/index.{kind}"));
            [path].into_iter().chain(beside).chain(inside).collect()
        };
        let mut files = names.iter().map(|name| folder.join(name));
        Ok(files.find(|file| file.is_file()))
    }
}

impl Application for Files {
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure> {
        let failure = |text: String| FetchFailure {
            code: error::FETCH_IO,
            text,
        };
        let Some(file) = self.file(&asked.url).map_err(failure)? else {
            return Ok(Fetched {
                status: 404,
                content_type: None,
                body: String::new(),
                url: asked.url.clone(),
            });
        };
        let bytes = std::fs::read(&file)
            .map_err(|error| failure(format!("{}: {error}", file.display())))?;
        let content_type = match file.extension().and_then(|extension| extension.to_str()) {
            Some("xml" | "rcml") | None => "text/xml",
            Some("txt") => "text/plain",
            Some("wav") => "audio/wav",
            Some(_) => "application/octet-stream",
        };
        Ok(Fetched {
            status: 200,
            content_type: Some(content_type.to_owned()),
            body: rcml::decode(&bytes, None),
            url: asked.url.clone(),
        })
    }

    fn sound(&mut self, _: CallSid, url: &str) -> Result<Option<Duration>, String> {
        if self.folder.is_none() {
            return Ok(None);
        }
        match self.file(url)? {
            Some(file) => match std::fs::read(&file) {
                Ok(bytes) => length(&bytes).map_err(|error| format!("{url}: {error}")),
                Err(error) => Err(format!("{url}: {error}")),
            },
            None => Err(format!("{url} answered with status 404")),
        }
    }

    fn callback(&mut self, _: &Asked) {}
}

/// The path of an address as a path below a folder; empty for the folder itself. `None` if a part
/// of it cannot be a file name.
fn decoded(path: &str) -> Option<String> {
    let mut names = Vec::new();
    for part in path.trim_matches('/').split('/') {
        let name = percent_decode_str(part).decode_utf8().ok()?;
        if name == ".." || name.contains(['/', '\0']) {
            return None;
        }
        names.push(name);
    }
    Some(names.join("/"))
}

/// How long a sound file plays; `None` for an empty one, a placeholder for a later sound.
///
/// # Errors
/// The server's message for a file that it cannot play.
pub(super) fn length(bytes: &[u8]) -> Result<Option<Duration>, audio::PromptError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let samples = audio::Prompt::decode(bytes)?.len() as u64;
    Ok(Some(Duration::from_millis(samples * 1_000 / RATE)))
}
