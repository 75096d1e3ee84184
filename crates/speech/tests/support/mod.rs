//! Shared by the tests that use small scripts.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Waits until the script that wrote this process id is gone.
pub(crate) async fn assert_killed(pid: &str) {
    assert!(!pid.trim().is_empty(), "the script ran");
    let process = Path::new("/proc").join(pid.trim());
    let deadline = Instant::now() + Duration::from_secs(5);
    while running(&process) {
        assert!(
            Instant::now() < deadline,
            "{} still runs",
            process.display()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// True unless the process is gone or is only waiting to be reaped.
fn running(process: &Path) -> bool {
    fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z"))
}
