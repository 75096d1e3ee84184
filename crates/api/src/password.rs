//! How hard a password is to guess, as a score from 0 to 100. 50 is enough.

use crate::failure::Failure;

const ENOUGH: u32 = 50;
const SYMBOLS: &str = "$%&'()*+,-./:;<=>?{|}~!^_`[]";
/// Characters next to each other on a keyboard's top row, and in the alphabet.
const SEQUENCES: [&str; 3] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "\\!@#$%&/()=?¿",
];

/// Refuses a weak password.
pub(crate) fn check(password: &str) -> Result<(), Failure> {
    if score(password) >= ENOUGH {
        Ok(())
    } else {
        Err(Failure::parameter(
            "Password",
            "too weak: use at least ten characters with upper case, lower case and digits, without \
             repetitions or sequences such as 123 or abc",
        ))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Symbol,
    Other,
}

fn class(c: char) -> Class {
    match c {
        'A'..='Z' => Class::Upper,
        'a'..='z' => Class::Lower,
        '0'..='9' => Class::Digit,
        c if SYMBOLS.contains(c) => Class::Symbol,
        _ => Class::Other,
    }
}

fn score(password: &str) -> u32 {
    let chars: Vec<char> = password.chars().take(200).collect();
    if chars.is_empty() {
        return 0;
    }
    let classes: Vec<Class> = chars.iter().map(|c| class(*c)).collect();
    let total = bonus(&classes) - penalty(&chars, &classes);
    // Rounded half up, then clamped; no password of 200 characters exceeds 32 bits.
    (total + 0.5).floor().clamp(0.0, 100.0) as u32
}

fn bonus(classes: &[Class]) -> f64 {
    let n = classes.len();
    let count = |wanted| classes.iter().filter(|class| **class == wanted).count();
    let (upper, lower) = (count(Class::Upper), count(Class::Lower));
    let (digits, symbols) = (count(Class::Digit), count(Class::Symbol));
    let inside = classes
        .iter()
        .take(n.saturating_sub(1))
        .skip(1)
        .filter(|class| matches!(class, Class::Digit | Class::Symbol))
        .count();
    let requirements = [upper, lower, digits, symbols]
        .iter()
        .filter(|count| **count > 0)
        .count()
        + usize::from(n >= 8);
    let mut total = 4 * n + 6 * symbols + 2 * inside;
    if upper > 0 {
        total += 2 * (n - upper);
    }
    if lower > 0 {
        total += 2 * (n - lower);
    }
    if upper + lower > 0 {
        total += 4 * digits;
    }
    if requirements >= 3 {
        total += 2 * requirements;
    }
    total as f64
}

fn penalty(chars: &[char], classes: &[Class]) -> f64 {
    let n = chars.len();
    let pairs = classes
        .windows(2)
        .filter(|pair| pair[0] == pair[1] && !matches!(pair[0], Class::Symbol | Class::Other))
        .count();
    let lower: Vec<char> = chars.iter().map(char::to_ascii_lowercase).collect();
    let runs = lower.windows(3).filter(|run| is_sequence(run)).count();
    let mut total = 2 * pairs + 3 * runs;
    if classes.iter().all(|class| *class == Class::Digit)
        || chars.iter().all(char::is_ascii_alphabetic)
    {
        total += n;
    }
    let repeated = lower
        .iter()
        .filter(|c| lower.iter().filter(|other| other == c).count() > 1)
        .count();
    total as f64 + 10.0 * repeated as f64 / n as f64
}

fn is_sequence(run: &[char]) -> bool {
    let forwards: String = run.iter().collect();
    let backwards: String = run.iter().rev().collect();
    SEQUENCES
        .iter()
        .any(|sequence| sequence.contains(&forwards) || sequence.contains(&backwards))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_passwords_have_known_scores() {
        let table = [
            ("1234", 4),
            ("RestComm", 36),
            ("Restcomm2", 54),
            ("mynewpassword12", 51),
            ("1234asdf!@#", 75),
            ("RestComm12", 70),
            ("RestComm1234!", 100),
            ("", 0),
            // Following the advice in the refusal is enough.
            ("Kp7vRt2mXq", 84),
        ];
        for (password, expected) in table {
            assert_eq!(score(password), expected, "{password}");
        }
    }
}
