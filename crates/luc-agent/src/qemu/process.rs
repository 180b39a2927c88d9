//! Processes that outlive this one: how they are told apart, watched and ended.
//!
//! A process id alone says nothing, since ids come round again; together with the time the process
//! was started and the boot of the host it is unique. Signals go through a pidfd that was opened
//! before the identity was checked, so they never hit a stranger.

use std::fs;
use std::io;
use std::path::Path;

use luc_core::time::Duration;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process of one boot of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub(crate) pid: i32,
    /// When it was started, in clock ticks since the host's boot (`/proc/PID/stat`, field 22).
    start_ticks: u64,
    boot_id: String,
}

/// The present boot of this host.
pub(crate) fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

impl ProcessId {
    /// The process that has `pid` now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        Some(Self {
            pid,
            start_ticks: stat.start_ticks,
            boot_id: boot_id(),
        })
    }

    /// Whether it was started in the present boot of the host.
    pub(crate) fn is_of_this_boot(&self) -> bool {
        self.boot_id == boot_id()
    }

    /// Whether it still runs; one that has ended but was not waited for does not, unless some of
    /// its threads are still on their way out with its files open.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_of_this_boot()
            && Stat::read(self.pid).is_some_and(|stat| {
                let ended = matches!(stat.state, 'Z' | 'X') && stat.threads <= 1;
                stat.start_ticks == self.start_ticks && !ended
            })
    }

    /// Ends it at once; fine if it is gone.
    pub(crate) fn kill(&self) -> io::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(());
        };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !self.is_alive() {
            return Ok(());
        }
        match pidfd_send_signal(&fd, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until it has ended, at most `patience`; whether it has.
    pub(crate) async fn has_ended_within(&self, patience: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + patience;
        while self.is_alive() {
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// Processor time of all its threads, and its memory.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let stat = Stat::read(self.pid)?;
        // The second number is the resident part, in pages.
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.pid)).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        let page = rustix::param::page_size() as u64;
        Some(Usage {
            cpu_time: ticks(stat.cpu_ticks),
            memory_bytes: pages * page,
        })
    }

    /// Processor time of one of its threads.
    pub(crate) fn thread_time(&self, thread: i64) -> Option<Duration> {
        let path = format!("/proc/{}/task/{thread}/stat", self.pid);
        Stat::parse(&fs::read_to_string(path).ok()?).map(|stat| ticks(stat.cpu_ticks))
    }

    /// How long the thread was ready to run and had to wait for a processor: the second number of
    /// `schedstat` (Linux, Documentation/scheduler/sched-stats), in nanoseconds.
    pub(crate) fn thread_waited(&self, thread: i64) -> Option<Duration> {
        let path = format!("/proc/{}/task/{thread}/schedstat", self.pid);
        let text = fs::read_to_string(path).ok()?;
        let waited = text.split_whitespace().nth(1)?.parse().ok()?;
        Some(Duration::from_nanos(waited))
    }
}

/// What a process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) cpu_time: Duration,
    pub(crate) memory_bytes: u64,
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs_f64(count as f64 / per_second as f64)
}

struct Stat {
    state: char,
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The program's name is in parentheses and may contain any character.
    fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        // The fields of proc(5), counted from the third.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            state: rest.chars().next()?,
            cpu_ticks: number(14)? + number(15)?,
            threads: number(20)?,
            start_ticks: number(22)?,
        })
    }
}

/// The process that works in `directory` with `marker` as one of its arguments: how a machine is
/// found that was started just before the agent died.
pub(crate) fn find(directory: &Path, marker: &str) -> Option<ProcessId> {
    let directory = directory.canonicalize().ok()?;
    fs::read_dir("/proc")
        .ok()?
        .filter_map(Result::ok)
        .find_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let command = fs::read(entry.path().join("cmdline")).ok()?;
            let is_ours = command
                .split(|&byte| byte == 0)
                .any(|word| word == marker.as_bytes());
            if !is_ours || fs::read_link(entry.path().join("cwd")).ok()? != directory {
                return None;
            }
            ProcessId::of(pid).filter(ProcessId::is_alive)
        })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Seconds to sleep that nobody else on this machine would ask for.
    const MARKER: &str = "60.48151623";

    fn sleeper(directory: &Path) -> std::process::Child {
        let mut command = Command::new("sleep");
        command
            .arg(MARKER)
            .current_dir(directory)
            .stdin(Stdio::null());
        command.spawn().unwrap()
    }

    #[tokio::test]
    async fn a_process_is_found_by_its_directory_and_argument_and_can_be_ended() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = sleeper(directory.path());
        let id = ProcessId::of(child.id() as i32).unwrap();
        assert!(id.is_alive());
        // It is still this program until a moment after the fork.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while find(directory.path(), MARKER).is_none() {
            assert!(tokio::time::Instant::now() < deadline, "it is not found");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(find(directory.path(), MARKER), Some(id.clone()));
        assert_eq!(find(directory.path(), "61"), None);
        assert_eq!(find(Path::new("/"), MARKER), None);
        assert!(id.usage().unwrap().memory_bytes > 0);
        assert!(!id.has_ended_within(Duration::from_millis(10)).await);
        id.kill().unwrap();
        // Nobody has waited for it yet: it is a zombie, and counts as ended.
        assert!(id.has_ended_within(Duration::from_secs(5)).await);
        child.wait().unwrap();
        id.kill().unwrap();
    }

    #[test]
    fn another_process_with_the_same_number_is_not_the_same() {
        let own = ProcessId::of(std::process::id() as i32).unwrap();
        let earlier = ProcessId {
            start_ticks: own.start_ticks - 1,
            ..own.clone()
        };
        let before_boot = ProcessId {
            boot_id: "another".into(),
            ..own.clone()
        };
        assert!(own.is_alive());
        assert!(!earlier.is_alive());
        assert!(!before_boot.is_alive());
        earlier.kill().unwrap();
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 11 22 0 0 20 0 1 0 12345 0 0";
        let stat = Stat::parse(stat).unwrap();
        assert_eq!(
            (stat.state, stat.cpu_ticks, stat.start_ticks),
            ('S', 33, 12345)
        );
    }
}
