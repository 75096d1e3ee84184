//! Measures a process from outside (`/proc`).
//!
//! **Invariant: every process is measured in the same way**, so that ratios count.

use std::collections::BTreeSet;

use anyhow::Context as _;

/// CPU time used by a process so far, in ms (`stat` counts in ticks of 10 ms).
///
/// # Errors
/// If the process does not exist.
pub fn cpu_ms(pid: u32) -> anyhow::Result<f64> {
    used_ms(&format!("/proc/{pid}/stat"))
}

/// CPU time used by a thread of this process so far, in ms.
///
/// # Errors
/// If the thread does not exist.
pub fn thread_cpu_ms(thread: u32) -> anyhow::Result<f64> {
    used_ms(&format!("/proc/self/task/{thread}/stat"))
}

/// The number of the calling thread, for [`thread_cpu_ms`]; 0 if the system does not know it.
pub fn this_thread() -> u32 {
    let link = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    name.parse().unwrap_or(0)
}

fn used_ms(path: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(path)?;
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
/// If the process does not exist.
pub fn rss_mb(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("VmRSS")?;
    let kib: f64 = line.split_whitespace().next().context("VmRSS")?.parse()?;
    Ok(kib / 1000.0)
}

/// The open sockets of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// Over UDP: the ports of SIP and of media.
    pub udp: usize,
    /// All others: connections, those that listen, and pairs inside the process.
    pub other: usize,
}

/// Counts the open sockets of a process.
///
/// # Errors
/// If there is no such process.
pub fn sockets(pid: u32) -> anyhow::Result<Sockets> {
    let mut datagram = BTreeSet::new();
    for table in ["udp", "udp6"] {
        // A machine without IPv6 has no such table.
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        let inodes = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().nth(9));
        datagram.extend(inodes.map(str::to_owned));
    }
    let mut found = Sockets { udp: 0, other: 0 };
    for file in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        // It may be closed by now.
        let Ok(link) = std::fs::read_link(file?.path()) else {
            continue;
        };
        let name = link.to_string_lossy();
        if let Some(inode) = name.strip_prefix("socket:[") {
            match datagram.contains(inode.trim_end_matches(']')) {
                true => found.udp += 1,
                false => found.other += 1,
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_measured_by_itself() {
        let busy = std::thread::spawn(|| {
            let (thread, start) = (this_thread(), std::time::Instant::now());
            while start.elapsed().as_millis() < 200 {}
            thread_cpu_ms(thread).unwrap()
        });
        let (idle, busy) = (thread_cpu_ms(this_thread()).unwrap(), busy.join().unwrap());
        assert!(busy >= idle + 30.0, "{busy} {idle}");
    }

    #[test]
    fn counts_sockets_by_kind() {
        let me = std::process::id();
        let before = sockets(me).unwrap();
        let udp: Vec<_> = (0..50)
            .map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let after = sockets(me).unwrap();
        assert_eq!(
            (after.udp, after.other),
            (before.udp + 50, before.other + 1)
        );
        drop((udp, listener));
        assert_eq!(sockets(me).unwrap(), before);
    }
}
