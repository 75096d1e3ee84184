//! One element: its text and attributes, read by the rules common to all verbs.
//!
//! **Invariant: a forbidden value yields a finding and the default.** An attribute with an empty
//! value counts as absent. Prefixes are ignored, in attribute names too.

use std::collections::BTreeSet;

use model::{HttpMethod, Level, error};
use roxmltree::Node;

use crate::address::url_fault;
use crate::finding::{Finding, Findings, Position, quoted};
use crate::source::Source;
use crate::suggest::closest;
use crate::{advice, partner, verb, vocabulary};

/// An element of a document and its place.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    node: Node<'a, 'a>,
    source: &'a Source<'a>,
}

/// The attributes known for a verb or noun.
pub(crate) struct Attributes {
    /// Those that have an effect.
    pub(crate) built: &'static [&'static str],
    /// Those that exist elsewhere but have no effect here.
    pub(crate) unbuilt: &'static [&'static str],
}

/// An attribute's trimmed value and place.
pub(crate) struct Attribute {
    pub(crate) value: String,
    pub(crate) at: Position,
}

/// A part of an element's content.
pub(crate) enum Content<'a> {
    Text(String),
    Element(Element<'a>),
}

impl<'a> Element<'a> {
    /// The element at a node, if it is an element.
    pub(crate) fn new(node: Node<'a, 'a>, source: &'a Source<'a>) -> Option<Self> {
        node.is_element().then_some(Self { node, source })
    }

