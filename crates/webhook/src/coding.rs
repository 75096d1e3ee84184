//! Content codings (RFC 9110 §8.4.1): requests accept none, but some servers and proxies always
//! compress.
//!
//! **Invariant: the output is at most as long as a plain body may be.**

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::error::Problem;

/// The coding that a header names, in a form for messages; `None` if it names none.
pub(crate) fn named(header: &str) -> Option<String> {
    let name: String = header.trim().chars().take(40).collect();
    let name = name.to_ascii_lowercase();
    (!name.is_empty() && name != "identity").then_some(name)
}

/// Decodes a body.
///
/// - `coding`: from [`named`].
/// - `limit`: maximum bytes of output.
pub(crate) fn decode(coding: &str, body: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let decoded = match coding {
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(body), limit),
        // Some servers omit the zlib frame that the coding requires.
        "deflate" => {
            read(ZlibDecoder::new(body), limit).or_else(|_| read(DeflateDecoder::new(body), limit))
        }
        _ => Err(Unreadable),
    };
    match decoded {
        Ok(bytes) if bytes.len() > limit => Err(Problem::TooLarge { limit }),
        Ok(bytes) => Ok(bytes),
        Err(Unreadable) => Err(Problem::Coding {
            coding: coding.to_owned(),
        }),
    }
}

struct Unreadable;

/// Reads at most one byte more than allowed.
fn read(decoder: impl Read, limit: usize) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    let most = limit as u64 + 1;
    match decoder.take(most).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    #[test]
    fn codings_are_decoded_within_the_limit() {
        let text = [b'x'; 1000];
        let fast = Compression::fast();
        let mut gzip = GzEncoder::new(Vec::new(), fast);
        let mut zlib = ZlibEncoder::new(Vec::new(), fast);
        let mut raw = DeflateEncoder::new(Vec::new(), fast);
        for encoder in [&mut gzip as &mut dyn Write, &mut zlib, &mut raw] {
            encoder.write_all(&text).unwrap();
        }
        let gzip = gzip.finish().unwrap();
        let bodies = [
            ("gzip", gzip.clone()),
            ("x-gzip", gzip.clone()),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
        ];
        for (coding, body) in bodies {
            assert_eq!(decode(coding, &body, 1000).unwrap(), text, "{coding}");
            let over = decode(coding, &body, 999);
            assert_eq!(over, Err(Problem::TooLarge { limit: 999 }), "{coding}");
            assert!(
                decode(coding, &body[..body.len() / 2], 1000).is_err(),
                "{coding}"
            );
        }
        for (coding, body) in [("br", &gzip[..]), ("gzip, gzip", &gzip), ("gzip", b"<a/>")] {
            let coding = coding.to_owned();
            assert_eq!(decode(&coding, body, 1000), Err(Problem::Coding { coding }));
        }
    }

    #[test]
    fn names() {
        let table = [
            ("", None),
            (" Identity", None),
            ("GZIP ", Some("gzip")),
            ("br", Some("br")),
        ];
        for (header, name) in table {
            assert_eq!(named(header).as_deref(), name, "{header}");
        }
    }
}
