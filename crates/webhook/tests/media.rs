//! Sound files: one download for many, kept as long as their server allows.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use support::{Asked, Server, fetcher, reply};
use webhook::{AddressPolicy, CookieJar, FetchError, MediaCache, MediaLimits, Problem};

const PRIVATE: AddressPolicy = AddressPolicy { private_ok: true };

/// A cache that asks again after so long if the server says nothing.
fn cache(folder: &tempfile::TempDir, default_age: Duration) -> MediaCache {
    let limits = MediaLimits {
        default_age,
        ..MediaLimits::default()
    };
    MediaCache::new(fetcher(), folder.path().to_owned(), limits).expect("a folder")
}

async fn get(cache: &MediaCache, account: &str, url: &str) -> Result<String, FetchError> {
    let bytes = cache
        .get(account, url, &CookieJar::default(), PRIVATE)
        .await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Answers `v1`, or that it did not change, with the headers named in the query.
fn versioned(asked: &Asked) -> Vec<u8> {
    if asked.header("if-none-match") == Some("\"v1\"") {
        return reply(304, &["ETag: \"v1\""], "");
    }
    match asked.target.split_once('?') {
        Some((_, header)) => reply(200, &["ETag: \"v1\"", &header.replace('_', " ")], "v1"),
        None => reply(200, &["ETag: \"v1\""], "v1"),
    }
}

#[tokio::test]
async fn asks_again_only_when_needed() {
    // What the server says, the age without a word, and what two requests make it see.
    let table: &[(&str, u64, &[Option<&str>])] = &[
        ("/a?Cache-Control:_max-age=60", 0, &[None]),
        ("/b?Cache-Control:_no-cache", 60, &[None, Some("\"v1\"")]),
        ("/c?Cache-Control:_no-store", 60, &[None, None]),
        ("/d", 60, &[None]),
        ("/e", 0, &[None, Some("\"v1\"")]),
    ];
    for (path, age, expected) in table {
        let server = Server::start(versioned).await;
        let folder = tempfile::tempdir().unwrap();
        let url = server.url(path);
        assert_eq!(
            get(&cache(&folder, Duration::from_secs(*age)), "AC1", &url)
                .await
                .unwrap(),
            "v1"
        );
        // The second time after a restart.
        assert_eq!(
            get(&cache(&folder, Duration::from_secs(*age)), "AC1", &url)
                .await
                .unwrap(),
            "v1"
        );
        let seen = server.asked();
        let conditions: Vec<Option<&str>> = seen
            .iter()
            .map(|asked| asked.header("if-none-match"))
            .collect();
        assert_eq!(conditions, *expected, "{path}");
    }
}

#[tokio::test]
async fn accounts_have_their_own_files() {
    let server = Server::start(versioned).await;
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(&folder, Duration::from_secs(60));
    for account in ["AC1", "AC2", "AC1"] {
        get(&cache, account, &server.url("/a")).await.unwrap();
    }
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn many_share_one_download() {
    let server = Server::slow(|_| async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        reply(200, &["Cache-Control: no-store"], "tone")
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(&folder, Duration::ZERO);
    let url = server.url("/a");
    // The first one gives up half way; the next takes over.
    let first = tokio::time::timeout(Duration::from_millis(50), get(&cache, "AC1", &url));
    let rest = async {
        let gets: Vec<_> = (0..20)
            .map(|_| {
                let (cache, url) = (cache.clone(), url.clone());
                tokio::spawn(async move { get(&cache, "AC1", &url).await })
            })
            .collect();
        for get in gets {
            assert_eq!(get.await.unwrap().unwrap(), "tone");
        }
    };
    let (first, ()) = tokio::join!(first, rest);
    assert!(first.is_err());
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn failures_are_not_kept() {
    let count = Arc::new(AtomicU32::new(0));
    let turn = Arc::clone(&count);
    let server = Server::start(move |_| match turn.fetch_add(1, Ordering::SeqCst) {
        0 => reply(404, &[], "no"),
        1 => reply(200, &[], "yes"),
        2 => reply(500, &[], "oops"),
        _ => reply(404, &[], "gone"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(&folder, Duration::ZERO);
    let url = server.url("/a");
    let missing = get(&cache, "AC1", &url).await.unwrap_err();
    assert_eq!(missing.problem, Problem::Status { status: 404 });
    assert_eq!(get(&cache, "AC1", &url).await.unwrap(), "yes");
    // While the server is broken the old copy has to do; when the file is gone it does not.
    assert_eq!(get(&cache, "AC1", &url).await.unwrap(), "yes");
    assert!(get(&cache, "AC1", &url).await.is_err());
    assert_eq!(count.load(Ordering::SeqCst), 4);
}
