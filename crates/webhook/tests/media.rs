//! Sound files: one download for many requests, kept as long as the server allows.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use model::{AccountSid, HttpMethod};
use support::{Asked, OneKey, Server, fetcher, quick, reply, request};
use webhook::{
    AddressPolicy, BodyKind, CookieJar, FetchConfig, FetchError, FetchRequest, Fetcher, MediaCache,
    MediaLimits, Problem, SoundOwner,
};

const PRIVATE: AddressPolicy = AddressPolicy { private_ok: true };

/// A cache that revalidates after this long by default.
fn cache(folder: &tempfile::TempDir, default_age: Duration) -> MediaCache {
    let limits = MediaLimits {
        default_age,
        ..MediaLimits::default()
    };
    let folder = folder.path().to_owned();
    MediaCache::new(fetcher(), Arc::new(OneKey), folder, limits).expect("a folder")
}

/// An account that is a customer of its own.
fn owner(account: u8) -> SoundOwner {
    let author = AccountSid::from_bytes([account; 16]);
    SoundOwner {
        author,
        customer: author,
    }
}

async fn get(cache: &MediaCache, account: u8, url: &str) -> Result<String, FetchError> {
    let sound = cache
        .get(owner(account), url, &CookieJar::default(), PRIVATE)
        .await?;
    Ok(String::from_utf8_lossy(sound.bytes()).into_owned())
}

