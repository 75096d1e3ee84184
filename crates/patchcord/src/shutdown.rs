//! From signals to stages: the first SIGTERM or SIGINT drains, the second stops.
//!
//! **Invariant: stages only advance.** Left to the watchers: what each stage means.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

/// Sent for a write beyond the file size limit (`ulimit -f`); the same number on all Linux
/// architectures except MIPS and PA-RISC.
const SIGXFSZ: i32 = 25;

/// The stage of the process's life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Stage {
    /// New calls are accepted.
    Running,
    /// New calls are refused; those in progress continue.
    Draining,
    /// Everything ends.
    Stopping,
}

/// Starts watching for signals.
///
/// # Errors
/// If the system refuses the signal handlers.
pub(crate) fn watch_signals() -> io::Result<watch::Receiver<Stage>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Exceeding the file size limit would end the process. With a handler the write fails, as on a
    // full disk; programs that we start do not inherit it.
    drop(signal(SignalKind::from_raw(SIGXFSZ))?);
    let (stages, receiver) = watch::channel(Stage::Running);
    tokio::spawn(async move {
        for stage in [Stage::Draining, Stage::Stopping] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match stage {
                Stage::Draining => {
                    info!("draining: new calls are refused; a second signal stops the server")
                }
                Stage::Running | Stage::Stopping => info!("stopping"),
            }
            if stages.send(stage).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Waits until the process is at least at this stage.
pub(crate) async fn reached(stages: &mut watch::Receiver<Stage>, stage: Stage) {
    // The sender goes away only after the last stage.
    let _ = stages.wait_for(|current| *current >= stage).await;
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write as _};

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    /// Without the handler this ends the test's process.
    #[tokio::test]
    async fn a_file_beyond_the_limit_is_a_failed_write() {
        let _stages = watch_signals().unwrap();
        let before = getrlimit(Resource::Fsize);
        let low = Rlimit {
            current: Some(10_000),
            ..before
        };
        let mut file = tempfile::tempfile().unwrap();
        setrlimit(Resource::Fsize, low).unwrap();
        let written = file.write_all(&[0; 20_000]);
        setrlimit(Resource::Fsize, before).unwrap();
        assert_eq!(written.unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
