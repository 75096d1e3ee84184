//! From text to tree: limits, repair of bare `&`, and places in the original text.
//!
//! The XML parser sees a repaired copy of the text. **Invariant: every line and column that leaves
//! this file refers to the text as the application sent it.**

use std::borrow::Cow;

use roxmltree::{Error, ParsingOptions, TextPos};

use model::error;

use crate::document::ParseError;
use crate::encoding;
use crate::finding::{Finding, Findings, Position, quoted};

/// Maximum length of a document, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Maximum nesting of elements.
pub const MAX_DEPTH: usize = 64;

/// The message about a web page.
const HTML: &str = "this is an HTML page, not a document";

/// The advice for a text in another format.
const SEND_XML: &str = "send XML that begins with `<Response>`";

/// Start of a text.
pub(crate) const START: Position = Position { line: 1, column: 1 };

/// Maximum nodes (elements, texts, comments) in a document.
const MAX_NODES: u32 = 50_000;

/// Maximum attributes of one element: the XML parser compares each with all others.
const MAX_ATTRIBUTES: usize = 200;

/// Maximum prefixes declared for an application that did not declare them.
const MAX_PREFIXES: usize = 8;

/// Bytes between two entries of the table of character counts.
const BLOCK: usize = 1024;

/// The text of a document, ready for the XML parser.
pub(crate) struct Source<'a> {
    /// The text as received, possibly with a byte order mark.
    text: &'a str,
    /// The text without its byte order mark.
    original: &'a str,
    repaired: Cow<'a, str>,
    insertions: Vec<Insertion>,
    lines: Vec<usize>,
    /// Characters before each block of [`BLOCK`] bytes of the original.
    characters: Vec<usize>,
    /// The repairs: where in the original, and how often.
    repairs: Vec<Repair>,
}

/// One kind of repair.
struct Repair {
    /// Offset of the first one in the original.
    first: usize,
    message: String,
}

/// A piece of the repaired text that is not in the original.
struct Insertion {
    /// Offset in the repaired text.
    start: usize,
    length: usize,
    /// Bytes inserted before this one.
    before: usize,
}

impl<'a> Source<'a> {
    /// Reads a text and repairs it.
    pub(crate) fn new(text: &'a str) -> Result<Self, ParseError> {
        if text.len() > MAX_BYTES {
            let message = format!("the document is longer than {MAX_BYTES} bytes");
            return Err(ParseError::no_xml(START, message));
        }
        let original = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut source = Self {
            text,
            original,
            repaired: Cow::Borrowed(original),
            insertions: Vec::new(),
            lines: line_starts(original),
            characters: character_counts(original),
            repairs: Vec::new(),
        };
        source.refuse_wide_characters()?;
        if let Some(offset) = crowded_tag(original) {
            let message = format!("the element has more than {MAX_ATTRIBUTES} attributes");
            return Err(ParseError::no_xml(source.position(offset), message));
        }
        let bare = bare_ampersands(original);
        source.insert_all(&bare, "amp;");
        if let Some(first) = bare.first() {
            let more = match bare.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            source.repairs.push(Repair {
                first: first - 1,
                message: format!("a bare `&`{more} was read as `&amp;`"),
            });
        }
        source.declare_prefixes();
        Ok(source)
    }

    /// The text that the tree refers to.
    pub(crate) fn repaired(&self) -> &str {
        &self.repaired
    }

