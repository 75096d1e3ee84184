//! Phone numbers: the spellings under which a dialled number is looked up.

/// The number or name in a user part of a SIP address: everything before the first `;`. A user part
/// may be a number with parameters (RFC 3261 §19.1.6), such as `npdi` and `rn` (RFC 4694), `cpc` or
/// `phone-context` (RFC 3966).
///
/// - `user`: as written; an escaped `;` is part of the name.
#[must_use]
pub fn of_user_part(user: &str) -> &str {
    match user.split_once(';') {
        Some((number, _)) if !number.is_empty() => number,
        Some(_) | None => user,
    }
}

/// The spellings under which a dialled number may be stored, in order of preference:
/// as dialled, in E.164 with `+`, and the same without or with the `+`.
///
/// A national spelling is not guessed: `12…` matches a stored `+12…`, but a number dialled
/// without its country code matches nothing.
#[must_use]
pub fn candidates(dialled: &str) -> Vec<String> {
    let mut found = vec![dialled.to_owned()];
    let mut add = |text: String| {
        if !text.is_empty() && !found.contains(&text) {
            found.push(text);
        }
    };
    if !dialled.contains(['*', '#']) {
        if let Some(e164) = e164(dialled) {
            add(e164);
        }
        match dialled.strip_prefix('+') {
            Some(bare) => add(bare.to_owned()),
            None if dialled.bytes().all(|b| b.is_ascii_digit()) => add(format!("+{dialled}")),
            None => {}
        }
    }
    found
}

/// E.164 form (`+` and 7 to 15 digits) of a number written with visual separators and its
/// country code, or `None` if it is not such a number.
#[must_use]
pub fn e164(text: &str) -> Option<String> {
    let international = text
        .trim()
        .strip_prefix('+')
        .or_else(|| text.trim().strip_prefix("00"))?;
    let mut digits = String::with_capacity(16);
    for c in international.chars() {
        match c {
            '0'..='9' => digits.push(c),
            c if is_separator(c) => {}
            _ => return None,
        }
    }
    let plausible = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
    plausible.then(|| format!("+{digits}"))
}

/// A number in the spelling in which it is dialled: E.164 if it starts with `+` and its country
/// code, else its digits, `+`, `*` and `#`. A text with any characters other than those and visual
/// separators is unchanged.
#[must_use]
pub fn plain(text: &str) -> String {
    if let Some(e164) = e164(text).filter(|_| text.starts_with('+')) {
        return e164;
    }
    if is_dialable(text) {
        text.chars().filter(|c| !is_separator(*c)).collect()
    } else {
        text.to_owned()
    }
}

/// A party as it is recorded: a number without the spaces and brackets that people write between its digits, and any other text as
/// it is.
#[must_use]
pub fn tidy(text: &str) -> String {
    let has_digits = text.chars().filter(char::is_ascii_digit).count() > 2;
    if has_digits && text.chars().any(is_separator) {
        plain(text)
    } else {
        text.to_owned()
    }
}

/// Whether a text consists only of digits, `+`, `*`, `#` and visual separators.
#[must_use]
pub fn is_dialable(text: &str) -> bool {
    let is_dialled = |c: char| c.is_ascii_digit() || matches!(c, '+' | '*' | '#');
    text.chars().all(|c| is_dialled(c) || is_separator(c))
}

/// Visual separators between digits.
fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_recorded_without_what_people_write_between_digits() {
        let table = [
            ("+49 170 5550 123", "+491705550123"),
            ("+49 (151) 1234-5678", "+4915112345678"),
            ("030/123 45", "03012345"),
            ("1000", "1000"),
            ("My Shop", "My Shop"),
            ("Shop 24", "Shop 24"),
            ("client:ann", "client:ann"),
            ("sip:1 0 0 0@example.org", "sip:1 0 0 0@example.org"),
        ];
        for (text, expected) in table {
            assert_eq!(tidy(text), expected);
        }
    }

    #[test]
    fn lists_spellings_in_order() {
        let table: &[(&str, &[&str])] = &[
            ("+12025550123", &["+12025550123", "12025550123"]),
            ("12025550123", &["12025550123", "+12025550123"]),
            (
                "+1 (202) 555-0123",
                &["+1 (202) 555-0123", "+12025550123", "1 (202) 555-0123"],
            ),
            ("*777#", &["*777#"]),
            ("kim", &["kim"]),
        ];
        for (dialled, expected) in table {
            assert_eq!(candidates(dialled), *expected, "{dialled}");
        }
    }

    #[test]
    fn parameters_of_a_user_part_are_not_the_number() {
        let table = [
            ("+12025550100", "+12025550100"),
            ("+12025550100;npdi;rn=+12025550199", "+12025550100"),
            ("+14155550123;cpc=payphone;oli=27", "+14155550123"),
            ("7042;phone-context=+1202555", "7042"),
            ("7042;phone-context=example.com", "7042"),
            ("kim", "kim"),
            ("kim%3Bx", "kim%3Bx"),
            (";x", ";x"),
            ("", ""),
        ];
        for (user, number) in table {
            assert_eq!(of_user_part(user), number, "{user}");
        }
    }

    #[test]
    fn a_dialled_number_has_no_separators() {
        let table = [
            ("+1 (202) 555-0123", "+12025550123"),
            ("0202/555.01-23", "02025550123"),
            ("*77 #", "*77#"),
            ("ext. 12", "ext. 12"),
        ];
        for (text, expected) in table {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
