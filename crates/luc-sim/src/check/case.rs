//! A case: everything that a seed decides.

use std::sync::Arc;

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};
use luc_dvms::{Style, star};
use luc_overlay::search;

use crate::fault::{Fault, Schedule};
use crate::index::NodeIndex;
use crate::network::RoundTrips;
use crate::trace::{Generator, Phase};
use crate::trace::{Load, Trace};
use crate::world::{HostClass, VmClass};

/// Loads and faults come and go for so long.
const TROUBLED: Duration = Duration::from_secs(120);
/// Then all heals, and so long is given to come to rest.
const RESTING: Duration = Duration::from_secs(60);
/// Every kind of fault, and how many of them a case has at the least.
const KINDS: u64 = 8;
const KINDS_MIN: usize = 3;

/// A fault with its beginning and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When it begins.
    pub at: Instant,
    /// How long it lasts.
    pub length: Duration,
    /// Its beginning.
    pub begin: Fault,
    /// Its end; absent if it needs none.
    pub end: Option<Fault>,
}

/// One case of the fuzzer.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it was drawn from.
    pub seed: u64,
    /// The cloud and its load.
    pub trace: Arc<Trace>,
    /// How far nodes are from each other.
    pub round_trips: RoundTrips,
    /// Whether nodes know of each other by membership, not from a directory.
    pub membership: bool,
    /// Which overlay finds neighbours.
    pub search: search::Config,
    /// The settings of the scheduler, tight enough for limits to be met.
    pub scheduler: star::Config,
    /// The faults.
    pub troubles: Vec<Trouble>,
}

/// Draws numbers for a case.
struct Dice(SplitMix64);

impl Dice {
    /// From `low` to `high`, both possible.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.next_u64() % (high - low + 1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.between(0, 99) < percent
    }

    fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    fn node(&mut self, nodes: u32) -> NodeIndex {
        NodeIndex(self.between(0, u64::from(nodes) - 1) as u32)
    }
}

impl Case {
    /// The case of `seed`.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice(SplitMix64::new(seed ^ 0x6675_7A7A));
        // Where messages are late, doubled and held up all at once, the rarest ones meet.
        let storm = dice.chance(80);
        // Small clouds are more often right next to a limit, so they are drawn more often.
        let most = if dice.chance(75) { 24 } else { 64 };
        let nodes = dice.between(if storm { 10 } else { 4 }, most) as u32;
        let sites = dice.between(1, 3).min(u64::from(nodes) / 2) as u32;
        let between = dice.millis(2, 100);
        let round_trips = RoundTrips::sites(sites as u16, Duration::from_micros(300), between);
        let membership = storm || dice.chance(20);
        let search = search(&mut dice, storm);
        let trace = Arc::new(trace(&mut dice, (seed, storm), nodes, sites));
        let scheduler = scheduler(&mut dice, storm);
        let troubles = troubles(&mut dice, nodes, storm);
        Self {
            seed,
            trace,
            round_trips,
            membership,
            search,
            scheduler,
            troubles,
        }
    }

    /// The faults in the order of their times.
    pub fn schedule(&self) -> Schedule {
        let mut schedule = Schedule::none();
        for trouble in &self.troubles {
            schedule.add(trouble.at, trouble.begin.clone());
            if let Some(end) = &trouble.end {
                schedule.add(trouble.at + trouble.length, end.clone());
            }
        }
        schedule
    }
}

fn search(dice: &mut Dice, storm: bool) -> search::Config {
    let kind = match dice.between(0, if storm { 1 } else { 3 }) {
        0 => search::Kind::Random,
        1 => search::Kind::Chord {
            assignment: search::Assignment::Hashed,
        },
        _ => search::Kind::Spiral,
    };
    search::Config {
        kind,
        ..search::Config::default()
    }
}

fn scheduler(dice: &mut Dice, storm: bool) -> star::Config {
    // Who grows by one or two nodes at a time grows long, and meets others that do.
    let (first, next) = if storm { (2, 2) } else { (4, 6) };
    let cap = dice.between(if storm { 6 } else { 3 }, 16) as u16;
    star::Config {
        first_group: dice.between(1, first) as u16,
        next_group: dice.between(1, next) as u16,
        cap,
        second_cap: cap * 2,
        cool_down: Duration::from_secs(dice.between(5, 60)),
        style: if dice.chance(60) {
            Style::Published
        } else {
            star::Config::default().style
        },
        ..star::Config::default()
    }
}

/// Loads near or above what the cloud can serve, changing often; low at the end.
fn trace(dice: &mut Dice, (seed, storm): (u64, bool), nodes: u32, sites: u32) -> Trace {
    let share = |site| nodes / sites + u32::from(site < nodes % sites);
    let per_node = dice.between(4, 10) as u32;
    let cpu = per_node * 70;
    let generator = Generator {
        sites: (0..sites).map(share).collect(),
        vms: nodes * per_node,
        host: HostClass {
            cpu,
            memory_mib: u64::from(per_node) * 1_024 * 2,
            ..HostClass::VMPLACES
        },
        // Small machines move fast, so that orders of one partition are late in the next.
        vm_classes: [128, 256, 512, 1_024]
            .map(|memory_mib| VmClass {
                memory_mib: if storm { memory_mib / 8 } else { memory_mib },
                disk_mib: 0,
                dirty_permille: 300,
            })
            .to_vec(),
        change_every: Duration::from_secs(dice.between(8, if storm { 20 } else { 60 })),
        phases: vec![Phase {
            until: Duration::MAX,
            // With room left somewhere, partitions that meet are solved together.
            mean: dice.between(if storm { 55 } else { 45 }, if storm { 70 } else { 75 }) as f64,
            deviation: dice.between(if storm { 30 } else { 15 }, 40) as f64,
        }],
        site_means: Vec::new(),
        duration: TROUBLED,
        seed,
    };
    let mut trace = generator.generate().unwrap_or_else(|_| empty(nodes));
    let end_us = TROUBLED.as_micros() as u64;
    trace.loads.extend((0..trace.header.vms).map(|vm| Load {
        at_us: end_us,
        vm,
        cpu: 20,
    }));
    trace.header.duration_ms = (TROUBLED + RESTING).as_millis() as u64;
    trace
}

