//! Faults as data: what goes wrong, and when.
//!
//! A [`Schedule`] is written by hand in a test or scenario, or drawn from a seed by the fuzzer; the
//! simulation carries it out. A fault that ends is two entries: its beginning and its end.

use luc_core::time::{Duration, Instant};
use serde::{Deserialize, Serialize};

use crate::index::NodeIndex;

/// One change for the worse or for the better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Messages are lost with this chance from now on.
    Loss {
        /// In millionths.
        ppm: u32,
    },
    /// Every message takes longer by this from now on.
    Delay {
        /// In microseconds.
        micros: u64,
    },
    /// Messages are held up with this chance from now on.
    Reorder {
        /// In millionths.
        ppm: u32,
        /// For up to so long, in microseconds.
        micros: u64,
    },
    /// Messages arrive twice with this chance from now on.
    Duplicate {
        /// In millionths.
        ppm: u32,
    },
    /// The node's program stands still; its messages and timers wait. Its machines run on.
    Pause(NodeIndex),
    /// It goes on.
    Resume(NodeIndex),
    /// The node takes longer for everything it does.
    Slow {
        /// Which.
        node: NodeIndex,
        /// In microseconds per input; 0 ends it.
        micros: u64,
    },
    /// The node loses its power: memory is gone, what it made durable stays, its machines stop.
    Crash(NodeIndex),
    /// It starts again from what it made durable, and its machines go on.
    Restart(NodeIndex),
    /// Nodes reach those of their own side only; migrations across break off.
    Split {
        /// The side of each node.
        sides: Vec<u8>,
    },
    /// All nodes reach each other again.
    Heal,
    /// The node's clock jumps ahead and runs at another rate.
    Skew {
        /// Which.
        node: NodeIndex,
        /// How far it jumps, in microseconds.
        ahead_micros: u64,
        /// How much faster than true time it runs, in millionths.
        fast_ppm: i32,
    },
    /// The host is to be emptied, or no longer.
    Maintenance {
        /// Which.
        node: NodeIndex,
        /// Whether.
        on: bool,
    },
}

/// The names of kinds of fault, for counting how many kinds a schedule has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Lost messages.
    Loss,
    /// Late messages.
    Delay,
    /// Messages that pass each other.
    Reorder,
    /// Doubled messages.
    Duplicate,
    /// A program that stands still.
    Pause,
    /// A program that is slow.
    Slow,
    /// A node without power.
    Crash,
    /// A network in parts.
    Split,
    /// A clock that is wrong.
    Skew,
    /// A host in maintenance.
    Maintenance,
}

impl Fault {
    /// Of which kind it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Loss { .. } => Kind::Loss,
            Self::Delay { .. } => Kind::Delay,
            Self::Reorder { .. } => Kind::Reorder,
            Self::Duplicate { .. } => Kind::Duplicate,
            Self::Pause(_) | Self::Resume(_) => Kind::Pause,
            Self::Slow { .. } => Kind::Slow,
            Self::Crash(_) | Self::Restart(_) => Kind::Crash,
            Self::Split { .. } | Self::Heal => Kind::Split,
            Self::Skew { .. } => Kind::Skew,
            Self::Maintenance { .. } => Kind::Maintenance,
        }
    }

    /// The node it is about, if it is about one.
    pub const fn node(&self) -> Option<NodeIndex> {
        match self {
            Self::Pause(node)
            | Self::Resume(node)
            | Self::Crash(node)
            | Self::Restart(node)
            | Self::Slow { node, .. }
            | Self::Skew { node, .. }
            | Self::Maintenance { node, .. } => Some(*node),
            Self::Loss { .. }
            | Self::Delay { .. }
            | Self::Reorder { .. }
            | Self::Duplicate { .. }
            | Self::Split { .. }
            | Self::Heal => None,
        }
    }
}

/// When what goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The faults, in the order of their times.
    faults: Vec<(Instant, Fault)>,
}

impl Schedule {
    /// Nothing goes wrong.
    pub const fn none() -> Self {
        Self { faults: Vec::new() }
    }

    /// Adds a fault at `at`, after those of the same time.
    pub fn add(&mut self, at: Instant, fault: Fault) {
        let place = self.faults.partition_point(|(time, _)| *time <= at);
        self.faults.insert(place, (at, fault));
    }

    /// Adds a fault that begins at `at` and is taken back by `end` after `length`.
    pub fn add_pair(&mut self, at: Instant, length: Duration, begin: Fault, end: Fault) {
        self.add(at, begin);
        self.add(at + length, end);
    }

    /// The faults, in the order of their times.
    pub fn faults(&self) -> &[(Instant, Fault)] {
        &self.faults
    }

    /// The kinds of fault in it, each once, in order.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.faults.iter().map(|(_, fault)| fault.kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_kept_in_the_order_of_their_times() {
        let mut schedule = Schedule::none();
        let second = |count: u64| Instant::from_nanos(count * 1_000_000_000);
        let crash = Fault::Crash(NodeIndex(1));
        let restart = Fault::Restart(NodeIndex(1));
        schedule.add(second(3), Fault::Heal);
        schedule.add_pair(
            second(1),
            Duration::from_secs(4),
            crash.clone(),
            restart.clone(),
        );
        let order: Vec<&Fault> = schedule.faults().iter().map(|(_, fault)| fault).collect();
        assert_eq!(order, [&crash, &Fault::Heal, &restart]);
        assert_eq!(schedule.kinds(), [Kind::Crash, Kind::Split]);
    }
}
