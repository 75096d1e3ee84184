//! Parameters of a request: the query of a GET, the form of a POST or PUT.
//!
//! **Invariant: a known parameter with an unusable value is refused by name; one that the row of
//! the route does not declare never reaches its handler: it is ignored or refused, depending on the
//! dialect.**

use std::collections::BTreeMap;
use std::str::FromStr;

use model::record::VoiceApplication;
use model::{AccountSid, ApplicationSid, CallSid, HttpMethod, Timestamp, error};
use store::Scope;
use url::Url;

use crate::dialect::RestDialect;
use crate::failure::Failure;
use crate::route::{Is, Param, Route};

const DAY_SECONDS: u64 = 24 * 3600;
/// Maximum number of parameters of a request.
const MAX_PARAMETERS: usize = 300;
/// Maximum length of display names.
const NAME_LENGTH: usize = 64;

/// Which bound a day stands for, where days are bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Lower,
    Upper,
}

/// Start and end of a period, both inclusive.
pub(crate) type Period = (Option<Timestamp>, Option<Timestamp>);

/// The parameters in the order sent.
#[derive(Clone, Default)]
pub(crate) struct Params {
    sent: Vec<(String, String)>,
    /// Row that declares them; without one all are visible.
    row: Option<(&'static Route, &'static RestDialect)>,
}

/// A parameter that has no effect, because the route does not declare it.
pub(crate) struct Unknown {
    pub(crate) name: String,
    /// What to use instead, if other servers have the sent one.
    instead: Option<&'static str>,
    /// A declared one with a similar spelling.
    meant: Option<&'static str>,
}

impl Unknown {
    /// A hint to append to a sentence about it.
    pub(crate) fn hint(&self) -> String {
        match (self.instead, self.meant) {
            (Some(instead), _) => format!("; {instead}"),
            (None, Some(meant)) => format!("; did you mean {meant}?"),
            (None, None) => String::new(),
        }
    }
}

impl Params {
    /// From `a=1&b=2`.
    ///
    /// # Errors
    /// 400 if there are more than [`MAX_PARAMETERS`]; the rest is not examined.
    pub(crate) fn parse(encoded: &[u8]) -> Result<Self, Failure> {
        let mut sent = Vec::new();
        for (name, value) in url::form_urlencoded::parse(encoded) {
            if sent.len() == MAX_PARAMETERS {
                let text = format!("A request has at most {MAX_PARAMETERS} parameters.");
                return Err(Failure::of(error::BAD_PARAMETER).saying(text));
            }
            sent.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { sent, row: None })
    }

