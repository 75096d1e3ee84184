//! An application in the form of a folder of files.
//!
//! `/menu` is the file `menu`, `menu.xml` or `menu/index.xml`, or `.rcml` for `.xml`; parameters
//! are ignored. **Invariant: no file outside of the folder is read:** no part of a path is `..` or
//! contains a `/`, however it is encoded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use call_proto::{FetchFailure, Fetched};
use model::{CallSid, error};
use percent_encoding::percent_decode_str;
use rehearse::{Application, Asked, Lookup};
use url::Url;

/// Extensions of documents, which an address may omit.
const DOCUMENTS: [&str; 2] = ["xml", "rcml"];

/// Maximum documents to choose a suggestion from.
const MAX_PATHS: usize = 1_000;

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
        let names = names(&address).unwrap_or_default();
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
                headers: Vec::new(),
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
            headers: Vec::new(),
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

    fn lookup(&self, url: &str) -> Option<Lookup> {
        let folder = self.folder.as_ref()?;
        Some(Lookup {
            folder: folder.display().to_string(),
            names: names(&Url::parse(url).ok()?)?,
            paths: paths(folder),
        })
    }

    fn callback(&mut self, _: &Asked) {}
}

/// The files that may be the one at an address, in order of preference. `None` if none can be.
fn names(address: &Url) -> Option<Vec<String>> {
    let path = decoded(address.path())?;
    if path.is_empty() {
        return Some(DOCUMENTS.map(|kind| format!("index.{kind}")).to_vec());
    }
    let beside = DOCUMENTS.map(|kind| format!("{path}.{kind}"));
    let inside = DOCUMENTS.map(|kind| format!("{path}/index.{kind}"));
    Some([path].into_iter().chain(beside).chain(inside).collect())
}

/// The paths of the documents in a folder and the folders inside, at most [`MAX_PATHS`]. Links to
/// folders are not followed.
fn paths(folder: &Path) -> Vec<String> {
    let mut folders = vec![(folder.to_owned(), String::new())];
    let mut found = Vec::new();
    while let Some((folder, above)) = folders.pop() {
        // A folder that cannot be read has no document to suggest.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if found.len() + folders.len() >= MAX_PATHS {
                return found;
            }
            let path = format!("{above}/{name}");
            let stem = DOCUMENTS
                .iter()
                .find_map(|kind| path.strip_suffix(kind)?.strip_suffix('.'));
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push((entry.path(), path));
            } else if let Some(stem) = stem {
                found.push(
                    stem.strip_suffix("index")
                        .filter(|path| path.ends_with('/'))
                        .unwrap_or(stem)
                        .to_owned(),
                );
            }
        }
    }
    found
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
