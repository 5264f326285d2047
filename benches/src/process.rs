//! What the kernel knows about a server process and its children: CPU time and resident memory.

use std::fs;
use std::time::Duration;

/// CPU time spent so far by all threads of `pid` and of its descendants.
///
/// The first field of `/proc/PID/task/*/schedstat`, in nanoseconds; kernel time is included, except
/// that on loopback the work of receiving is charged to whoever sends.
pub fn cpu_time(pid: u32) -> Duration {
    schedstat(pid, 0)
}

/// Time so far that threads of `pid` and of its descendants could have run, while the CPU was another's.
///
/// The second field of the same file. Where it is large the machine was not ours alone.
pub fn waited_for_cpu(pid: u32) -> Duration {
    schedstat(pid, 1)
}

/// CPU time spent so far by the thread that asks.
pub fn own_cpu_time() -> Duration {
    nanoseconds("/proc/thread-self/schedstat", 0)
}

/// Time so far that the thread that asks could have run, while the CPU was another's.
pub fn own_wait_for_cpu() -> Duration {
    nanoseconds("/proc/thread-self/schedstat", 1)
}

/// Resident memory of `pid` and of its descendants, in bytes.
///
/// From `smaps_rollup`, which counts pages; the figure in `status` lags behind.
pub fn resident_bytes(pid: u32) -> u64 {
    family(pid)
        .into_iter()
        .map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let rss = text.lines().find_map(|line| line.strip_prefix("Rss:"));
            let kibibytes = rss.and_then(|rest| rest.trim().strip_suffix("kB"));
            kibibytes
                .and_then(|n| n.trim().parse::<u64>().ok())
                .unwrap_or(0)
                * 1024
        })
        .sum()
}

/// How many files and connections this process may have open.
pub fn open_files_limit() -> u64 {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    soft.unwrap_or(u64::MAX)
}

/// `pid` and all its descendants, at this moment.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        for thread in numbers_in(&format!("/proc/{parent}/task")) {
            let path = format!("/proc/{parent}/task/{thread}/children");
            let text = fs::read_to_string(path).unwrap_or_default();
            found.extend(
                text.split_whitespace()
                    .filter_map(|n| n.parse::<u32>().ok()),
            );
        }
    }
    found
}

fn schedstat(pid: u32, field: usize) -> Duration {
    let threads = family(pid).into_iter().flat_map(|pid| {
        let threads = numbers_in(&format!("/proc/{pid}/task")).into_iter();
        threads.map(move |thread| format!("/proc/{pid}/task/{thread}/schedstat"))
    });
    threads.map(|path| nanoseconds(&path, field)).sum()
}

fn nanoseconds(schedstat: &str, field: usize) -> Duration {
    let text = fs::read_to_string(schedstat).unwrap_or_default();
    let field = text.split_whitespace().nth(field);
    Duration::from_nanos(field.and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn numbers_in(folder: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_computes_is_seen_to_use_cpu_and_memory() {
        let me = std::process::id();
        let before = cpu_time(me);
        let mut sum = 0u64;
        while cpu_time(me) < before + Duration::from_millis(5) {
            sum = sum.wrapping_mul(31).wrapping_add(7);
        }
        assert!(resident_bytes(me) > 100_000, "{sum}");
    }
}