    /// From a JSON object; its members are the parameters. What is neither a text, a number nor a flag is kept as JSON.
    ///
    /// # Errors
    /// 400 if it is not one, or has more than [`MAX_PARAMETERS`] members.
    pub(crate) fn of_json(text: &[u8]) -> Result<Self, Failure> {
        let refused = |text: String| Failure::of(error::BAD_PARAMETER).saying(text);
        let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text)
            .map_err(|error| refused(format!("The body must be a JSON object: {error}.")))?;
        if members.len() > MAX_PARAMETERS {
            let text = format!("A request has at most {MAX_PARAMETERS} parameters.");
            return Err(refused(text));
        }
        let shown = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Null => None,
            other => Some(other.to_string()),
        };
        let sent = members
            .into_iter()
            .filter_map(|(name, value)| Some((name, shown(value)?)));
        Ok(Self {
            sent: sent.collect(),
            row: None,
        })
    }

    /// Checks the parameters against the row of a route.
    ///
    /// # Errors
    /// 400 if one is missing, has a value of another kind, or is unknown where the dialect refuses
    /// that.
    pub(crate) fn checked(
        mut self,
        route: &'static Route,
        dialect: &'static RestDialect,
    ) -> Result<Self, Failure> {
        self.row = Some((route, dialect));
        self.restore_pluses(route, dialect);
        if dialect.refuses_unknown
            && let Some(unknown) = self.unknown(route, dialect).next()
        {
            let reason = format!("this parameter is not supported here{}", unknown.hint());
            return Err(Failure::parameter(&unknown.name, &reason));
        }
        for param in route.params_in(dialect) {
            let name = param.name;
            if dialect.pick(param.required) && self.filled(name).is_none() {
                let mut unknown = self.unknown(route, dialect);
                let nearly = unknown.find(|sent| sent.meant == Some(name));
                let sent =
                    nearly.map_or_else(String::new, |sent| format!("; you sent `{}`", sent.name));
                let reason = format!("this parameter is required{sent}");
                return Err(Failure::parameter(name, &reason));
            }
            match param.kind {
                Is::Number => drop(self.parsed::<i64>(name, "a whole number")?),
                Is::Flag => drop(self.flag(name)?),
                Is::Method => drop(self.method(name)?),
                Is::Address => drop(self.address(name)?),
                Is::Day => drop(self.day(name)?),
                Is::Moment => drop(self.moment(name)?),
                Is::Sid(is_sid) => self.identifier(name, is_sid)?,
                Is::SidPattern(is_sid) => {
                    let is_pattern = |text: &str| !dialect.exact && text.contains(['%', '_']);
                    self.identifier(name, |text| is_pattern(text) || is_sid(text))?;
                }
                Is::Word(words) => {
                    if let Some(text) = self.filled(name) {
                        one_of(name, words, text)?;
                    }
                }
                Is::Words(words) => {
                    for text in self.words(name) {
                        one_of(name, words, text)?;
                    }
                }
                Is::Text | Is::Party | Is::Secret => {}
            }
        }
        Ok(self)
    }

    /// Names that were sent but are not declared by the row, once each.
    pub(crate) fn unknown<'a>(
        &'a self,
        route: &'static Route,
        dialect: &'static RestDialect,
    ) -> impl Iterator<Item = Unknown> + 'a {
        let known = |name: &str| {
            let is_header = route.takes_headers && is_header(name);
            is_header || route.params_in(dialect).any(|param| param.name == name)
        };
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.sent.iter().filter(|(name, _)| !known(name)) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let instead = |name: &str| {
            let found = route.instead.iter().find(|(known, _)| *known == name);
            found.map(|(_, instead)| *instead)
        };
        names.into_iter().map(move |name| Unknown {
            name: shown(name),
            instead: instead(name),
            meant: nearest(name, route.params_in(dialect).map(|param| param.name)),
        })
    }

    /// The parameters that are header fields, in order.
    ///
    /// # Errors
    /// If one cannot be a header field.
    pub(crate) fn headers(&self) -> Result<Vec<(String, String)>, Failure> {
        let sent = self.sent.iter().filter(|(name, _)| is_header(name));
        let mut headers = Vec::new();
        for (name, value) in sent {
            let is_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let is_name = name.len() <= MAX_HEADER_NAME && name.chars().all(is_token);
            let is_value = value.len() <= MAX_HEADER_VALUE && !value.contains(char::is_control);
            if !(is_name && is_value) || headers.len() >= MAX_HEADERS {
                let reason = format!(
                    "a header field has a name of letters, digits, `-`, `_` and `.`, a value of one \
                     line and at most {MAX_HEADER_VALUE} bytes, and there are at most {MAX_HEADERS}"
                );
                return Err(Failure::parameter(&shown(name), &reason));
            }
            headers.push((name.clone(), value.trim().to_owned()));
        }
        Ok(headers)
    }

    /// Addresses declared by the row that are only paths: they lead to this server, which serves no
    /// documents.
    pub(crate) fn paths<'a>(
        &'a self,
        route: &'static Route,
        dialect: &'static RestDialect,
    ) -> impl Iterator<Item = (&'static str, String)> + 'a {
        route.params_in(dialect).filter_map(|param| {
            let (_, text) = self.sent.iter().find(|(name, _)| name == param.name)?;
            let is_path = matches!(param.kind, Is::Address) && text.trim().starts_with('/');
            is_path.then(|| (param.name, shown(text)))
        })
    }

    /// In a form, an unescaped `+` before a number becomes a space.
    fn restore_pluses(&mut self, route: &Route, dialect: &RestDialect) {
        let is_party = |name: &str| {
            route
                .params_in(dialect)
                .any(|p| p.name == name && matches!(p.kind, Is::Party))
        };
        for (name, value) in &mut self.sent {
            let number = value.strip_prefix(' ');
            let number = number.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            if let Some(number) = number
                && is_party(name)
            {
                *value = format!("+{number}");
            }
        }
    }

    /// Whether the row declares a name. Handlers serve all dialects, so they may read parameters of
    /// another one; a name that no dialect declares is missing from the table.
    fn sees(&self, name: &str) -> bool {
        let Some((route, dialect)) = self.row else {
            return true;
        };
        let mut rows = route.params.iter().copied().flatten();
        let row = rows.find(|param| param.name == name && dialect.pick(param.within));
        debug_assert!(
            row.is_some()
                || route
                    .params
                    .iter()
                    .copied()
                    .flatten()
                    .any(|p| p.name == name),
            "{name} is not a parameter of {:?}",
            route.paths
        );
        row.is_some()
    }

    /// All sent parameters except some names.
    pub(crate) fn without(&self, names: &[&str]) -> Vec<(String, String)> {
        let sent = self.sent.iter();
        let kept = sent.filter(|(name, _)| !names.contains(&name.as_str()));
        kept.cloned().collect()
    }

    /// The first value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let seen = self.sees(name);
        let mut sent = self.sent.iter().filter(|(key, _)| seen && key == name);
        sent.next().map(|(_, value)| value.as_str())
    }

    /// Every value of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let seen = self.sees(name);
        self.sent
            .iter()
            .filter(move |(key, _)| seen && key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value, unless it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// A required value.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.filled(name)
            .ok_or_else(|| Failure::parameter(name, "this parameter is required"))
    }

    /// A value parsed from its text.
    pub(crate) fn parsed<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Failure> {
        self.filled(name)
            .map(|text| {
                text.trim().parse().map_err(|_| {
                    Failure::parameter(name, &format!("`{}` is not {expected}", shown(text)))
                })
            })
            .transpose()
    }

    /// `GET` or `POST` in any letter case.
    pub(crate) fn method(&self, name: &str) -> Result<Option<HttpMethod>, Failure> {
        self.parsed(name, "GET or POST")
    }

    /// `true` or `false` in any letter case.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.filled(name).map(str::trim) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(text) => Err(Failure::parameter(
                name,
                &format!("`{}` is neither true nor false", shown(text)),
            )),
        }
    }

    /// A display name.
    pub(crate) fn name(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.filled(name) {
            Some(text) if text.chars().count() > NAME_LENGTH => Err(Failure::parameter(
                name,
                "at most 64 characters are allowed",
            )),
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// An address of an application: absolute, or a path on this server. Outer `None`: not sent;
    /// inner `None`: sent empty.
    pub(crate) fn address(&self, name: &str) -> Result<Option<Option<String>>, Failure> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let text = text.trim();
        if text.is_empty() {
            return Ok(Some(None));
        }
        let here = text
            .starts_with('/')
            .then(|| format!("http://localhost{text}"));
        absolute(here.as_deref().unwrap_or(text))
            .map(|_| Some(Some(text.to_owned())))
            .ok_or_else(|| {
                Failure::parameter(
                    name,
                    &format!("`{}` is not an http or https address", shown(text)),
                )
            })
    }

    /// An identifier. Outer `None`: not sent; inner `None`: sent empty.
    pub(crate) fn sid<T: FromStr>(&self, name: &str) -> Result<Option<Option<T>>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(_) => self.parsed(name, "an identifier of this kind").map(Some),
        }
    }

    fn identifier(&self, name: &str, is_sid: impl Fn(&str) -> bool) -> Result<(), Failure> {
        match self.filled(name).map(str::trim) {
            Some(text) if !is_sid(text) => {
                let reason = format!("`{}` is not an identifier of this kind", shown(text));
                Err(Failure::parameter(name, &reason))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The word of the table that matches the value.
    pub(crate) fn word(&self, name: &str) -> Option<&'static str> {
        let (route, dialect) = self.row?;
        let param = route.params_in(dialect).find(|param| param.name == name)?;
        let Is::Word(words) = param.kind else {
            return None;
        };
        one_of(name, words, self.filled(name)?).ok()
    }

    /// The words of comma- or space-separated lists, and of repeated parameters.
    pub(crate) fn words<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lists = self.all(name).flat_map(|list| list.split([',', ' ']));
        lists.filter(|word| !word.is_empty())
    }

    /// Start of the day of `yyyy-MM-dd…`.
    pub(crate) fn day(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        self.filled(name)
            .map(|text| {
                Timestamp::from_day(text).ok_or_else(|| {
                    Failure::parameter(
                        name,
                        &format!("`{}` is not a day written yyyy-MM-dd", shown(text)),
                    )
                })
            })
            .transpose()
    }

    /// End of the day of `yyyy-MM-dd…`.
    pub(crate) fn end_of_day(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        let day = self.day(name)?;
        Ok(day.map(|day| day + std::time::Duration::from_secs(DAY_SECONDS)))
    }

    /// The period that a day filter selects: `name` is the whole day, or one bound where days are
    /// bounds in the dialect; `name>` and `name<` are the bounds.
    pub(crate) fn period(
        &self,
        name: &str,
        bound: Bound,
        dialect: &RestDialect,
    ) -> Result<Period, Failure> {
        let lower = dialect.exact_days || bound == Bound::Lower;
        let upper = dialect.exact_days || bound == Bound::Upper;
        let (from, until) = (self.day(name)?, self.end_of_day(name)?);
        let from = from.filter(|_| lower);
        let until = until.filter(|_| upper);
        if !dialect.exact_days {
            return Ok((from, until));
        }
        let after = self.moment(&format!("{name}>"))?;
        let before = self.end_of_moment(&format!("{name}<"))?;
        Ok((from.or(after), until.map(last_before).or(before)))
    }

    /// A time in RFC 3339 format, or the start of the day of `yyyy-MM-dd`.
    pub(crate) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(text) = self.filled(name).filter(|text| !is_day(text)) else {
            return self.day(name);
        };
        Timestamp::from_rfc3339(text).map(Some).ok_or_else(|| {
            let reason = format!(
                "`{}` is neither a day written yyyy-MM-dd nor a time written yyyy-MM-ddTHH:mm:ssZ",
                shown(text)
            );
            Failure::parameter(name, &reason)
        })
    }

    /// A time in RFC 3339 format, or the last instant of the day of `yyyy-MM-dd`.
    pub(crate) fn end_of_moment(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        match self.filled(name) {
            Some(text) if is_day(text) => Ok(self.end_of_day(name)?.map(last_before)),
            Some(_) | None => self.moment(name),
        }
    }

    /// Changes what is only kept to be shown again, as far as it was sent.
    ///
    /// - `table`: names and kinds of these parameters
    pub(crate) fn keep(
        &self,
        table: &[Param],
        kept: &mut BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        for Param { name, kind, .. } in table {
            let value = match kind {
                Is::Address => self.address(name)?,
                Is::Sid(_) => {
                    let sid = self.sid::<ApplicationSid>(name)?;
                    sid.map(|sid| sid.map(|sid| sid.to_string()))
                }
                Is::Method => {
                    let method = self.method(name)?.map(|method| method.to_string());
                    self.get(name).map(|_| method)
                }
                Is::Flag => self.flag(name)?.map(|flag| Some(flag.to_string())),
                Is::Text
                | Is::Party
                | Is::Secret
                | Is::Number
                | Is::Day
                | Is::Moment
                | Is::SidPattern(_)
                | Is::Word(_)
                | Is::Words(_) => self.get(name).map(|text| Some(text.to_owned())),
            };
            match value {
                Some(Some(value)) => drop(kept.insert((*name).to_owned(), value)),
                Some(None) => drop(kept.remove(*name)),
                None => {}
            }
        }
        Ok(())
    }

    /// Changes the document of a number or client as far as it was sent.
    pub(crate) fn change_voice(
        &self,
        voice: &mut VoiceApplication,
        dialect: &RestDialect,
    ) -> Result<(), Failure> {
        if let Some(url) = self.address("VoiceUrl")? {
            voice.url = url;
            voice.dialect = dialect.runs;
        }
        if let Some(url) = self.address("VoiceFallbackUrl")? {
            voice.fallback_url = url;
            voice.dialect = dialect.runs;
        }
        if self.get("VoiceMethod").is_some() {
            voice.method = self.method("VoiceMethod")?;
        }
        if self.get("VoiceFallbackMethod").is_some() {
            voice.fallback_method = self.method("VoiceFallbackMethod")?;
        }
        if let Some(sid) = self.sid("VoiceApplicationSid")? {
            voice.application = sid;
        }
        Ok(())
    }
}