    /// The tree, checked for depth. A web page is refused: it says nothing about the call.
    pub(crate) fn tree(&self) -> Result<roxmltree::Document<'_>, ParseError> {
        let tree = parse(&self.repaired).map_err(|error| self.explain(&error))?;
        let root = tree.root_element();
        if root.tag_name().name().eq_ignore_ascii_case("html") {
            let at = self.position(root.range().start);
            return Err(ParseError::no_xml(at, format!("{HTML}; {SEND_XML}")));
        }
        self.check_depth(&tree)?;
        Ok(tree)
    }

    /// Reports the repairs, and the places where characters were lost in decoding.
    ///
    /// - `content_type`: the header that came with the text.
    pub(crate) fn report(&self, content_type: Option<&str>, findings: &mut Findings) {
        for repair in &self.repairs {
            let at = self.place(repair.first);
            findings.push(Finding::new(error::REPAIRED, at, repair.message.clone()));
        }
        let named = encoding::named(self.text, content_type);
        if let Some((label, source)) = named.unknown {
            let place = match source {
                encoding::Source::ContentType => "the content type",
                encoding::Source::Declaration => "the XML declaration",
            };
            let (label, used) = (quoted(label), named.name);
            let message =
                format!("the encoding `{label}` in {place} is not known; {used} was used");
            findings.push(Finding::new(error::ENCODING, START, message));
        }
        if let Some(first) = self.original.find(char::REPLACEMENT_CHARACTER) {
            let message = format!(
                "the bytes here are not characters in {}; send UTF-8, or name the right encoding",
                named.name
            );
            findings.push(Finding::new(error::ENCODING, self.place(first), message));
        }
    }

    /// Refuses encodings with several bytes per character if nothing declares them, and those with
    /// four: such a text arrives full of zeros.
    fn refuse_wide_characters(&self) -> Result<(), ParseError> {
        let head = self.original.get(..self.original.floor_char_boundary(8));
        if !head.is_some_and(|head| head.contains('\0')) {
            return Ok(());
        }
        let message =
            "this looks like UTF-32, or UTF-16 that is not declared; send UTF-8".to_owned();
        Err(ParseError::no_xml(START, message))
    }

    /// Place of a byte of the repaired text.
    pub(crate) fn position(&self, offset: usize) -> Position {
        self.place(self.original_offset(offset))
    }

    /// Place of a byte of the original.
    fn place(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.characters_before(offset) - self.characters_before(start) + 1;
        Position {
            line: saturate(line),
            column: saturate(column),
        }
    }

    fn original_offset(&self, offset: usize) -> usize {
        let next = self
            .insertions
            .partition_point(|insertion| insertion.start < offset);
        let Some(insertion) = next
            .checked_sub(1)
            .and_then(|last| self.insertions.get(last))
        else {
            return offset;
        };
        let inside = (offset - insertion.start).min(insertion.length);
        offset - insertion.before - inside
    }

    fn characters_before(&self, offset: usize) -> usize {
        let offset = self.original.floor_char_boundary(offset);
        let block = offset / BLOCK;
        // A block may start inside a character; its count is the one before that character.
        let start = self.original.floor_char_boundary(block * BLOCK);
        self.characters[block] + self.original[start..offset].chars().count()
    }

    /// Inserts a text at each of the given offsets of the (still unrepaired) text.
    fn insert_all(&mut self, offsets: &[usize], text: &str) {
        if offsets.is_empty() {
            return;
        }
        let mut repaired = String::with_capacity(self.original.len() + offsets.len() * text.len());
        let mut done = 0;
        for offset in offsets {
            repaired.push_str(&self.original[done..*offset]);
            let before = self.insertions.len() * text.len();
            self.insertions.push(Insertion {
                start: repaired.len(),
                length: text.len(),
                before,
            });
            repaired.push_str(text);
            done = *offset;
        }
        repaired.push_str(&self.original[done..]);
        self.repaired = Cow::Owned(repaired);
    }

    /// Declares prefixes that are used but not declared, since prefixes are ignored here.
    fn declare_prefixes(&mut self) {
        for _ in 0..MAX_PREFIXES {
            let Err(Error::UnknownNamespace(prefix, place)) = parse(&self.repaired) else {
                return;
            };
            let Some(at) = root_name_end(&self.repaired) else {
                return;
            };
            let declaration = format!(" xmlns:{prefix}=\"undeclared:{prefix}\"");
            self.repairs.push(Repair {
                first: self.original_offset(self.first_use(&prefix, place)),
                message: format!("the prefix `{}` is not declared", quoted(&prefix)),
            });
            let place = self
                .insertions
                .partition_point(|insertion| insertion.start < at);
            let length = declaration.len();
            for later in &mut self.insertions[place..] {
                later.start += length;
                later.before += length;
            }
            let before = self.insertions[..place]
                .last()
                .map_or(0, |last| last.before + last.length);
            self.insertions.insert(
                place,
                Insertion {
                    start: at,
                    length,
                    before,
                },
            );
            self.repaired.to_mut().insert_str(at, &declaration);
        }
    }

    /// Where a start tag first uses a prefix, searching from where the parser reported it. The
    /// parser checks the attributes before the element name. There is no `<` between the two.
    fn first_use(&self, prefix: &str, found: TextPos) -> usize {
        let found = offset_of(&self.repaired, found);
        let before = self.repaired.get(..found).unwrap_or("");
        let name = before.rfind('<').map_or(found, |tag| tag + 1);
        let is_first = before
            .get(name..)
            .and_then(|text| text.strip_prefix(prefix));
        match is_first {
            Some(rest) if rest.starts_with(':') => name,
            Some(_) | None => found,
        }
    }

    fn check_depth(&self, tree: &roxmltree::Document<'_>) -> Result<(), ParseError> {
        let mut depth = 0;
        let mut node = tree.root();
        loop {
            if let Some(child) = node.first_child() {
                (node, depth) = (child, depth + 1);
                if depth > MAX_DEPTH && node.is_element() {
                    let at = self.position(node.range().start);
                    let message = format!("elements are nested deeper than {MAX_DEPTH}");
                    return Err(ParseError::no_xml(at, message));
                }
                continue;
            }
            while node.next_sibling().is_none() {
                let Some(parent) = node.parent() else {
                    return Ok(());
                };
                (node, depth) = (parent, depth - 1);
            }
            if let Some(next) = node.next_sibling() {
                node = next;
            }
        }
    }

    fn explain(&self, error: &Error) -> ParseError {
        let start = self.original.trim_start();
        let begins = |with: &str| {
            let head = start.get(..with.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(with))
        };
        let other = if start.is_empty() {
            return ParseError::no_xml(START, "the document is empty".to_owned());
        } else if begins("<!doctype html") || begins("<html") {
            HTML
        } else if start.starts_with(['{', '[']) {
            "this looks like JSON, not XML"
        } else if !start.starts_with('<') {
            "this is text, not XML"
        } else {
            let message = match error {
                Error::UnclosedRootNode => self.not_closed(),
                Error::UnexpectedCloseTag(expected, actual, place) => {
                    self.closed_by_another(expected, actual, *place)
                }
                other => wording(other),
            };
            return ParseError::no_xml(self.place_of(error), message);
        };
        let at = self.place(self.original.len() - start.len());
        ParseError::no_xml(at, format!("{other}; {SEND_XML}"))
    }

    /// The fault of a text that ends inside an element.
    fn not_closed(&self) -> String {
        let Some(start) = unclosed(self.original) else {
            return "the text ends inside an element that is not closed".to_owned();
        };
        let mut words = self.original[start + 1..].split(|c: char| c.is_whitespace() || c == '>');
        let name = quoted(words.next().unwrap_or_default());
        let line = self.place(start).line;
        format!("the text ends inside `{name}`, which begins on line {line} and is not closed")
    }

    /// The fault of an end tag that does not belong to the innermost open element, with the line on
    /// which that one begins if it is an earlier one.
    fn closed_by_another(&self, expected: &str, actual: &str, place: TextPos) -> String {
        let (expected, actual) = (quoted(expected), quoted(actual));
        let end = self.original_offset(offset_of(&self.repaired, place));
        let start = self.original.get(..end).and_then(unclosed);
        let line = start.map(|start| self.place(start).line);
        let element = match line.filter(|line| *line < self.place(end).line) {
            Some(line) => format!(" for `{expected}`, which begins on line {line}"),
            None => String::new(),
        };
        format!("`</{expected}>` was expected{element}, but `</{actual}>` is here")
    }

    fn place_of(&self, error: &Error) -> Position {
        let found = match error {
            Error::DtdDetected => self.repaired.find("<!DOCTYPE"),
            Error::UnclosedRootNode | Error::UnexpectedEndOfStream => Some(self.repaired.len()),
            Error::NoRootNode | Error::NodesLimitReached => Some(0),
            Error::InvalidName(place) => {
                let name = offset_of(&self.repaired, *place);
                let before = self.repaired.get(..name);
                Some(name - usize::from(before.is_some_and(|text| text.ends_with('<'))))
            }
            other => Some(offset_of(&self.repaired, other.pos())),
        };
        self.position(found.unwrap_or(0))
    }
}

