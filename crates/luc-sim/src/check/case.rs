//! A case: everything that a seed decides.

use std::sync::Arc;

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};
use luc_dvms::{Choice, Style, relay, star};
use luc_overlay::search;

use super::load;
use super::trouble::{Trouble, troubles};
use crate::fault::Schedule;
use crate::index::NodeIndex;
use crate::network::RoundTrips;
use crate::trace::Trace;

/// Loads and faults come and go for so long.
pub(super) const TROUBLED: Duration = Duration::from_secs(120);
/// Then all heals, and so long is given to come to rest.
pub(super) const RESTING: Duration = Duration::from_secs(60);
/// So many of a hundred seeds run the published protocol.
const PUBLISHED_PERCENT: u64 = 10;
/// So many of a hundred seeds let hosts sleep.
const ENERGY_PERCENT: u64 = 12;

/// What a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Our protocol, as it repairs.
    Ours,
    /// Our protocol where hosts are emptied, sleep and are woken.
    Energy,
    /// The published protocol.
    Published,
}

impl Subject {
    /// Drawn apart from all else, so that a case of ours does not depend on what others there are.
    fn draw(seed: u64) -> Self {
        let mut dice = Dice(SplitMix64::new(seed ^ 0x7375_626A));
        match dice.between(0, 99) {
            drawn if drawn < PUBLISHED_PERCENT => Self::Published,
            drawn if drawn < PUBLISHED_PERCENT + ENERGY_PERCENT => Self::Energy,
            _ => Self::Ours,
        }
    }
}

/// One case of the fuzzer.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it was drawn from.
    pub seed: u64,
    /// What it is about.
    pub subject: Subject,
    /// The cloud and its load.
    pub trace: Arc<Trace>,
    /// How far nodes are from each other.
    pub round_trips: RoundTrips,
    /// Whether nodes know of each other by membership, not from a directory.
    pub membership: bool,
    /// Which overlay finds neighbours.
    pub search: search::Config,
    /// The scheduler with its settings, tight enough for limits to be met.
    pub scheduler: Choice,
    /// How long a machine that was moved is left alone.
    pub cool_down: Duration,
    /// How long a host takes to wake.
    pub wake: Duration,
    /// The faults.
    pub troubles: Vec<Trouble>,
}

/// Draws numbers for a case.
pub(super) struct Dice(SplitMix64);

impl Dice {
    /// From `low` to `high`, both possible.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.next_u64() % (high - low + 1)
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.between(0, 99) < percent
    }

    pub(super) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    pub(super) fn node(&mut self, nodes: u32) -> NodeIndex {
        NodeIndex(self.between(0, u64::from(nodes) - 1) as u32)
    }
}

impl Case {
    /// The case of `seed`.
    pub fn draw(seed: u64) -> Self {
        let subject = Subject::draw(seed);
        let mut dice = Dice(SplitMix64::new(seed ^ 0x6675_7A7A));
        // Where messages are late, doubled and held up all at once, the rarest ones meet.
        let storm = dice.chance(80) && subject == Subject::Ours;
        // Small clouds are more often right next to a limit, so they are drawn more often.
        let most = if dice.chance(75) { 24 } else { 64 };
        let nodes = dice.between(if storm { 10 } else { 4 }, most) as u32;
        let sites = dice.between(1, 3).min(u64::from(nodes) / 2) as u32;
        let between = dice.millis(2, 100);
        let round_trips = RoundTrips::sites(sites as u16, Duration::from_micros(300), between);
        // That a node sleeps is told by the membership; a directory would not know.
        let membership = storm || dice.chance(20) || subject == Subject::Energy;
        let search = search(&mut dice, storm);
        let trace = match subject {
            Subject::Energy => load::by_turns(&mut dice, seed, nodes, sites),
            Subject::Ours | Subject::Published => {
                load::heavy(&mut dice, (seed, storm), nodes, sites)
            }
        };
        let mut ours = star(&mut dice, storm);
        let troubles = troubles(&mut dice, nodes, storm);
        let wake = dice.millis(2_000, 20_000);
        let cool_down = ours.cool_down;
        let scheduler = match subject {
            Subject::Ours => Choice::Star(ours),
            Subject::Energy => {
                ours.energy = Some(energy(&mut dice));
                Choice::Star(ours)
            }
            Subject::Published => Choice::Relay(relay::Config {
                first_group: dice.between(2, 4) as u16,
                ..relay::Config::default()
            }),
        };
        Self {
            seed,
            subject,
            trace: Arc::new(trace),
            round_trips,
            membership,
            search,
            scheduler,
            cool_down,
            wake,
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

/// A time within the trouble, and a length that ends within it.
pub(super) fn times(dice: &mut Dice, low_ms: u64, high_ms: u64) -> (Instant, Duration) {
    let length = dice.millis(low_ms, high_ms);
    let last = TROUBLED.saturating_sub(length).as_millis() as u64;
    let at = Instant::ORIGIN + dice.millis(1_000, last.max(1_001));
    (at, length)
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

fn star(dice: &mut Dice, storm: bool) -> star::Config {
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

/// Hosts that think of sleep every few seconds and sleep for less than a minute.
fn energy(dice: &mut Dice) -> star::config::Energy {
    star::config::Energy {
        period: dice.millis(1_000, 6_000),
        awake_min: dice.millis(1_000, 15_000),
        sleep: dice.millis(5_000, 40_000),
        sleep_per_move: dice.millis(0, 2_000),
        busy_permille: dice.between(300, 800) as u16,
        group: dice.between(2, 16) as u16,
        ..star::config::Energy::default()
    }
}
