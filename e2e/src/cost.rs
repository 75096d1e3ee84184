//! What a process costs, read from outside (`/proc`).
//!
//! **Invariant: every process is measured in the same way**, so that ratios count.

use anyhow::Context as _;

/// CPU time of a process so far, in ms (`stat` counts in ticks of 10 ms).
///
/// # Errors
/// If there is no such process.
pub fn cpu_ms(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("stat")?;
    let ticks: Vec<f64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse().ok())
        .collect();
    Ok(ticks.iter().sum::<f64>() * 10.0)
}

/// Resident memory of a process, in MB.
///
/// # Errors
/// If there is no such process.
pub fn rss_mb(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("VmRSS")?;
    let kib: f64 = line.split_whitespace().next().context("VmRSS")?.parse()?;
    Ok(kib / 1000.0)
}
