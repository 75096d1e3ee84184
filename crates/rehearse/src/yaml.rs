//! YAML text to a tree that remembers its lines.
//!
//! Values remain texts: `+1000` is a number in YAML but a phone number here. **Invariant: each node
//! knows its line**, so that every problem can name it. Deliberately unsupported: anchors, aliases,
//! tags and several documents in one file.

use saphyr_parser::{Event, Parser, ScalarStyle};

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
        parser: Parser::new_from_str(text),
    };
    let node = loop {
        let (line, event) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd => return Err(Problem::new(line, "the file is empty")),
            event => break reader.node(line, event, 0)?,
        }
    };
    loop {
        match reader.next()? {
            (_, Event::DocumentEnd | Event::Nothing) => {}
            (_, Event::StreamEnd) => return Ok(node),
            (line, _) => return Err(Problem::new(line, "one file holds one script")),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(usize, Event<'a>), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((span.start.line(), event)),
            Some(Err(error)) => Err(Problem::new(
                error.marker().line(),
                format!("this is not YAML: {}", error.info()),
            )),
            None => Ok((1, Event::StreamEnd)),
        }
    }

    fn node(&mut self, line: usize, event: Event<'a>, depth: usize) -> Result<Node, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::new(line, "nested too deeply"));
        }
        let value = match event {
            Event::Scalar(text, style, 0, None) => scalar(&text, style),
            Event::SequenceStart(0, None) => self.list(depth)?,
            Event::MappingStart(0, None) => self.map(depth)?,
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

    fn list(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (_, Event::SequenceEnd) => return Ok(Value::List(items)),
                (line, event) => items.push(self.node(line, event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let (line, event) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(Value::Map(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(Problem::new(line, "a key must be a string")),
            };
            if entries.iter().any(|(key, _)| key.name == name) {
                return Err(Problem::new(line, format!("`{name}` appears twice")));
            }
            let (at, event) = self.next()?;
            let node = self.node(at, event, depth + 1)?;
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
            ("a: [1\n", "this is not YAML"),
            (&deep, "line 1"),
        ];
        for (text, expected) in table {
            let problem = parse(text).unwrap_err().to_string();
            assert!(problem.contains(expected), "{text:?}: {problem}");
        }
    }
}
