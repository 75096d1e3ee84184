//! Cookies of one call (RFC 6265). Own code: `docs/adr/0010-own-cookies-and-freshness.md`.
//!
//! **Invariant: a cookie goes only to the host that set it, or within the domain it was set for.**
//! Every call has a jar of its own, so nothing leaks between calls or accounts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use url::{Host, Url};

use crate::http_date;

/// Most cookies in a jar; the oldest leaves first.
const MAX_COOKIES: usize = 50;

/// Longest `Set-Cookie` line that is read, in bytes.
const MAX_BYTES: usize = 4096;

/// The cookies of one call. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct CookieJar(Arc<Mutex<Vec<Cookie>>>);

/// One cookie (RFC 6265 §5.3).
#[derive(Clone, Debug)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    host_only: bool,
    path: String,
    secure: bool,
    /// Seconds since 1970; `None` is until the call ends.
    expires: Option<i64>,
}

impl CookieJar {
    /// Takes the value of a `Set-Cookie` header of an answer from an address.
    pub(crate) fn store(&self, url: &Url, header: &str, now: SystemTime) {
        let now = seconds(now);
        let Some(cookie) = Cookie::parse(url, header, now) else {
            return;
        };
        let mut cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cookies.retain(|old| !old.is_same(&cookie) && !old.is_over(now));
        if !cookie.is_over(now) {
            cookies.push(cookie);
        }
        if cookies.len() > MAX_COOKIES {
            cookies.remove(0);
        }
    }

    /// Value of the `Cookie` header for a request, if there is any cookie for it.
    pub(crate) fn header(&self, url: &Url, now: SystemTime) -> Option<String> {
        let now = seconds(now);
        let cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fitting: Vec<&Cookie> = cookies
            .iter()
            .filter(|cookie| !cookie.is_over(now) && cookie.fits(url))
            .collect();
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> = fitting
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

impl Cookie {
    /// Reads a `Set-Cookie` line (§5.2); `None` if it has to be ignored.
    fn parse(url: &Url, header: &str, now: i64) -> Option<Self> {
        if header.len() > MAX_BYTES {
            return None;
        }
        let mut parts = header.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let mut cookie = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            domain: url.host_str()?.to_ascii_lowercase(),
            host_only: true,
            path: default_path(url),
            secure: false,
            expires: None,
        };
        let mut max_age = None;
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "domain" if !value.is_empty() => cookie.widen(url, value)?,
                "path" if value.starts_with('/') => cookie.path = value.to_owned(),
                "secure" => cookie.secure = true,
                "expires" => cookie.expires = http_date::parse(value).or(cookie.expires),
                "max-age" => max_age = value.parse::<i64>().ok().or(max_age),
                _ => {}
            }
        }
        if let Some(age) = max_age {
            cookie.expires = Some(if age <= 0 {
                i64::MIN
            } else {
                now.saturating_add(age)
            });
        }
        let secure_ok = !cookie.secure || url.scheme() == "https";
        (secure_ok && !cookie.name.is_empty()).then_some(cookie)
    }

    /// Takes a `Domain` attribute; `None` if the host may not set cookies for it.
    fn widen(&mut self, url: &Url, domain: &str) -> Option<()> {
        let domain = domain
            .strip_prefix('.')
            .unwrap_or(domain)
            .to_ascii_lowercase();
        if domain == self.domain {
            // A number, or a name under which others register theirs, stands for one host only.
            self.host_only =
                !matches!(url.host(), Some(Host::Domain(_))) || is_public_suffix(&domain);
            return Some(());
        }
        if is_public_suffix(&domain) || !domain_matches(url, &domain) {
            return None;
        }
        self.domain = domain;
        self.host_only = false;
        Some(())
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.name, &self.domain, &self.path) == (&other.name, &other.domain, &other.path)
    }

    fn is_over(&self, now: i64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Whether the cookie goes with a request (§5.4).
    fn fits(&self, url: &Url) -> bool {
        let host = url.host_str().map(str::to_ascii_lowercase);
        let domain_fits = host.as_deref() == Some(self.domain.as_str())
            || (!self.host_only && domain_matches(url, &self.domain));
        domain_fits
            && path_matches(url.path(), &self.path)
            && (!self.secure || url.scheme() == "https")
    }
}

/// Whether a host name is inside a domain (§5.1.3); numbers are inside none.
fn domain_matches(url: &Url, domain: &str) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => host
            .to_ascii_lowercase()
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.')),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
    }
}

/// Whether different people register names directly below a domain (`com`, `co.uk`, `github.io`), by the Public Suffix
/// List. A name without a dot always counts as one.
fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain) == Some(domain)
}

/// Whether a path is inside another (§5.1.4).
fn path_matches(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || outer.ends_with('/') || rest.starts_with('/'))
}