/// The last instant before another, as records store them.
fn last_before(end: Timestamp) -> Timestamp {
    Timestamp(end.0.saturating_sub(1))
}

fn is_day(text: &str) -> bool {
    text.trim().len() <= "yyyy-MM-dd".len()
}

/// An HTTP or HTTPS address.
pub(crate) fn absolute(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Longest name of a header field of a message.
const MAX_HEADER_NAME: usize = 64;
/// Longest value, in bytes.
const MAX_HEADER_VALUE: usize = 256;
/// Maximum header fields of a message.
const MAX_HEADERS: usize = 20;

/// Whether a parameter is a header field of a message.
fn is_header(name: &str) -> bool {
    let start = name.get(..2).filter(|_| name.len() > 2);
    start.is_some_and(|start| start.eq_ignore_ascii_case("X-"))
}

/// The account alone, or with all below it if `SubAccounts=true`.
pub(crate) fn scope(params: &Params, account: AccountSid) -> Result<Scope, Failure> {
    Ok(if params.flag("SubAccounts")? == Some(true) {
        Scope::Tree(account)
    } else {
        Scope::Own(account)
    })
}

/// A party as in records: the login of a `client:`.
pub(crate) fn party_pattern(text: &str) -> String {
    let rest = text
        .split_at_checked("client:".len())
        .filter(|(prefix, _)| prefix.eq_ignore_ascii_case("client:"));
    model::number::tidy(rest.map_or(text, |(_, login)| login.trim()))
}

/// The declared name with the most similar spelling.
pub(crate) fn nearest(
    name: &str,
    declared: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    // A comparison costs the product of both lengths, and the sender chooses the length of the
    // name.
    if name.len() > NAME_LENGTH {
        return None;
    }
    let name = plain(name);
    let distance = |known: &&str| strsim::damerau_levenshtein(&plain(known), &name);
    let best = declared.min_by_key(distance)?;
    let limit = match name.len() {
        0..=2 => 0,
        length => (length / 4).clamp(1, 2),
    };
    let close = distance(&best) <= limit;
    close.then_some(best)
}

/// A call identifier in its short form; patterns are unchanged.
pub(crate) fn call_pattern(text: &str) -> String {
    text.parse::<CallSid>()
        .map_or_else(|_| text.to_owned(), |sid| sid.to_string())
}

/// The word that matches a text.
fn one_of(name: &str, words: &'static [&'static str], text: &str) -> Result<&'static str, Failure> {
    let wanted = text.trim().replace('_', "-");
    let found = words
        .iter()
        .find(|word| word.eq_ignore_ascii_case(&wanted))
        .copied();
    found.ok_or_else(|| {
        let reason = format!("`{}` is not one of {}", shown(text), words.join(", "));
        Failure::parameter(name, &reason)
    })
}