fn parse(text: &str) -> Result<roxmltree::Document<'_>, Error> {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    roxmltree::Document::parse_with_options(text, options)
}

/// The description of a fault, in our words where the parser's are too technical.
fn wording(error: &Error) -> String {
    let text = match error {
        Error::DtdDetected => {
            "`<!DOCTYPE>` is not allowed here; send XML that begins with `<Response>`"
        }
        Error::NoRootNode => "there is no element; a document begins with `<Response>`",
        Error::UnexpectedEndOfStream => "the text ends too early",
        Error::UnexpectedDeclaration(_) => {
            "the XML declaration must be the first thing in the text"
        }
        Error::UnknownToken(_) => "a document has exactly one outer element, usually `<Response>`",
        Error::InvalidName(_) => "a name is expected here; a `<` in text is written `&lt;`",
        Error::InvalidChar(b'"' | b'\'', b'<', _) => {
            "a quote is missing before this `<`; inside quotes, `<` is written `&lt;`"
        }
        Error::InvalidChar2("a quote", _, _) => "the value of an attribute must be in quotes",
        Error::InvalidAttributeValue(_) => "a `<` in an attribute is written `&lt;`",
        Error::MalformedEntityReference(_) => {
            "this reference does not name a character that XML allows"
        }
        Error::NodesLimitReached => return format!("there are more than {MAX_NODES} nodes"),
        Error::DuplicatedAttribute(name, _) => {
            return format!("the attribute `{}` appears twice", quoted(name));
        }
        Error::UnknownEntityReference(name, _) => {
            let name = quoted(name);
            return format!("`&{name};` is not known; write the character or `&amp;{name};`");
        }
        other => return without_place(&other.to_string()),
    };
    text.to_owned()
}

