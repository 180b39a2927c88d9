//! What the reader of a measurement should know of the machine.

use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a block is made durable to see how fast the disk is.
const SYNCS: u32 = 20;

/// Rounds of the reference loop.
const ROUNDS: u64 = 50_000_000;

/// Name and value of each fact. Takes about a second; measures the disk that holds `dir`.
pub(super) fn facts(dir: &Path) -> Vec<(String, String)> {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    vec![
        fact("command", std::env::args().collect::<Vec<_>>().join(" ")),
        fact("program", format!("luc {}", env!("CARGO_PKG_VERSION"))),
        fact("processor", processor()),
        fact("cores", cores().to_string()),
        fact("memory", memory()),
        fact("kernel", kernel()),
        fact("reference loop", format!("{:.2} ns per round", reference())),
        fact("disk", disk(dir)),
    ]
}

/// How many threads are worth starting.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn line_of(file: &str, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    let (_, value) = line.split_once(':')?;
    Some(value.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn processor() -> String {
    line_of("/proc/cpuinfo", "model name").unwrap_or_else(unknown)
}

fn memory() -> String {
    line_of("/proc/meminfo", "MemTotal").unwrap_or_else(unknown)
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| unknown(), |text| text.trim().to_owned())
}

/// Nanoseconds for one round of a loop that nothing but the core's speed decides.
fn reference() -> f64 {
    let started = Instant::now();
    let mut value: u64 = 1;
    for round in 0..ROUNDS {
        value = black_box(
            value
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(round),
        );
    }
    black_box(value);
    started.elapsed().as_secs_f64() * 1e9 / ROUNDS as f64
}

fn disk(dir: &Path) -> String {
    let measured = || -> std::io::Result<Duration> {
        let mut file = tempfile::tempfile_in(dir)?;
        let started = Instant::now();
        for _ in 0..SYNCS {
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
        }
        Ok(started.elapsed())
    };
    measured().map_or_else(
        |_| unknown(),
        |took| format!("{:.0} fdatasync/s", f64::from(SYNCS) / took.as_secs_f64()),
    )
}

/// Forgets the greatest memory of the process so far, where the system lets it.
pub(super) fn forget_peak() {
    // Refused without proc or rights; then the peak is that of the whole process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The greatest memory of the process since [`forget_peak`], in gibibytes.
pub(super) fn peak_gib() -> Option<f64> {
    let text = line_of("/proc/self/status", "VmHWM")?;
    let kib: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_known_on_this_machine() {
        let facts = facts(&std::env::temp_dir());
        assert!(facts.iter().any(|(name, _)| name == "reference loop"));
        assert!(peak_gib().is_some_and(|gib| gib > 0.0));
    }
}