/// A cloud without machines; what is drawn above is always possible, so it is never used.
fn empty(nodes: u32) -> Trace {
    let mut generator = Generator::vmplaces(vec![nodes], 0, 0);
    generator.duration = TROUBLED;
    generator.generate().unwrap_or_else(|_| Trace {
        header: crate::trace::Header {
            format: crate::trace::FORMAT.into(),
            version: crate::trace::VERSION,
            description: String::new(),
            sites: vec![nodes],
            host_classes: vec![HostClass::VMPLACES],
            hosts: Vec::new(),
            vm_classes: Vec::new(),
            vms: 0,
            duration_ms: 1,
        },
        placement: Vec::new(),
        loads: Vec::new(),
    })
}

/// At least three kinds of fault, each once or more.
fn troubles(dice: &mut Dice, nodes: u32, storm: bool) -> Vec<Trouble> {
    let mut kinds: Vec<u64> = Vec::new();
    let wanted = KINDS_MIN + usize::from(storm) + dice.between(0, 2) as usize;
    if storm {
        kinds.extend([1, 2, 3]);
    } else if dice.chance(40) {
        kinds.extend([2, 3]);
    }
    while kinds.len() < wanted {
        let kind = dice.between(0, KINDS - 1);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let mut troubles: Vec<Trouble> = Vec::new();
    for kind in kinds {
        for _ in 0..dice.between(1, 4) {
            let one = trouble(dice, kind, nodes);
            // Two faults of one kind at one node, or of one kind in the network, do not overlap:
            // the end of the first would end the second.
            let overlaps = troubles.iter().any(|other| {
                let same = other.begin.kind() == one.begin.kind()
                    && other.begin.node() == one.begin.node();
                same && other.at <= one.at + one.length && one.at <= other.at + other.length
            });
            if !overlaps {
                troubles.push(one);
            }
        }
    }
    if dice.chance(20) {
        let node = dice.node(nodes);
        let (at, length) = times(dice, 5_000, 60_000);
        troubles.push(Trouble {
            at,
            length,
            begin: Fault::Maintenance { node, on: true },
            end: Some(Fault::Maintenance { node, on: false }),
        });
    }
    troubles
}

/// A time within the trouble, and a length that ends within it.
fn times(dice: &mut Dice, low_ms: u64, high_ms: u64) -> (Instant, Duration) {
    let length = dice.millis(low_ms, high_ms);
    let last = TROUBLED.saturating_sub(length).as_millis() as u64;
    let at = Instant::ORIGIN + dice.millis(1_000, last.max(1_001));
    (at, length)
}

fn trouble(dice: &mut Dice, kind: u64, nodes: u32) -> Trouble {
    let (at, length) = match kind {
        // A pause or a split of about the length of a lease is the most interesting.
        4 | 6 => times(dice, 500, 15_000),
        5 => times(dice, 1_000, 30_000),
        // Late and doubled messages are the more telling the longer they go on.
        1..=3 => times(dice, 20_000, 110_000),
        _ => times(dice, 2_000, 60_000),
    };
    let node = dice.node(nodes);
    let (begin, end) = match kind {
        0 => {
            let ppm = dice.between(10_000, 400_000) as u32;
            (Fault::Loss { ppm }, Some(Fault::Loss { ppm: 0 }))
        }
        1 => {
            let micros = dice.between(1_000, 500_000);
            (Fault::Delay { micros }, Some(Fault::Delay { micros: 0 }))
        }
        2 => {
            let ppm = dice.between(50_000, 600_000) as u32;
            let micros = dice.between(1_000, 8_000_000);
            let over = Fault::Reorder { ppm: 0, micros: 0 };
            (Fault::Reorder { ppm, micros }, Some(over))
        }
        3 => {
            let ppm = dice.between(300_000, 900_000) as u32;
            (Fault::Duplicate { ppm }, Some(Fault::Duplicate { ppm: 0 }))
        }
        4 => (Fault::Pause(node), Some(Fault::Resume(node))),
        5 => (Fault::Crash(node), Some(Fault::Restart(node))),
        6 => {
            let sides = (0..nodes).map(|_| dice.between(0, 1) as u8).collect();
            (Fault::Split { sides }, Some(Fault::Heal))
        }
        _ => {
            let fast_ppm = dice.between(0, 40_000) as i32 - 20_000;
            let ahead_micros = if dice.chance(30) {
                dice.between(0, 10_000_000)
            } else {
                0
            };
            let skew = Fault::Skew {
                node,
                ahead_micros,
                fast_ppm,
            };
            (skew, None)
        }
    };
    Trouble {
        at,
        length,
        begin,
        end,
    }
}