/// Answers `v1`, or that the file has not changed, with the headers named in the query.
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
    // The server's headers, the default age, and what two requests make it see.
    let table: &[(&str, u64, &[Option<&str>])] = &[
        ("/a?Cache-Control:_max-age=60", 0, &[None]),
        ("/b?Cache-Control:_no-cache", 60, &[None, Some("\"v1\"")]),
        ("/c?Cache-Control:_no-store", 60, &[None, None]),
        ("/d", 60, &[None]),
        ("/e", 0, &[None, Some("\"v1\"")]),
        ("/f?Expires:_0", 60, &[None, Some("\"v1\"")]),
        ("/g?Expires:_Fri,_01_Jan_2100_00:00:00_GMT", 0, &[None]),
        ("/h?Age:_60", 60, &[None, Some("\"v1\"")]),
        ("/i?Vary:_*", 60, &[None, Some("\"v1\"")]),
    ];
    for (path, age, expected) in table {
        let server = Server::start(versioned).await;
        let folder = tempfile::tempdir().unwrap();
        let url = server.url(path);
        assert_eq!(
            get(&cache(&folder, Duration::from_secs(*age)), 1, &url)
                .await
                .unwrap(),
            "v1"
        );
        // The second time after a restart.
        assert_eq!(
            get(&cache(&folder, Duration::from_secs(*age)), 1, &url)
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
    for account in [1, 2, 1] {
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
    // The first one is dropped half-way; the next takes over.
    let first = tokio::time::timeout(Duration::from_millis(50), get(&cache, 1, &url));
    let rest = async {
        let gets: Vec<_> = (0..20)
            .map(|_| {
                let (cache, url) = (cache.clone(), url.clone());
                tokio::spawn(async move { get(&cache, 1, &url).await })
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
async fn calls_with_cookies_of_their_own_get_their_own_answers() {
    let server = Server::slow(|asked: Asked| async move {
        if let Some(who) = asked.target.strip_prefix("/login/") {
            return reply(
                200,
                &[&format!("Set-Cookie: who={who}; Path=/")],
                "<Response/>",
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let who = asked.header("cookie").unwrap_or("nobody").to_owned();
        reply(200, &["Cache-Control: no-store"], &who)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(&folder, Duration::ZERO);
    let (fetcher, url) = (fetcher(), server.url("/a"));
    let mut gets = Vec::new();
    for who in ["kim", "ann", "kim"] {
        let jar = CookieJar::default();
        let login = FetchRequest {
            jar: jar.clone(),
            policy: PRIVATE,
            ..FetchRequest::new(HttpMethod::Get, server.url(&format!("/login/{who}")))
        };
        fetcher.fetch(login).await.unwrap();
        let (cache, url) = (cache.clone(), url.clone());
        gets.push(tokio::spawn(async move {
            let sound = cache.get(owner(1), &url, &jar, PRIVATE).await.unwrap();
            (who, String::from_utf8_lossy(sound.bytes()).into_owned())
        }));
    }
    for get in gets {
        let (who, heard) = get.await.unwrap();
        assert_eq!(heard, format!("who={who}"));
    }
    // Equal requests still share one.
    assert_eq!(server.lines().len(), 3 + 2);
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
    let missing = get(&cache, 1, &url).await.unwrap_err();
    assert_eq!(missing.problem, Problem::Status { status: 404 });
    assert_eq!(get(&cache, 1, &url).await.unwrap(), "yes");
    // While the server is failing the old copy is used; once the file is gone it is not.
    assert_eq!(get(&cache, 1, &url).await.unwrap(), "yes");
    assert!(get(&cache, 1, &url).await.is_err());
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn an_old_copy_is_used_only_if_allowed() {
    // The server's headers, how it fails the second time, and the file that is used.
    let table: &[(&str, &str, Option<&str>)] = &[
        ("", "broken connection", Some("v1")),
        ("Cache-Control: max-age=0", "broken connection", Some("v1")),
        ("Cache-Control: max-age=0", "503", Some("v1")),
        ("Cache-Control: must-revalidate", "broken connection", None),
        ("Cache-Control: must-revalidate", "503", None),
        ("Cache-Control: no-cache", "broken connection", None),
        ("Cache-Control: no-store", "broken connection", None),
        ("Cache-Control: max-age=0", "404", None),
    ];
    for (header, failure, expected) in table {
        let count = AtomicU32::new(0);
        let (header, failure) = ((*header).to_owned(), (*failure).to_owned());
        let name = format!("{header}, {failure}");
        let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 if header.is_empty() => reply(200, &[], "v1"),
            0 => reply(200, &[&header], "v1"),
            _ => match failure.parse() {
                Ok(status) => reply(status, &[], ""),
                Err(_) => Vec::new(),
            },
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, Duration::ZERO);
        let url = server.url("/a");
        assert_eq!(get(&cache, 1, &url).await.unwrap(), "v1", "{name}");
        let again = get(&cache, 1, &url).await;
        assert_eq!(again.as_deref().ok(), *expected, "{name}");
    }
}

#[tokio::test]
async fn unchanged_files_are_not_sent_again() {
    // With a date instead of a tag; the third response forbids storing the file.
    let since = "Fri, 01 Jan 2021 00:00:00 GMT";
    let count = AtomicU32::new(0);
    let server = Server::start(move |asked| {
        let known = asked.header("if-modified-since") == Some(since);
        match (count.fetch_add(1, Ordering::SeqCst), known) {
            (0, false) => reply(200, &[&format!("Last-Modified: {since}")], "v1"),
            (1, true) => reply(304, &[], ""),
            (2, true) => reply(304, &["Cache-Control: no-store"], ""),
            (3, false) => reply(200, &["Cache-Control: max-age=60"], "v2"),
            _ => reply(500, &[], ""),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(&folder, Duration::ZERO);
    let url = server.url("/a");
    for expected in ["v1", "v1", "v1", "v2", "v2"] {
        assert_eq!(get(&cache, 1, &url).await.unwrap(), expected);
    }
    assert_eq!(server.lines().len(), 4);
}

#[tokio::test]
async fn each_request_is_signed_and_named() {
    let server = Server::start(|asked| match asked.target.as_str() {
        "/old" => reply(302, &["Location: /new"], ""),
        _ => versioned(asked),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(&folder, Duration::ZERO);
    for _ in 0..2 {
        let url = server.url("/old");
        assert_eq!(get(&cache, 1, &url).await.unwrap(), "v1");
    }
    let asked = server.asked();
    let signed: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("x-patchcord-signed-url").map(str::to_owned))
        .collect();
    let expected = ["/old", "/new", "/old", "/new"].map(|path| Some(server.url(path)));
    assert_eq!(signed, expected);
    for asked in &asked {
        let ours = asked.header("x-patchcord-signature").unwrap();
        assert_eq!(ours.matches("v1=").count(), 2, "{ours}");
        assert_eq!(asked.header("x-twilio-signature").map(str::len), Some(28));
    }
    // One event for each requested file; the condition is included.
    let events: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("x-patchcord-event"))
        .collect();
    assert!(events[0].is_some() && events[0] == events[1] && events[2] == events[3]);
    assert_ne!(events[0], events[2]);
    assert_eq!(asked[3].header("if-none-match"), Some("\"v1\""));
}

#[tokio::test]
async fn memory_is_reserved_until_a_sound_is_decoded() {
    let server = Server::start(|_| reply(200, &[], "sound")).await;
    let folder = tempfile::tempdir().unwrap();
    let limits = MediaLimits {
        memory: 2 * 1024 * 1024,
        memory_per_customer: 1024 * 1024,
        ..MediaLimits::default()
    };
    let cache = MediaCache::new(
        fetcher(),
        Arc::new(OneKey),
        folder.path().to_owned(),
        limits,
    )
    .unwrap();
    let jar = CookieJar::default();
    let hold = async |account: u8, path: &str| {
        let url = server.url(path);
        let getting = cache.get(owner(account), &url, &jar, PRIVATE);
        let limit = Duration::from_millis(200);
        tokio::time::timeout(limit, getting).await.ok()?.ok()
    };
    let first = hold(1, "/a").await.unwrap();
    assert!(
        hold(1, "/b").await.is_none(),
        "the account has all it may have"
    );
    let second = hold(2, "/a").await.unwrap();
    assert!(hold(3, "/a").await.is_none(), "nothing is left");
    drop((first, second));
    assert!(hold(3, "/a").await.is_some());
    assert!(hold(1, "/b").await.is_some());
    // A file kept in memory takes none of it until it is decoded.
    let (one, other) = (hold(1, "/a").await.unwrap(), hold(1, "/a").await.unwrap());
    let one = cache.workspace(owner(1), one).await.unwrap();
    let other = tokio::time::timeout(Duration::from_millis(50), cache.workspace(owner(1), other));
    assert!(other.await.is_err(), "it waits for the first");
    drop(one);
}

#[tokio::test]
async fn memory_to_decode_doubles_up_to_the_share_of_the_customer() {
    const MIB: usize = 1024 * 1024;
    let body = "x".repeat(MIB / 2);
    let server = Server::start(move |_| reply(200, &[], &body)).await;
    let folder = tempfile::tempdir().unwrap();
    let limits = MediaLimits {
        memory: 20 * MIB as u64,
        memory_per_customer: 6 * MIB as u64,
        ..MediaLimits::default()
    };
    let folder = folder.path().to_owned();
    let fetcher = Fetcher::new(FetchConfig::default()).unwrap();
    let cache = MediaCache::new(fetcher, Arc::new(OneKey), folder, limits).unwrap();
    let jar = CookieJar::default();
    let workspace = async |path: &str| {
        let sound = cache.get(owner(1), &server.url(path), &jar, PRIVATE).await;
        cache.workspace(owner(1), sound.unwrap()).await.unwrap()
    };
    let first = workspace("/a").await;
    assert_eq!(first.memory(), 4 * MIB / 2);
    first.enlarge().await.unwrap();
    assert_eq!(first.memory(), 9 * MIB / 2);
    let soon = Duration::from_millis(200);
    let second = tokio::time::timeout(soon, workspace("/b")).await;
    assert!(second.is_err(), "one of six MiB is free");
    drop(first);
    // While the first waits for the second, it leaves room for a third.
    let (first, second) = (workspace("/a").await, workspace("/b").await);
    let mut twice = std::pin::pin!(first.enlarge());
    assert!(tokio::time::timeout(soon, &mut twice).await.is_err());
    let third = workspace("/c").await;
    drop((second, third));
    twice.await.unwrap();
    first.enlarge().await.unwrap();
    assert_eq!(first.memory(), usize::MAX, "it is alone");
}

#[tokio::test]
async fn the_body_of_a_failure_takes_no_memory() {
    let body = "x".repeat(1024 * 1024);
    let server = Server::start(move |asked| match asked.target.as_str() {
        "/short" => reply(503, &["Content-Encoding: gzip"], "busy"),
        _ => reply(404, &[], &body),
    })
    .await;
    for (path, status) in [("/large", 404), ("/short", 503)] {
        let config = FetchConfig {
            max_media: 100 * 1024,
            ..quick()
        };
        let request = FetchRequest {
            kind: BodyKind::Media,
            ..request(HttpMethod::Get, &server.url(path))
        };
        let answer = Fetcher::new(config).unwrap().fetch(request).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
    }
}

#[tokio::test]
async fn sub_accounts_share_the_memory_of_their_customer() {
    let server = Server::start(|_| reply(200, &[], "sound")).await;
    let folder = tempfile::tempdir().unwrap();
    let limits = MediaLimits {
        memory: 4 * 1024 * 1024,
        memory_per_customer: 1024 * 1024,
        ..MediaLimits::default()
    };
    let cache = MediaCache::new(
        fetcher(),
        Arc::new(OneKey),
        folder.path().to_owned(),
        limits,
    )
    .unwrap();
    let (url, jar) = (server.url("/a"), CookieJar::default());
    let hold = async |owner: SoundOwner| {
        let getting = cache.get(owner, &url, &jar, PRIVATE);
        let limit = Duration::from_millis(200);
        tokio::time::timeout(limit, getting).await.ok()?.ok()
    };
    let below_first = |account: u8| SoundOwner {
        customer: owner(1).author,
        ..owner(account)
    };
    let held = hold(below_first(2)).await;
    assert!(held.is_some());
    assert!(hold(below_first(3)).await.is_none());
    assert!(hold(owner(4)).await.is_some(), "another customer");
    drop(held);
    assert!(hold(below_first(3)).await.is_some());
}

#[tokio::test]
async fn what_a_server_only_announces_takes_no_memory_from_others() {
    let server = Server::start(|asked| match asked.target.as_str() {
        // Most of it never comes.
        "/slow" => b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\nsound".to_vec(),
        _ => reply(200, &[], "sound"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let limits = MediaLimits {
        memory: 4 * 1024 * 1024,
        memory_per_customer: 4 * 1024 * 1024,
        ..MediaLimits::default()
    };
    let patient = FetchConfig {
        timeout: Duration::from_secs(5),
        max_media: 20_000_000,
        ..quick()
    };
    let cache = MediaCache::new(
        Fetcher::new(patient).unwrap(),
        Arc::new(OneKey),
        folder.path().to_owned(),
        limits,
    )
    .unwrap();
    let jar = CookieJar::default();
    let (slow, quick) = (server.url("/slow"), server.url("/quick"));
    let slow = cache.get(owner(1), &slow, &jar, PRIVATE);
    let quick = async {
        // Time for the head of the slow answer to arrive.
        tokio::time::sleep(Duration::from_millis(200)).await;
        cache.get(owner(2), &quick, &jar, PRIVATE).await
    };
    tokio::select! {
        slow = slow => panic!("{slow:?}"),
        quick = quick => assert!(quick.is_ok(), "{quick:?}"),
    }
}
