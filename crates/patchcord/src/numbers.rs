//! `patchcord numbers`: the inventory of numbers for sale, read from a CSV file.
//!
//! **Invariant: a file is imported as a whole or not at all;** every line that cannot be used is
//! reported.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use model::available::{AvailableNumber, Capabilities, NumberKind, Position, country};
use model::number::e164;

use crate::calls::open;
use crate::config::Config;
use crate::usage::WrongUsage;

/// Names of the columns.
const COLUMNS: [&str; 12] = [
    "phone_number",
    "country",
    "kind",
    "region",
    "locality",
    "rate_center",
    "lata",
    "postal_code",
    "latitude",
    "longitude",
    "capabilities",
    "cost",
];
const REQUIRED: [&str; 2] = ["phone_number", "country"];
/// Mistakes that are printed.
const MAX_MISTAKES: usize = 20;
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Maximum characters of a field.
const MAX_FIELD: usize = 200;

/// Imports a file into the inventory.
///
/// - `replace`: numbers that the file does not have are removed from the inventory
///
/// # Errors
/// If the file or the database cannot be used.
pub(crate) async fn import(config: &Config, file: &Path, replace: bool) -> Result<String> {
    let shown = file.display();
    let cannot = |why: String| WrongUsage(format!("cannot read {shown}: {why}"));
    let length = std::fs::metadata(file).map_err(|error| cannot(error.to_string()))?;
    if length.len() > MAX_BYTES {
        return Err(cannot(format!("it is larger than {MAX_BYTES} bytes")).into());
    }
    let bytes = std::fs::read(file).map_err(|error| cannot(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8 text".to_owned()))?;
    let numbers = parse(&text).map_err(|mistakes| {
        let count = mistakes.len();
        let mut lines: Vec<_> = mistakes.into_iter().take(MAX_MISTAKES).collect();
        if count > MAX_MISTAKES {
            lines.push(format!("and {} more", count - MAX_MISTAKES));
        }
        let lines = lines.join("\n  ");
        WrongUsage(format!("nothing was imported from {shown}:\n  {lines}"))
    })?;
    open(config)
        .await?
        .import_numbers(&numbers, replace)
        .await?;
    Ok(format!("{} numbers imported\n", numbers.len()))
}

/// The numbers of a CSV text (RFC 4180) whose first line names the columns.
///
/// # Errors
/// Every mistake, with its line.
fn parse(text: &str) -> Result<Vec<AvailableNumber>, Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = records(text).map_err(|mistake| vec![mistake])?.into_iter();
    let Some((_, head)) = records.next() else {
        return Err(vec!["the file is empty".to_owned()]);
    };
    let head = columns(&head)?;
    let (mut numbers, mut mistakes) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (line, record) in records {
        let mut wrong = |text: String| mistakes.push(format!("line {line}: {text}"));
        if record.len() != head.len() {
            let (has, needs) = (record.len(), head.len());
            wrong(format!("{has} fields instead of {needs}"));
            continue;
        }
        match number(&head, &record) {
            Err(text) => wrong(text),
            Ok(number) if !seen.insert(number.phone_number.clone()) => {
                wrong(format!("{} is in the file twice", number.phone_number));
            }
            Ok(number) => numbers.push(number),
        }
    }
    if mistakes.is_empty() {
        Ok(numbers)
    } else {
        Err(mistakes)
    }
}

/// The known columns of a first line, in its order.
fn columns(head: &[String]) -> Result<Vec<&'static str>, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut found: Vec<&'static str> = Vec::new();
    for name in head {
        let name = name.trim().to_ascii_lowercase();
        match COLUMNS.iter().find(|column| **column == name) {
            Some(column) if found.contains(column) => {
                mistakes.push(format!("line 1: the column `{column}` is there twice"));
            }
            Some(column) => found.push(column),
            None => mistakes.push(format!(
                "line 1: `{name}` is not a column; the columns are {}",
                COLUMNS.join(", ")
            )),
        }
    }
    for name in REQUIRED.iter().filter(|name| !found.contains(name)) {
        mistakes.push(format!("line 1: the column `{name}` is missing"));
    }
    if mistakes.is_empty() {
        Ok(found)
    } else {
        Err(mistakes)
    }
}

