//! The one log of a run: a header, then one entry per thing that happened, in the order of time.
//!
//! Every metric is computed from these entries and from nothing else, so whoever keeps the log can
//! compute them again. An entry is a JSON line; where the lines go is the caller's business, given
//! as a [`Sink`]: nowhere, into a hash, or wherever the caller writes.

use luc_core::time::Instant;
use luc_dvms::event::{Cause, PartitionEnd};
use luc_dvms::{Ballot, Reason};
use serde::Serialize;

use crate::fault::Fault;
use crate::index::{NodeIndex, VmIndex};
use crate::power::PowerModel;
use crate::world::HostState;

/// The name of the format, which opens every log.
pub const FORMAT: &str = "luc-sim-log";
/// Its version.
pub const VERSION: u32 = 1;

/// What a run was, with every constant that shapes its log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Header {
    /// Always [`FORMAT`].
    pub format: &'static str,
    /// Always [`VERSION`].
    pub version: u32,
    /// Which algorithm ran, with its settings, for people.
    pub algorithm: String,
    /// What all chance comes from.
    pub seed: u64,
    /// How many nodes each site has.
    pub sites: Vec<u32>,
    /// How many machines there are.
    pub vms: u32,
    /// Processor time that machines may use at each node, in hundredths of a core.
    pub capacity: Vec<u32>,
    /// How long the run lasts, in milliseconds.
    pub duration_ms: u64,
    /// How the trace was made.
    pub trace: String,
    /// What one search step of a solver takes in the simulated clock, in nanoseconds.
    pub solver_ns_per_step: u64,
    /// How often a host is sampled, in milliseconds.
    pub sample_ms: u64,
    /// How long a machine that was moved is left alone, in milliseconds.
    pub cool_down_ms: u64,
    /// What hosts draw.
    pub power: PowerModel,
}

/// A partition as the log names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Partition {
    /// The ballot's counter.
    pub counter: u64,
    /// Its leader.
    pub leader: NodeIndex,
}

