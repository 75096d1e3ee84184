//! The width of a terminal, and texts that fit into it.
//!
//! Widths are in columns: some characters take two, some none.

use std::io::{IsTerminal as _, stdout};

use textwrap::{Options, WordSeparator, WordSplitter};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Narrower terminals are treated as if they were this wide.
const NARROWEST: usize = 40;

/// Columns of standard output if it is a terminal that knows them.
pub(crate) fn columns() -> Option<usize> {
    let out = stdout();
    let terminal = out
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&out));
    let columns = terminal
        .and_then(Result::ok)
        .map(|size| usize::from(size.ws_col));
    // A terminal that does not know its size reports 0.
    columns.filter(|columns| *columns > 0)
}

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The start of a text that is too wide, with an ellipsis.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut free = columns.saturating_sub(1);
    let fits = |c: &char| {
        let left = free.checked_sub(c.width().unwrap_or(0));
        free = left.unwrap_or(0);
        left.is_some()
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.push('…');
    short
}

/// Breaks a text into lines, at spaces where possible; all but the first begin with `indent`.
/// None for an empty text.
pub(crate) fn wrap(text: &str, columns: usize, indent: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let options = Options::new(columns)
        .subsequent_indent(indent)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    let lines = textwrap::wrap(text, options);
    lines.into_iter().map(|line| line.into_owned()).collect()
}

/// Lines of a list as they are printed: each is one record, and continues on further lines if a terminal is too narrow
/// for it. Elsewhere each stays one line, for other programs.
pub(crate) fn list(text: &str) -> String {
    columns().map_or_else(|| text.to_owned(), |columns| folded(text, columns))
}

fn folded(text: &str, columns: usize) -> String {
    let folded = text.lines().flat_map(|line| {
        let indent = line.len() - line.trim_start().len() + 4;
        wrap(line, columns.max(NARROWEST), &" ".repeat(indent))
    });
    folded.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_continue_on_indented_lines_and_lose_nothing() {
        let text = "2026-03-01  CA0123456789abcdef0123456789abcdef  +15550100 -> 1000  inbound  completed 3 s (hangup)\n3 of 3\n";
        let table = [
            (120, text.to_owned()),
            (
                60,
                "2026-03-01  CA0123456789abcdef0123456789abcdef  +15550100 ->\n    \
                 1000  inbound  completed 3 s (hangup)\n3 of 3\n"
                    .to_owned(),
            ),
        ];
        for (columns, expected) in table {
            assert_eq!(folded(text, columns), expected);
        }
        for columns in 0..130 {
            let folded = folded(text, columns);
            let widest = folded.lines().map(width).max();
            assert!(widest <= Some(columns.max(NARROWEST)), "{folded}");
            let letters = |text: &str| text.replace(char::is_whitespace, "");
            assert_eq!(letters(&folded), letters(text));
        }
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let table = [
            ("山田太郎", 8, "山田太郎"),
            ("山田太郎", 7, "山田太…"),
            ("山田太郎", 6, "山田…"),
            ("abc", 2, "a…"),
        ];
        for (text, columns, expected) in table {
            assert_eq!(cut(text, columns), expected);
            assert!(width(expected) <= columns);
        }
    }
}
