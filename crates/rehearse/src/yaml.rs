//! YAML text to a tree that remembers its lines.
//!
//! Values remain texts: `+1000` is a number in YAML but a phone number here. **Invariant: each node
//! knows its line**, so that every problem can name it. Deliberately unsupported: anchors, aliases,
//! tags and several documents in one file.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use crate::Problem;

/// Nesting deeper than this is refused.
const MAX_DEPTH: usize = 40;

/// A value and its line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    /// Line, from 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// Empty, `~` or `null`, without quotes.
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) line: usize,
    pub(crate) name: String,
}

impl Node {
    /// The human-readable kind of value.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "keys",
        }
    }
}

/// Reads one document.
///
/// # Errors
/// [`Problem`] if the text is not YAML, or uses an unsupported feature.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    let mut reader = Reader {
        text,
        parser: Parser::new_from_str(text),
        open: Vec::new(),
        last_line: 0,
    };
    let node = loop {
        let (start, event) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd => return Err(Problem::new(start.line(), "the file is empty")),
            event => break reader.node(start, event)?,
        }
    };
    loop {
        match reader.next()? {
            (_, Event::DocumentEnd | Event::Nothing) => {}
            (_, Event::StreamEnd) => return Ok(node),
            (start, _) => return Err(Problem::new(start.line(), "one file holds one script")),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Where the lists and maps begin that are being read.
    open: Vec<Marker>,
    /// Line of the last key or value that was read.
    last_line: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Marker, Event<'a>), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.last_line = span.start.line();
                Ok((span.start, event))
            }
            Some(Err(error)) => Err(Problem::new(error.marker().line(), self.explain(&error))),
            None => Ok((Marker::new(0, 1, 0), Event::StreamEnd)),
        }
    }

    /// The fault, and the line in which the innermost `{` or `[` around it is opened.
    fn explain(&self, error: &ScanError) -> String {
        let fault = match error.info() {
            "mapping values are not allowed in this context" => {
                "a `: ` is not allowed here; put text that contains it in quotes"
            }
            _ if self.is_second_colon(error.marker()) => {
                return "this is not YAML: a `: ` is not allowed here; put text that contains it \
                        in quotes, or a comma before the next key"
                    .to_owned();
            }
            // Elsewhere it would end the list or map.
            "invalid indentation" | "invalid indentation in flow construct" => {
                "a `}` or `]` is missing before this line"
            }
            other => other,
        };
        let bracket = self.open.last().and_then(|start| {
            let bracket = self.text.chars().nth(start.index())?;
            matches!(bracket, '{' | '[').then(|| (bracket, start.line()))
        });
        let place = bracket.map_or_else(String::new, |(bracket, line)| {
            format!(", after the `{bracket}` on line {line}")
        });
        format!("this is not YAML: {fault}{place}")
    }

    /// Whether a colon follows a text that is itself a value. If the text began on an earlier
    /// line, this is a key instead, and something else is missing before it.
    fn is_second_colon(&self, fault: &Marker) -> bool {
        self.last_line == fault.line() && self.text.chars().nth(fault.index()) == Some(':')
    }

    fn node(&mut self, start: Marker, event: Event<'a>) -> Result<Node, Problem> {
        let line = start.line();
        if self.open.len() > MAX_DEPTH {
            return Err(Problem::new(line, "nested too deeply"));
        }
        let value = match event {
            Event::Scalar(text, style, 0, None) => scalar(&text, style),
            Event::SequenceStart(0, None) => self.inside(start, Self::list)?,
            Event::MappingStart(0, None) => self.inside(start, Self::map)?,
            Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..) => {
                let text = "anchors (`&`), aliases (`*`) and tags (`!`) are not used here; \
                            put the value in quotes";
                return Err(Problem::new(line, text));
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(Problem::new(line, "a value is missing")),
        };
        Ok(Node { line, value })
    }

    /// Reads the list or map that begins here.
    fn inside(
        &mut self,
        start: Marker,
        read: impl FnOnce(&mut Self) -> Result<Value, Problem>,
    ) -> Result<Value, Problem> {
        self.open.push(start);
        let value = read(self)?;
        self.open.pop();
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (_, Event::SequenceEnd) => return Ok(Value::List(items)),
                (start, event) => items.push(self.node(start, event)?),
            }
        }
    }

    fn map(&mut self) -> Result<Value, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let (start, event) = self.next()?;
            let line = start.line();
            let name = match event {
                Event::MappingEnd => return Ok(Value::Map(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(Problem::new(line, "a key must be a string")),
            };
            if entries.iter().any(|(key, _)| key.name == name) {
                return Err(Problem::new(line, format!("`{name}` appears twice")));
            }
            let (start, event) = self.next()?;
            let node = self.node(start, event)?;
            entries.push((Key { line, name }, node));
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null") => Value::Null,
        _ => Value::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_knows_its_line() {
        let node = parse("a: 1\nb:\n  - +1000\n  - {c: ~, d: \"null\"}\n  - ...\n").unwrap();
        let Value::Map(entries) = node.value else {
            unreachable!("the root is a map")
        };
        let (key, list) = &entries[1];
        assert_eq!((key.name.as_str(), key.line), ("b", 2));
        let Value::List(items) = &list.value else {
            unreachable!("b is a list")
        };
        assert_eq!(items[0].line, 3);
        assert_eq!(items[0].value, Value::Text("+1000".to_owned()));
        let Value::Map(inner) = &items[1].value else {
            unreachable!("the second item is a map")
        };
        assert_eq!(inner[0].1.value, Value::Null);
        assert_eq!(inner[1].1.value, Value::Text("null".to_owned()));
        assert_eq!(items[2].value, Value::Text("...".to_owned()));
    }

    #[test]
    fn refuses_other_texts() {
        let deep = format!("a: {}", "[".repeat(60));
        let table = [
            ("", "the file is empty"),
            ("a: 1\na: 2\n", "line 2: `a` appears twice"),
            ("a: &x 1\n", "line 1: anchors"),
            ("a: !t 1\n", "line 1: anchors"),
            ("a: 1\n---\nb: 1\n", "one file holds one script"),
            ("? [a]\n: 1\n", "a key must be a string"),
            ("a: [1\n", "expected ',' or ']', after the `[` on line 1"),
            (
                "a: 1\nb: {c: [1],\n  d: 2\ne: 3\n",
                "line 4: this is not YAML: while parsing a flow mapping, did not find expected ',' or \
                 '}', after the `{` on line 2",
            ),
            (
                "a:\n  - b: {c: x\n  - d\n",
                "line 4: this is not YAML: while parsing a flow mapping, did not find expected ',' or \
                 '}', after the `{` on line 2",
            ),
            (
                "a:\n  - {b: 1\n  - {c: 1}\nd: 1\n",
                "line 4: this is not YAML: a `}` or `]` is missing before this line",
            ),
            (
                "a:\n  - {b: What: now}\n",
                "line 2: this is not YAML: a `: ` is not allowed here; put text that contains it in \
                 quotes, or a comma before the next key",
            ),
            (
                "a: text: with colon\n",
                "line 1: this is not YAML: a `: ` is not allowed here; put text that contains it in \
                 quotes",
            ),
            (&deep, "line 1"),
        ];
        for (text, expected) in table {
            let problem = parse(text).unwrap_err().to_string();
            assert!(problem.contains(expected), "{text:?}: {problem}");
        }
    }
}