/// Refuses characters that would break a header line.
pub(crate) fn one_line(name: &str, value: &str) -> Result<(), Failure> {
    if value.chars().any(char::is_control) {
        Err(Failure::parameter(
            name,
            "control characters are not allowed",
        ))
    } else {
        Ok(())
    }
}

/// The start of a value, for an error text.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_may_differ_in_one_letter() {
        let table = [
            ("Ulr", Some("Url")),
            ("Uri", Some("Url")),
            ("T", None),
            ("Ti", None),
            ("Statsu", Some("Status")),
        ];
        for (written, meant) in table {
            let known = ["Url", "To", "Status"].into_iter();
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }

    #[test]
    fn reads_values_or_names_the_parameter() {
        let params = Params::parse(
            b"a=1&a=2&e=&m=get&f=TRUE&d=2013-08-23+14%3A30&u=%2Fapp.xml&x=mailto%3Aa%40b&n=abc",
        )
        .unwrap();
        assert_eq!(params.get("a"), Some("1"));
        assert_eq!(params.all("a").count(), 2);
        assert_eq!(params.filled("e"), None);
        assert!(matches!(params.method("m"), Ok(Some(HttpMethod::Get))));
        assert!(matches!(params.flag("f"), Ok(Some(true))));
        assert_eq!(
            params.day("d").unwrap().unwrap().iso8601(),
            "2013-08-23T00:00:00.000Z"
        );
        assert_eq!(
            params.end_of_day("d").unwrap().unwrap().iso8601(),
            "2013-08-24T00:00:00.000Z"
        );
        assert_eq!(
            params.address("u").unwrap(),
            Some(Some("/app.xml".to_owned()))
        );
        assert_eq!(params.address("e").unwrap(), Some(None));
        assert_eq!(params.address("absent").unwrap(), None);
        let relative = Params::parse(b"u=voice.xml&v=localhost%3A8001%2Fvoice").unwrap();
        let refused = [
            relative.address("u").map(drop),
            relative.address("v").map(drop),
            params.address("x").map(drop),
            params.parsed::<u32>("n", "a number").map(drop),
            params.method("n").map(drop),
            params.flag("n").map(drop),
            params.day("n").map(drop),
            params.required("e").map(drop),
        ];
        for result in refused {
            assert!(result.is_err());
        }
    }

    #[test]
    fn parties_are_written_as_records_have_them() {
        let table = [
            ("client:alice", "alice"),
            ("Client: alice", "alice"),
            ("client", "client"),
            ("+1555", "+1555"),
            ("%555_", "%555_"),
        ];
        for (text, expected) in table {
            assert_eq!(party_pattern(text), expected, "{text}");
        }
    }
}
