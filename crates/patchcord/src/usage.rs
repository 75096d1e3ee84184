//! Errors for the user of the command line.
//!
//! **Invariant: a cause is reported once**, and wrong usage is distinguished from failures, which
//! have another exit code (`docs/operating.md`).

use std::fmt;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;

/// The request refers to something missing or impossible: a call that is not recorded, a folder
/// that does not exist.
#[derive(Debug)]
pub(crate) struct WrongUsage(pub(crate) String);

impl fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// What to do about an address that cannot be listened on: a port that another process has, or an
/// address of another machine. Empty if something else is wrong.
///
/// - `setting`: key of the address in the section `server`, and its flag
pub(crate) fn bind_advice(error: &std::io::Error, address: SocketAddr, setting: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "; another process, perhaps another Patchcord, has port {port}: find it with `ss -lntup | grep \
             :{port}` and stop it, or choose another port with `--{setting}` or `server.{setting}`"
        ),
        ErrorKind::AddrNotAvailable => format!(
            "; {ip} is not an address of this machine: `ip address` lists the valid ones; set one with `--{setting}` or \
             `server.{setting}`"
        ),
        _ => String::new(),
    }
}

/// The reader of the output, such as `head`, has read enough: there is nothing left to do.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of the output is gone")
    }
}

impl std::error::Error for ReaderGone {}

/// Writes an output.
///
/// # Errors
/// [`ReaderGone`], or as reported by the system.
pub(crate) fn write(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        written => Ok(written?),
    }
}

/// An error with its causes, but for those that were said already.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said.push_str(": ");
            said.push_str(&cause);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let taken = || std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let bind = |at: &str| sip::BindError {
            transport: "UDP",
            address: at.parse().unwrap(),
            source: taken(),
        };
        let context: anyhow::Result<()> = Err(taken()).context("cannot listen");
        let table = [
            (
                anyhow::Error::new(bind("127.0.0.1:5060")),
                "cannot listen on UDP 127.0.0.1:5060: address in use",
            ),
            (context.unwrap_err(), "cannot listen: address in use"),
            (anyhow::anyhow!("alone"), "alone"),
        ];
        for (error, expected) in table {
            assert_eq!(sentence(&error), expected);
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_named_with_its_setting() {
        let address = "10.9.9.9:8080".parse().unwrap();
        let of = |kind: ErrorKind| bind_advice(&kind.into(), address, "http");
        let taken = of(ErrorKind::AddrInUse);
        for part in ["port 8080", "grep :8080", "`--http`", "`server.http`"] {
            assert!(taken.contains(part), "{part}: {taken}");
        }
        let elsewhere = of(ErrorKind::AddrNotAvailable);
        for part in ["10.9.9.9 is not an address of this machine", "`--http`"] {
            assert!(elsewhere.contains(part), "{part}: {elsewhere}");
        }
        assert_eq!(of(ErrorKind::PermissionDenied), "");
    }

    #[test]
    fn a_reader_that_has_read_enough_is_not_an_error() {
        struct Gone(ErrorKind);
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let of = |kind| write(&mut Gone(kind), "text").unwrap_err();
        assert!(of(ErrorKind::BrokenPipe).is::<ReaderGone>());
        assert!(!of(ErrorKind::StorageFull).is::<ReaderGone>());
    }

    #[test]
    fn wrong_usage_is_recognized() {
        let error = anyhow::Error::new(WrongUsage("there is no such call".to_owned()));
        assert!(error.is::<WrongUsage>());
        assert!(error.context("more").is::<WrongUsage>());
    }
}