    /// Name without its prefix.
    pub(crate) fn name(&self) -> &'a str {
        self.node.tag_name().name()
    }

    pub(crate) fn at(&self) -> Position {
        self.source.position(self.node.range().start)
    }

    pub(crate) fn children(&self) -> impl Iterator<Item = Self> + use<'a> {
        let source = self.source;
        self.node
            .children()
            .filter_map(move |node| Self::new(node, source))
    }

    /// Text and child elements in order, without comments.
    pub(crate) fn content(&self) -> impl Iterator<Item = Content<'a>> + use<'a> {
        let source = self.source;
        self.node.children().filter_map(move |node| {
            if node.is_text() {
                return Some(Content::Text(node.text().unwrap_or("").to_owned()));
            }
            Self::new(node, source).map(Content::Element)
        })
    }

    /// The text, trimmed. Child elements split it into runs, and the last non-blank run counts;
    /// CDATA sections and comments do not split it.
    pub(crate) fn text(&self) -> String {
        let last = self.runs().pop().map(|(_, text)| text);
        last.unwrap_or_default()
    }

    /// The non-blank runs of text, trimmed, each with the place of its first character.
    fn runs(&self) -> Vec<(Position, String)> {
        let mut runs = Vec::new();
        let mut run: Option<(Position, String)> = None;
        for node in self.node.children() {
            if node.is_element() {
                runs.extend(run.take());
            } else if node.is_text() {
                let text = node.text().unwrap_or("");
                match &mut run {
                    Some((_, run)) => run.push_str(text),
                    None if text.trim().is_empty() => {}
                    None => run = Some((self.start_of(&node), text.to_owned())),
                }
            }
        }
        runs.extend(run);
        for (_, text) in &mut runs {
            *text = text.trim().to_owned();
        }
        runs
    }

    /// Place of the first character of a non-blank text.
    fn start_of(&self, text: &Node<'_, '_>) -> Position {
        let range = text.range();
        let written = self.source.repaired().get(range.clone()).unwrap_or("");
        let blank = written.len() - written.trim_start().len();
        self.source.position(range.start + blank)
    }

    /// An attribute that is present and not empty.
    pub(crate) fn attribute(&self, name: &str) -> Option<Attribute> {
        let found = self
            .node
            .attributes()
            .find(|attribute| attribute.name() == name)?;
        let value = found.value().trim();
        (!value.is_empty()).then(|| Attribute {
            value: value.to_owned(),
            at: self.source.position(found.range().start),
        })
    }

    /// Whether an attribute is present but empty.
    pub(crate) fn is_set_empty(&self, name: &str) -> bool {
        self.node
            .attributes()
            .find(|attribute| attribute.name() == name)
            .is_some_and(|attribute| attribute.value().trim().is_empty())
    }

    /// Value of an attribute that can be any text.
    pub(crate) fn string(&self, name: &str) -> Option<String> {
        self.attribute(name).map(|attribute| attribute.value)
    }

    /// Value of an attribute that must pass a test; otherwise `None`, with a finding that ends with what happens instead.
    pub(crate) fn checked(
        &self,
        name: &str,
        (code, instead): (u16, &str),
        test: impl Fn(&str) -> bool,
        findings: &mut Findings,
    ) -> Option<String> {
        let attribute = self.attribute(name)?;
        if test(&attribute.value) {
            return Some(attribute.value);
        }
        let message = format!(
            "`{name}` of `{}` cannot be `{}`; {instead}",
            self.name(),
            quoted(&attribute.value)
        );
        findings.push(Finding::new(code, attribute.at, message));
        None
    }

    /// Whether an attribute is `true`, in any letter case; every other value is `false`.
    pub(crate) fn flag(&self, name: &str, findings: &mut Findings) -> Option<bool> {
        let attribute = self.attribute(name)?;
        let value = attribute.value.to_ascii_lowercase();
        if value != "true" && value != "false" {
            self.reject(
                name,
                &attribute,
                error::BAD_VALUE,
                "false",
                &["true", "false"],
                findings,
            );
        }
        Some(value == "true")
    }

    /// One of a few words, or `None` with a finding. The first word is the default.
    pub(crate) fn word<T: Copy>(
        &self,
        name: &str,
        code: u16,
        words: &[(&'static str, T)],
        findings: &mut Findings,
    ) -> Option<T> {
        let attribute = self.attribute(name)?;
        let found = words.iter().find(|(word, _)| *word == attribute.value);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.reject(
                name,
                &attribute,
                code,
                names.first().unwrap_or(&""),
                &names,
                findings,
            );
        }
        found.map(|(_, value)| *value)
    }

    /// Several of a few words, separated by commas or spaces; `None` if none of them is known.
    pub(crate) fn words<T: Copy + PartialEq>(
        &self,
        name: &str,
        code: u16,
        known: &[(&'static str, T)],
        findings: &mut Findings,
    ) -> Option<Vec<T>> {
        let attribute = self.attribute(name)?;
        let separates = |c: char| c == ',' || c.is_whitespace();
        let words = attribute.value.split(separates);
        let mut found = Vec::new();
        for word in words.filter(|word| !word.is_empty()) {
            match known.iter().find(|(known, _)| *known == word) {
                Some((_, value)) if found.contains(value) => {}
                Some((_, value)) => found.push(*value),
                None => {
                    let message = format!("`{name}` cannot be `{}`; it was left out", quoted(word));
                    let meant = closest(word, known.iter().map(|(known, _)| *known));
                    findings.push(Finding::new(code, attribute.at, message).suggest(meant));
                }
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// `GET` or `POST` in any letter case; `POST` if absent or wrong.
    pub(crate) fn method(&self, name: &str, code: u16, findings: &mut Findings) -> HttpMethod {
        let Some(attribute) = self.attribute(name) else {
            return HttpMethod::Post;
        };
        attribute.value.parse().unwrap_or_else(|_| {
            self.reject(name, &attribute, code, "POST", &["GET", "POST"], findings);
            HttpMethod::Post
        })
    }

    /// A number of seconds, at least 1.
    pub(crate) fn seconds(
        &self,
        name: &str,
        default: u32,
        code: u16,
        findings: &mut Findings,
    ) -> u32 {
        let Some(attribute) = self.attribute(name) else {
            return default;
        };
        match number(&attribute.value) {
            Some(seconds) if seconds > 0 => seconds,
            Some(_) | None => {
                self.reject(name, &attribute, code, &default.to_string(), &[], findings);
                default
            }
        }
    }

    /// A number, at least 1.
    ///
    /// - `instead`: what is used in place of anything else.
    pub(crate) fn count(
        &self,
        name: &str,
        code: u16,
        instead: &str,
        findings: &mut Findings,
    ) -> Option<u32> {
        let attribute = self.attribute(name)?;
        let count = number(&attribute.value).filter(|count| *count > 0);
        if count.is_none() {
            self.reject(name, &attribute, code, instead, &[], findings);
        }
        count
    }

    /// How often to repeat; `None` for a `loop` of 0, which is endless.
    pub(crate) fn looping(&self, code: u16, findings: &mut Findings) -> Option<u32> {
        let Some(attribute) = self.attribute("loop") else {
            return Some(1);
        };
        match number(&attribute.value) {
            Some(0) => None,
            Some(times) => Some(times),
            None => {
                self.reject("loop", &attribute, code, "1", &[], findings);
                Some(1)
            }
        }
    }

    /// An attribute that holds an address. An invalid one is kept, so that using it fails as it
    /// should.
    pub(crate) fn url(&self, name: &str, findings: &mut Findings) -> Option<String> {
        let attribute = self.attribute(name)?;
        if let Some(fault) = url_fault(&attribute.value) {
            let message = format!(
                "`{name}` of `{}` {fault}: `{}`",
                self.name(),
                quoted(&attribute.value)
            );
            findings.push(Finding::new(error::BAD_URI, attribute.at, message));
        }
        Some(attribute.value)
    }

    /// The text as an address; see [`Element::url`].
    pub(crate) fn text_url(&self, findings: &mut Findings) -> String {
        let Some((at, text)) = self.runs().pop() else {
            return String::new();
        };
        if let Some(fault) = url_fault(&text) {
            let message = format!(
                "the address in `{}` {fault}: `{}`",
                self.name(),
                quoted(&text)
            );
            findings.push(Finding::new(error::BAD_URI, at, message));
        }
        text
    }

    /// Reports attributes that are unknown or have no effect, by themselves or without another one.
    pub(crate) fn check_attributes(&self, known: &Attributes, findings: &mut Findings) {
        let mut seen = BTreeSet::new();
        for attribute in self.node.attributes() {
            let name = attribute.name();
            let is_first = seen.insert(name);
            if is_first && known.built.contains(&name) {
                continue;
            }
            let is_unbuilt = is_first && known.unbuilt.contains(&name);
            if is_unbuilt && advice::asks_for_nothing(name, attribute.value()) {
                continue;
            }
            let level = if is_unbuilt {
                Level::Error
            } else {
                Level::Warning
            };
            findings.add(level, || {
                let at = self.source.position(attribute.range().start);
                if is_first {
                    self.idle_attribute(name, at, known)
                } else {
                    self.repeated_attribute(name, at)
                }
            });
        }
        for name in known.built {
            let Some(attribute) = self.attribute(name) else {
                continue;
            };
            let element = self.name();
            if let Some(fault) = partner::fault(element, name, |other| self.string(other)) {
                let message = format!("`{name}` of `{element}` has no effect{fault}");
                findings.push(Finding::new(error::NO_PARTNER, attribute.at, message));
            }
        }
    }

    /// The finding for an attribute that is unknown or has no effect.
    fn idle_attribute(&self, name: &str, at: Position, known: &Attributes) -> Finding {
        let element = self.name();
        if known.unbuilt.contains(&name) {
            let advice = advice::for_attribute(element, name);
            let message = format!("`{name}` of `{element}` has no effect here{advice}");
            return Finding::new(error::NOT_BUILT, at, message);
        }
        let names = known.built.iter().chain(known.unbuilt).copied();
        let meant = closest(name, names);
        let elsewhere = match (meant, verb::owner_of(name)) {
            (None, Some(owner)) => format!("; `{owner}` does"),
            (Some(_), _) | (None, None) => String::new(),
        };
        let message = format!("`{element}` has no attribute `{name}`{elsewhere}");
        Finding::new(error::UNKNOWN_ATTRIBUTE, at, message).suggest(meant)
    }

    /// The finding for an attribute whose name, without its prefix, occurred before.
    fn repeated_attribute(&self, name: &str, at: Position) -> Finding {
        let element = self.name();
        let message = format!("`{name}` of `{element}` appears twice; the first one is used");
        Finding::new(error::UNKNOWN_ATTRIBUTE, at, message)
    }

    /// Reports child elements, none of which has an effect, and text that they cut off.
    pub(crate) fn refuse_children(&self, findings: &mut Findings) {
        for child in self.children() {
            child.refuse_in(self.name(), findings);
        }
        if let [(at, _), _, ..] = self.runs()[..] {
            let message = format!(
                "only the last piece of text in `{}` is used; this one was skipped",
                self.name()
            );
            findings.push(Finding::new(error::BAD_NESTING, at, message));
        }
    }

    /// Reports child elements and text, none of which has an effect.
    pub(crate) fn refuse_content(&self, findings: &mut Findings) {
        for child in self.children() {
            child.refuse_in(self.name(), findings);
        }
        self.refuse_text(findings);
    }

    /// Reports text, which has no effect.
    pub(crate) fn refuse_text(&self, findings: &mut Findings) {
        self.refuse_text_with("", findings);
    }

    /// Reports text, which has no effect.
    ///
    /// - `advice`: the end of the message.
    pub(crate) fn refuse_text_with(&self, advice: &str, findings: &mut Findings) {
        if let Some((at, _)) = self.runs().first() {
            let message = format!("the text in `{}` has no effect{advice}", self.name());
            findings.push(Finding::new(error::BAD_NESTING, *at, message));
        }
    }

    /// Reports text, which has no effect because of an attribute.
    pub(crate) fn refuse_text_beside(&self, attribute: &str, findings: &mut Findings) {
        if let Some((at, _)) = self.runs().first() {
            let name = self.name();
            let message = format!("the text in `{name}` has no effect beside `{attribute}`");
            findings.push(Finding::new(error::BAD_NESTING, *at, message));
        }
    }

    /// Reports that this element has no effect inside the named parent.
    pub(crate) fn refuse_in(&self, parent: &str, findings: &mut Findings) {
        findings.add(Level::Error, || self.misplaced_in(parent));
    }

    fn misplaced_in(&self, parent: &str) -> Finding {
        let name = self.name();
        if vocabulary::is_unbuilt_part(parent, name) {
            let advice = advice::for_element(name);
            let message =
                format!("`{name}` inside `{parent}` is not supported here; it was skipped{advice}");
            Finding::new(error::NOT_BUILT, self.at(), message)
        } else if vocabulary::is_known(name) {
            let message = format!("`{name}` does not belong inside `{parent}`; it was skipped");
            Finding::new(error::BAD_NESTING, self.at(), message)
        } else {
            let message = format!("`{name}` inside `{parent}` is not known; it was skipped");
            Finding::new(error::BAD_NESTING, self.at(), message)
                .suggest(closest(name, vocabulary::parts_of(parent)))
        }
    }

    fn reject(
        &self,
        name: &str,
        attribute: &Attribute,
        code: u16,
        used: &str,
        allowed: &[&str],
        findings: &mut Findings,
    ) {
        let value = quoted(&attribute.value);
        let choice = match allowed {
            [] => String::new(),
            words => format!(" ({})", words.join(" or ")),
        };
        let element = self.name();
        let message =
            format!("`{name}` of `{element}` cannot be `{value}`{choice}; {used} was used");
        let meant = closest(&attribute.value, allowed.iter().copied());
        findings.push(Finding::new(code, attribute.at, message).suggest(meant));
    }
}

/// A whole number written with digits only, with or without `+`.
fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}