/// The path up to, but not including, its last `/` (§5.1.4).
fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        Some(0) | None => "/".to_owned(),
        Some(end) => url.path()[..end].to_owned(),
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What is sent to `to` after `from` set the cookies, `later` seconds after.
    fn sent(from: &str, set: &[&str], to: &str, later: u64) -> String {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let jar = CookieJar::default();
        for header in set {
            jar.store(&Url::parse(from).unwrap(), header, start);
        }
        let now = start + Duration::from_secs(later);
        jar.header(&Url::parse(to).unwrap(), now)
            .unwrap_or_default()
    }

    #[test]
    fn cookies_go_where_they_belong() {
        let from = "http://app.example/dir/v";
        let secure = "https://app.example/dir/v";
        let table: &[(&str, &[&str], &str, u64, &str)] = &[
            (from, &["a=1"], "http://app.example/dir/w", 0, "a=1"),
            (from, &["a=1"], "http://app.example:8080/dir/w/x", 0, "a=1"),
            (from, &["a=1"], "http://app.example/", 0, ""),
            (from, &["a=1"], "http://app.example/directory", 0, ""),
            (from, &["a=1; Path=/"], "http://app.example/", 0, "a=1"),
            (from, &["a=1; Path=/"], "http://sub.app.example/", 0, ""),
            (from, &["a=1; Path=/"], "http://other.example/", 0, ""),
            (
                from,
                &["a=1; Path=/; Domain=app.example"],
                "http://sub.app.example/",
                0,
                "a=1",
            ),
            (
                from,
                &["a=1; Path=/; Domain=.app.example"],
                "http://app.example/",
                0,
                "a=1",
            ),
            (
                from,
                &["a=1; Path=/; Domain=app.example"],
                "http://evilapp.example/",
                0,
                "",
            ),
            (
                from,
                &["a=1; Path=/; Domain=example"],
                "http://app.example/",
                0,
                "",
            ),
            (
                from,
                &["a=1; Path=/; Domain=other.example"],
                "http://other.example/",
                0,
                "",
            ),
            (
                from,
                &["a=1; Path=/; Domain=sub.app.example"],
                "http://sub.app.example/",
                0,
                "",
            ),
            (
                "http://shop.co.uk/",
                &["a=1; Domain=co.uk", "b=2; Domain=shop.co.uk"],
                "http://www.shop.co.uk/",
                0,
                "b=2",
            ),
            (
                "http://a.github.io/",
                &["a=1; Domain=github.io"],
                "http://a.github.io/",
                0,
                "",
            ),
            (
                "http://github.io/",
                &["a=1; Domain=github.io"],
                "http://a.github.io/",
                0,
                "",
            ),
            (
                "http://localhost/",
                &["a=1; Domain=localhost"],
                "http://sub.localhost/",
                0,
                "",
            ),
            (from, &["a=1; Secure"], "http://app.example/dir/w", 0, ""),
            (secure, &["a=1; Secure"], "http://app.example/dir/w", 0, ""),
            (
                secure,
                &["a=1; Secure"],
                "https://app.example/dir/w",
                0,
                "a=1",
            ),
            (from, &["a=1; Max-Age=10"], from, 9, "a=1"),
            (from, &["a=1; Max-Age=10"], from, 10, ""),
            (from, &["a=1", "a=2; Max-Age=0"], from, 0, ""),
            (
                from,
                &["a=1; Expires=Sun, 09 Sep 2001 01:46:45 GMT"],
                from,
                4,
                "a=1",
            ),
            (
                from,
                &["a=1; Expires=Sun, 09 Sep 2001 01:46:45 GMT"],
                from,
                5,
                "",
            ),
            (
                from,
                &["a=1; Expires=1 Jan 1999 00:00:00; Max-Age=9"],
                from,
                0,
                "a=1",
            ),
            (from, &["a=1; Expires=whenever"], from, 0, "a=1"),
            (from, &["a=1", "a=2", "b= 3 "], from, 0, "a=2; b=3"),
            (from, &["r=1; Path=/", "d=2"], from, 0, "d=2; r=1"),
            (from, &["novalue", "=x", ""], from, 0, ""),
            (from, &["a=b=c; HttpOnly; SameSite=Lax"], from, 0, "a=b=c"),
            (
                "http://10.0.0.1/",
                &["a=1; Domain=0.0.1"],
                "http://10.0.0.1/",
                0,
                "",
            ),
            (
                "http://10.0.0.1/",
                &["a=1; Domain=10.0.0.1"],
                "http://10.0.0.1/",
                0,
                "a=1",
            ),
        ];
        for (from, set, to, later, expected) in table {
            assert_eq!(
                sent(from, set, to, *later),
                *expected,
                "{from} {set:?} {to} {later}"
            );
        }
    }

    #[test]
    fn keeps_a_limited_number() {
        let url = Url::parse("http://app.example/").unwrap();
        let jar = CookieJar::default();
        for number in 0..200 {
            jar.store(&url, &format!("c{number}=x"), SystemTime::UNIX_EPOCH);
        }
        jar.store(
            &url,
            &format!("big={}", "x".repeat(5000)),
            SystemTime::UNIX_EPOCH,
        );
        let header = jar.header(&url, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(header.split("; ").count(), 50);
        assert!(header.starts_with("c150=x") && !header.contains("big"));
    }
}