/// Drops the trailing "at line:column" of the parser, which refers to the repaired text.
fn without_place(message: &str) -> String {
    match message.rsplit_once(" at ") {
        Some((text, place)) if place.bytes().all(|b| b.is_ascii_digit() || b == b':') => {
            text.to_owned()
        }
        Some(_) | None => message.to_owned(),
    }
}

/// Byte offset of a place reported by the parser (line and column in characters, from 1).
fn offset_of(text: &str, place: TextPos) -> usize {
    let row = (place.row as usize).saturating_sub(1);
    let column = (place.col as usize).saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(row).map(str::len).sum();
    let rest = text.get(start..).unwrap_or("");
    start
        + rest
            .char_indices()
            .nth(column)
            .map_or(rest.len(), |(offset, _)| offset)
}

/// Offsets after every `&` in text and attribute values that does not start a reference.
fn bare_ampersands(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].find(['&', '<']) {
        at += next;
        let rest = &text[at..];
        at += match skipped(rest) {
            Some(length) => length,
            None => {
                if rest.starts_with('&') && !starts_reference(rest) {
                    found.push(at + 1);
                }
                1
            }
        };
    }
    found
}

/// Length of a CDATA section, comment or processing instruction at the start of a text.
fn skipped(text: &str) -> Option<usize> {
    const ISLANDS: [(&str, &str); 3] = [("<![CDATA[", "]]>"), ("<!--", "-->"), ("<?", "?>")];
    let (open, close) = ISLANDS
        .into_iter()
        .find(|(open, _)| text.starts_with(open))?;
    let inside = &text[open.len()..];
    Some(
        open.len()
            + inside
                .find(close)
                .map_or(inside.len(), |end| end + close.len()),
    )
}

