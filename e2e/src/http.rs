//! Just enough HTTP/1.1 for tests: one message at a time, bodies with a length.
//!
//! **Invariant: a message is read whole or not at all.** TLS and pipelining are not supported: all
//! peers are our own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Timeout for one read or write.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request or an answer.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Request line or status line.
    pub start: String,
    /// Header fields in order; names as sent.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Message {
    /// Value of the first header field of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Status of an answer; 0 for a request.
    pub fn status(&self) -> u16 {
        self.start
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0)
    }
}

/// Reads one message; without a length the body of an answer ends with the connection.
///
/// # Errors
/// If the connection breaks or the message is malformed.
pub fn read(stream: &TcpStream) -> anyhow::Result<Message> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let start = line(&mut reader)?;
    let mut message = Message {
        start,
        ..Message::default()
    };
    loop {
        let field = line(&mut reader)?;
        if field.is_empty() {
            break;
        }
        let (name, value) = field
            .split_once(':')
            .with_context(|| format!("no header: {field}"))?;
        message
            .headers
            .push((name.to_owned(), value.trim().to_owned()));
    }
    match message.header("content-length").map(str::parse::<usize>) {
        Some(Ok(length)) => {
            message.body = vec![0; length];
            reader.read_exact(&mut message.body)?;
        }
        Some(Err(_)) => bail!("bad content-length"),
        None if message.header("transfer-encoding").is_some() => {
            message.body = chunks(&mut reader)?
        }
        None if message.start.starts_with("HTTP/") => {
            reader.read_to_end(&mut message.body)?;
        }
        None => {}
    }
    Ok(message)
}

fn chunks(reader: &mut impl BufRead) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(reader)?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        line(reader)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn line(reader: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        bail!("connection closed");
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Writes one message; adds `Content-Length`.
///
/// # Errors
/// If the connection breaks.
pub fn write(mut stream: &TcpStream, message: &Message) -> anyhow::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut bytes = format!("{}\r\n", message.start).into_bytes();
    for (name, value) in &message.headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend(format!("Content-Length: {}\r\n\r\n", message.body.len()).into_bytes());
    bytes.extend(&message.body);
    stream.write_all(&bytes)?;
    Ok(())
}

/// Parameters of a query or form body.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// A form body from parameters.
pub fn form(pairs: &[(&str, &str)]) -> String {
    let encoded = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    encoded.collect::<Vec<_>>().join("&")
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                (byte as char).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_survive_the_way_there_and_back() {
        let given = [("From", "+1 555&x"), ("Ümlaut", "a=b%")];
        let read = pairs(&form(&given));
        let read: Vec<(&str, &str)> = read.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(read, given);
        assert_eq!(
            pairs("a=1+2&b"),
            [("a".into(), "1 2".into()), ("b".into(), String::new())]
        );
    }
}
