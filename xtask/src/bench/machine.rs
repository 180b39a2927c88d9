//! How fast this machine is at the moment: a fixed loop of the processor, and durable writes.
//!
//! Printed beside every measurement, and a measurement of its own (`machine`). Shared machines vary
//! by a factor of ten and more in durable writes; a figure without these facts says little.

use std::fmt;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Bench;
use super::figure::{Better, Figure};
use crate::workspace::Workspace;

/// Steps of the reference loop; two tenths of a second on a server of 2020.
const LOOP_STEPS: u32 = 100_000_000;
/// Bytes of one durable write, the size of a page.
const WRITE_LENGTH: usize = 4096;
/// How long durable writes are counted before other measurements.
const WRITE_TIME: Duration = Duration::from_millis(500);
/// How often each fact is measured when it is the measurement itself.
const RUNS: usize = 5;

/// The facts of a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Machine {
    /// The processor's name.
    processor: String,
    /// How many of them there are.
    processors: usize,
    /// Memory in MiB.
    memory_mib: u64,
    /// Runnable tasks, averaged over the last minute, before the measurement.
    load: f64,
    /// The reference loop, in milliseconds.
    loop_ms: f64,
    /// Durable writes per second, one after the other, in the directory of build output.
    fdatasync_per_second: f64,
}

impl Machine {
    /// Measures for about a second.
    pub(super) fn measure(workspace: &Workspace) -> Result<Self> {
        let load = read("/proc/loadavg")
            .split(' ')
            .next()
            .and_then(|load| load.parse().ok());
        Ok(Self {
            processor: processor(&read("/proc/cpuinfo")),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_mib(&read("/proc/meminfo")),
            load: load.unwrap_or_default(),
            loop_ms: loop_ms(),
            fdatasync_per_second: fdatasync_per_second(&workspace.target, WRITE_TIME)?,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            processors,
            memory_mib,
            load,
            loop_ms,
            fdatasync_per_second,
        } = self;
        write!(
            f,
            "{processors} × {processor}, {memory_mib} MiB, load {load:.2}, reference loop \
             {loop_ms:.0} ms, {fdatasync_per_second:.0} fdatasync/s"
        )
    }
}

/// The machine's own speed, as a measurement.
pub(super) struct MachineBench;

impl Bench for MachineBench {
    fn name(&self) -> &'static str {
        "machine"
    }

    fn question(&self) -> &'static str {
        "how fast is this machine at the moment, and how steady?"
    }

    fn protocol(&self) -> String {
        format!(
            "{RUNS} runs: a dependent chain of {LOOP_STEPS} integer steps on one processor, timed; \
             then writes of {WRITE_LENGTH} bytes at the end of one file, each followed by \
             fdatasync, counted for {} ms",
            WRITE_TIME.as_millis()
        )
    }

    fn run(&self, workspace: &Workspace) -> Result<Vec<Figure>> {
        let (mut loops, mut writes) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            loops.push(loop_ms());
            writes.push(fdatasync_per_second(&workspace.target, WRITE_TIME)?);
        }
        let figures = [
            Figure::of("reference loop", "ms", Better::Lower, &loops),
            Figure::of("durable writes", "fdatasync/s", Better::Higher, &writes),
        ];
        Ok(figures.into_iter().flatten().collect())
    }
}

/// The time of a chain of steps (xorshift64, Marsaglia 2003) of which each needs the one before.
fn loop_ms() -> f64 {
    let start = Instant::now();
    let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..LOOP_STEPS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
    start.elapsed().as_secs_f64() * 1000.0
}

fn fdatasync_per_second(directory: &Path, time: Duration) -> Result<f64> {
    let path = directory.join(format!("fdatasync-{}", std::process::id()));
    let count = write_durably(&path, time);
    // The file is of no use to anybody; that it is gone already would be no harm.
    let _ = fs::remove_file(&path);
    count.with_context(|| format!("writing {}", path.display()))
}

fn write_durably(path: &Path, time: Duration) -> std::io::Result<f64> {
    let mut file = File::create(path)?;
    let page = [0x5a; WRITE_LENGTH];
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < time {
        file.write_all(&page)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// A file of the kernel; empty where there is none.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn processor(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line
        .and_then(|line| line.split_once(": "))
        .map(|(_, name)| name.trim());
    name.unwrap_or("unknown processor").to_owned()
}

fn memory_mib(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse().ok());
    kib.unwrap_or(0_u64) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durable_writes_are_counted_and_leave_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let rate = fdatasync_per_second(directory.path(), Duration::from_millis(20)).unwrap();
        assert!(rate > 0.0);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(fdatasync_per_second(&directory.path().join("gone"), WRITE_TIME).is_err());
    }

    #[test]
    fn the_kernels_words_are_read() {
        assert_eq!(
            processor("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n"),
            "A CPU @ 2 GHz"
        );
        assert_eq!(processor(""), "unknown processor");
        assert_eq!(memory_mib("MemFree: 1 kB\nMemTotal:       2048 kB\n"), 2);
        assert_eq!(memory_mib(""), 0);
    }
}