/// Whether a text starting with `&` starts with a reference such as `&lt;` or `&#10;`.
fn starts_reference(text: &str) -> bool {
    let inside = &text[1..];
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let (name, allowed): (&str, fn(char) -> bool) = match inside.strip_prefix('#') {
        Some(number) => match number.strip_prefix('x') {
            Some(hex) => (hex, |c| c.is_ascii_hexdigit()),
            None => (number, |c| c.is_ascii_digit()),
        },
        None if inside.starts_with(|c: char| c.is_alphabetic() || c == '_') => (inside, is_name),
        None => return false,
    };
    let length = name.find(|c: char| !allowed(c)).unwrap_or(name.len());
    length > 0 && name[length..].starts_with(';')
}

/// Where the name of the root element ends.
fn root_name_end(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].find('<')?;
        match skipped(&text[at..]) {
            Some(length) => at += length,
            None => break,
        }
    }
    let name = text[at + 1..].find(|c: char| c.is_whitespace() || matches!(c, '/' | '>'))?;
    Some(at + 1 + name)
}

fn line_starts(text: &str) -> Vec<usize> {
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0)
        .chain(breaks.map(|(at, _)| at + 1))
        .collect()
}

fn character_counts(text: &str) -> Vec<usize> {
    let mut counts = vec![0];
    let mut start = 0;
    for block in 1..=text.len() / BLOCK {
        let end = text.floor_char_boundary(block * BLOCK);
        let before = counts.last().copied().unwrap_or(0);
        counts.push(before + text[start..end].chars().count());
        start = end;
    }
    counts
}

fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Where the first start tag with more than [`MAX_ATTRIBUTES`] begins. In a text that is not
/// well-formed, only the part before the fault is examined.
fn crowded_tag(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text.get(at..)?.find('<') {
        let start = at + found;
        let rest = &text[start..];
        let other = [
            ("<!--", "-->"),
            ("<![CDATA[", "]]>"),
            ("<?", "?>"),
            ("<!", ">"),
        ];
        if let Some((open, close)) = other.iter().find(|(open, _)| rest.starts_with(open)) {
            at = start + open.len() + rest[open.len()..].find(close)? + close.len();
            continue;
        }
        let tag = Tag::at_start_of(rest);
        if tag.attributes > MAX_ATTRIBUTES {
            return Some(start);
        }
        at = start + tag.length;
    }
    None
}

/// Where the tag of the innermost element begins that is still open at the end of a text without
/// other faults.
fn unclosed(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('<') {
        at += found;
        let rest = &text[at..];
        if let Some(length) = skipped(rest) {
            at += length;
            continue;
        }
        let tag = &rest[..Tag::at_start_of(rest).length];
        if tag.starts_with("</") {
            open.pop();
        } else if !tag.ends_with("/>") {
            open.push(at);
        }
        at += tag.len();
    }
    open.pop()
}

/// The extent of a tag.
struct Tag {
    /// Bytes up to and including its `>`, which may be missing.
    length: usize,
    attributes: usize,
}

impl Tag {
    fn at_start_of(text: &str) -> Self {
        let mut quote = None;
        let mut attributes = 0;
        for (offset, byte) in text.bytes().enumerate() {
            match (quote, byte) {
                (None, b'>') => {
                    let length = offset + 1;
                    return Self { length, attributes };
                }
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'=') => attributes += 1,
                (Some(open), byte) if open == byte => quote = None,
                (None | Some(_), _) => {}
            }
        }
        let length = text.len();
        Self { length, attributes }
    }
}