/// The number of a line.
fn number(head: &[&str], record: &[String]) -> Result<AvailableNumber, String> {
    let field = |name: &str| {
        let at = head.iter().position(|column| *column == name)?;
        let text = record.get(at)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    if let Some(long) = record.iter().find(|text| text.chars().count() > MAX_FIELD) {
        let start: String = long.chars().take(20).collect();
        return Err(format!("`{start}…` has more than {MAX_FIELD} characters"));
    }
    let phone_number = field("phone_number").ok_or("the number is missing")?;
    let code = field("country").ok_or("the country is missing")?;
    let degrees = |name: &str| match field(name) {
        None => Ok(None),
        Some(text) => match text.parse::<f64>() {
            Ok(degrees) => Ok(Some(degrees)),
            Err(_) => Err(format!("the {name} `{text}` is not a number")),
        },
    };
    let position = match (degrees("latitude")?, degrees("longitude")?) {
        (None, None) => None,
        (Some(latitude), Some(longitude)) => Some(
            Position::from_degrees(latitude, longitude)
                .ok_or_else(|| format!("there is no place at {latitude}, {longitude}"))?,
        ),
        (Some(_), None) | (None, Some(_)) => {
            return Err("give both latitude and longitude, or neither".to_owned());
        }
    };
    Ok(AvailableNumber {
        phone_number: e164(&phone_number).ok_or_else(|| {
            format!("`{phone_number}` is not a number with `+` and its country code")
        })?,
        country: country(&code)
            .ok_or_else(|| format!("`{code}` is not an ISO code of two letters"))?,
        kind: match field("kind") {
            None => NumberKind::Local,
            Some(text) => text
                .parse()
                .map_err(|error| format!("`{text}` is not a kind: {error}"))?,
        },
        region: field("region"),
        locality: field("locality"),
        rate_center: field("rate_center"),
        lata: field("lata"),
        postal_code: field("postal_code"),
        position,
        can: capabilities(field("capabilities").as_deref().unwrap_or("voice"))?,
        cost: field("cost"),
    })
}

fn capabilities(text: &str) -> Result<Capabilities, String> {
    let mut can = Capabilities::default();
    for word in text.split_whitespace() {
        let known = match word {
            "voice" => &mut can.voice,
            "sms" => &mut can.sms,
            "mms" => &mut can.mms,
            "fax" => &mut can.fax,
            "ussd" => &mut can.ussd,
            _ => {
                return Err(format!(
                    "`{word}` is not one of voice, sms, mms, fax and ussd"
                ));
            }
        };
        *known = true;
    }
    Ok(can)
}

/// The records of a CSV text, each with the number of its first line. Empty lines are skipped.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut first_line) = (1, 1);
    let (mut quoted, mut was_quoted) = (false, false);
    let mut chars = text.chars().peekable();
    loop {
        let next = chars.next();
        match next {
            Some('"') if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            Some('"') if quoted => quoted = false,
            Some('"') if field.trim().is_empty() && !was_quoted => {
                field.clear();
                (quoted, was_quoted) = (true, true);
            }
            Some('"') => return Err(format!("line {line}: a quotation mark inside a field")),
            None if quoted => {
                return Err(format!(
                    "line {first_line}: a quotation mark that is never closed"
                ));
            }
            Some(c) if quoted => {
                line += usize::from(c == '\n');
                field.push(c);
            }
            Some(',') => {
                record.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            Some('\n') | None => {
                record.push(std::mem::take(&mut field));
                was_quoted = false;
                let record = std::mem::take(&mut record);
                if record.len() > 1 || record.iter().any(|text| !text.trim().is_empty()) {
                    records.push((first_line, record));
                }
                if next.is_none() {
                    return Ok(records);
                }
                line += 1;
                first_line = line;
            }
            Some('\r') => {}
            Some(c) => field.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers() {
        let text = "\u{feff}Phone_Number,country,kind,region,locality,latitude,longitude,capabilities,cost\r\n\
            +1 501 555-0100,us,,AR,\"Little Rock, \"\"AR\"\"\",34.75,-92.25,voice sms,1.00\r\n\
            \n\
            +448081570000,GB,toll-free,,,,,,\n";
        let numbers = parse(text).unwrap();
        assert_eq!(numbers.len(), 2);
        let first = &numbers[0];
        assert_eq!(first.phone_number, "+15015550100");
        assert_eq!(
            (first.country.as_str(), first.kind),
            ("US", NumberKind::Local)
        );
        assert_eq!(first.locality.as_deref(), Some("Little Rock, \"AR\""));
        assert_eq!(first.position, Position::from_degrees(34.75, -92.25));
        assert!(first.can.voice && first.can.sms && !first.can.mms);
        assert_eq!(first.cost.as_deref(), Some("1.00"));
        let second = &numbers[1];
        assert_eq!((second.kind, second.position), (NumberKind::TollFree, None));
        assert!(second.can.voice && !second.can.sms);
    }

    #[test]
    fn names_every_mistake_with_its_line() {
        let head = "phone_number,country,kind,latitude,longitude,capabilities";
        let table = [
            ("", "the file is empty"),
            ("phone_number,contry", "line 1: `contry` is not a column"),
            ("phone_number", "line 1: the column `country` is missing"),
            (
                "country,country,phone_number",
                "line 1: the column `country` is there twice",
            ),
            ("{head}\n5,US,,,,", "line 2: `5` is not a number"),
            ("{head}\n,US,,,,", "line 2: the number is missing"),
            (
                "{head}\n\n+15015550100,USA,,,,",
                "line 3: `USA` is not an ISO code",
            ),
            (
                "{head}\n+15015550100,US,big,,,",
                "line 2: `big` is not a kind",
            ),
            (
                "{head}\n+15015550100,US,,1,,",
                "line 2: give both latitude and longitude, or neither",
            ),
            (
                "{head}\n+15015550100,US,,91,1,",
                "line 2: there is no place",
            ),
            (
                "{head}\n+15015550100,US,,x,1,",
                "line 2: the latitude `x` is not a number",
            ),
            (
                "{head}\n+15015550100,US,,,,tv",
                "line 2: `tv` is not one of",
            ),
            ("{head}\n+15015550100,US", "line 2: 2 fields instead of 6"),
            (
                "{head}\n+15015550100,US,,,,\n+1 5015550100,US,,,,",
                "line 3: +15015550100 is in the file twice",
            ),
            (
                "{head}\n\"+15015550100,US",
                "line 2: a quotation mark that is never closed",
            ),
            (
                "{head}\n+1501\"5550100\",US,,,,",
                "line 2: a quotation mark inside a field",
            ),
        ];
        for (text, expected) in table {
            let mistakes = parse(&text.replace("{head}", head)).unwrap_err();
            assert!(mistakes[0].starts_with(expected), "{text}: {mistakes:?}");
        }
        let two = format!("{head}\n5,US,,,,\n+15015550100,x,,,,");
        assert_eq!(parse(&two).unwrap_err().len(), 2);
    }
}