impl From<Ballot> for Partition {
    fn from(ballot: Ballot) -> Self {
        Self {
            counter: ballot.counter,
            leader: NodeIndex::of_peer(ballot.leader),
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Entry {
    /// The machines at a host ask for so much from now on.
    Demand {
        /// The host.
        host: NodeIndex,
        /// Hundredths of a core.
        cpu: u32,
    },
    /// The machines at a host ask for more than it has.
    ViolationBegan {
        /// The host.
        host: NodeIndex,
    },
    /// They no longer do.
    ViolationEnded {
        /// The host.
        host: NodeIndex,
    },
    /// A target agreed to take a machine.
    Expected {
        /// The machine.
        vm: VmIndex,
        /// From where.
        source: NodeIndex,
        /// To where.
        target: NodeIndex,
        /// Under which ballot.
        partition: Partition,
    },
    /// A live migration began.
    MigrationBegan {
        /// The machine.
        vm: VmIndex,
        /// From where.
        source: NodeIndex,
        /// To where.
        target: NodeIndex,
        /// Under which ballot.
        partition: Partition,
        /// Why.
        reason: Reason,
        /// How many other sites nearer to the source than the target's had a host with room for
        /// the machine at that time, and no migration under way there; 0 within a site.
        nearer_sites: u16,
    },
    /// A live migration was refused by the hosts before it began.
    MigrationRefused {
        /// The machine.
        vm: VmIndex,
        /// From where.
        source: NodeIndex,
        /// To where.
        target: NodeIndex,
        /// Why.
        why: &'static str,
    },
    /// A live migration ended.
    MigrationEnded {
        /// The machine.
        vm: VmIndex,
        /// From where.
        source: NodeIndex,
        /// To where.
        target: NodeIndex,
        /// Under which ballot.
        partition: Partition,
        /// Whether the machine runs at the target.
        moved: bool,
        /// What was sent, in mebibytes.
        sent_mib: u32,
        /// How long it took, in milliseconds.
        took_ms: u32,
        /// How long the machine stood still, in microseconds.
        downtime_us: u32,
    },
    /// A host is in another state from now on.
    Power {
        /// The host.
        host: NodeIndex,
        /// The state.
        state: HostState,
    },
    /// A fault began or ended.
    Fault {
        /// Which.
        fault: Fault,
    },
    /// A node reserved itself.
    Reserved {
        /// The node.
        node: NodeIndex,
        /// For whom.
        partition: Partition,
        /// For how long in true time, in nanoseconds, if its clock goes on as it does.
        lease_ns: u64,
    },
    /// A node is free again.
    Freed {
        /// The node.
        node: NodeIndex,
        /// Whose it was.
        partition: Partition,
    },
    /// A partition began.
    Began {
        /// Which.
        partition: Partition,
        /// Why.
        cause: Cause,
    },
    /// A partition has these members now.
    Grew {
        /// Which.
        partition: Partition,
        /// All members, the leader among them.
        members: Vec<NodeIndex>,
    },
    /// A partition took another in.
    Absorbed {
        /// The taker.
        partition: Partition,
        /// The taken.
        taken: Partition,
    },
    /// A partition is led by another node, because its leader is gone.
    TookOver {
        /// The new one.
        partition: Partition,
        /// The old one.
        from: Partition,
    },
    /// A partition reached the greatest size.
    CapReached {
        /// Which.
        partition: Partition,
    },
    /// A solver was asked.
    Computed {
        /// For which partition.
        partition: Partition,
        /// Hosts.
        hosts: u32,
        /// Search steps.
        steps: u64,
        /// Whether a valid configuration was found.
        solved: bool,
    },
    /// A plan will be carried out.
    Planned {
        /// Whose.
        partition: Partition,
        /// How many migrations.
        steps: u32,
        /// Memory sent at the least, in mebibytes.
        memory_mib: u64,
    },
    /// A partition ended.
    Ended {
        /// Which.
        partition: Partition,
        /// How.
        end: PartitionEnd,
        /// Its members at the end.
        members: Vec<NodeIndex>,
    },
    /// A lease ended while migrations ordered under it were under way.
    LeaseExpired {
        /// At which node.
        node: NodeIndex,
        /// Of which reservation.
        partition: Partition,
    },
    /// A node did not act upon an input.
    Ignored {
        /// The node.
        node: NodeIndex,
        /// What kind of input.
        input: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// At the end of the run: what a node sent.
    Traffic {
        /// The node.
        node: NodeIndex,
        /// Messages.
        messages: u64,
        /// Bytes.
        bytes: u64,
    },
    /// The run ended.
    Finished,
}

/// An entry with its time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// When, in nanoseconds since the beginning.
    pub at: Instant,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
}

/// Where the log goes.
pub trait Sink {
    /// Takes the header, first.
    fn header(&mut self, header: &Header);
    /// Takes the next record.
    fn record(&mut self, record: &Record);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl Sink for NoSink {
    fn header(&mut self, _header: &Header) {}
    fn record(&mut self, _record: &Record) {}
}

/// Hands each line, without its end, to the caller.
pub struct Lines<F: FnMut(&str)> {
    line: F,
    buffer: Vec<u8>,
}

impl<F: FnMut(&str)> Lines<F> {
    /// Hands each line to `line`.
    pub const fn new(line: F) -> Self {
        Self {
            line,
            buffer: Vec::new(),
        }
    }

    fn write(&mut self, value: &impl Serialize) {
        self.buffer.clear();
        // Only numbers, strings and lists of them are written, which always have a JSON form.
        if serde_json::to_writer(&mut self.buffer, value).is_ok()
            && let Ok(text) = std::str::from_utf8(&self.buffer)
        {
            (self.line)(text);
        }
    }
}

impl<F: FnMut(&str)> Sink for Lines<F> {
    fn header(&mut self, header: &Header) {
        self.write(header);
    }

    fn record(&mut self, record: &Record) {
        self.write(record);
    }
}

/// A running hash over the lines of a log (FNV-1a, 64 bits): equal logs have equal hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHash(pub u64);

impl Default for LogHash {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl LogHash {
    /// Takes a line without its end.
    pub fn line(&mut self, line: &str) {
        for byte in line.bytes().chain([b'\n']) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
}
