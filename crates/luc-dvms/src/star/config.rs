//! The parameters of our protocol.

use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::solver::{Style, Weights};

/// The parameters. [`Config::default`] is what nodes run with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// How many nodes the first group has at the most, with the leader; it ends with the site.
    pub first_group: u16,
    /// How many more are asked whenever those before did not suffice.
    pub next_group: u16,
    /// How many members a partition has at the most, the leader counted.
    pub cap: u16,
    /// The same for the next try of an event that the first cap left unsolved.
    pub second_cap: u16,
    /// How long a reservation lasts unless it is renewed. All nodes of a cloud agree on it.
    pub lease: Duration,
    /// How often a leader renews.
    pub renew: Duration,
    /// How long before the first lease ends a leader stops to issue steps.
    pub lease_margin: Duration,
    /// How long a candidate may take to answer beside its round trip.
    pub answer_slack: Duration,
    /// The round trip of a candidate whose distance is not known.
    pub round_trip_default: Duration,
    /// How long a partition may look for members in all.
    pub growing_max: Duration,
    /// How long a plan may take.
    pub executing_max: Duration,
    /// How long a target may take to answer its source, each of three times.
    pub prepare_max: Duration,
    /// The first wait of an initiator without solution; it doubles each time.
    pub back_off_min: Duration,
    /// The longest such wait.
    pub back_off_max: Duration,
    /// How long a machine stays where it has just been moved to (evacuation excepted).
    pub cool_down: Duration,
    /// How many migrations a host takes part in at a time; two at once only halve the speed.
    pub link_migrations: u16,
    /// How many steps the solver may take per question.
    pub solver_budget: u64,
    /// How the solver chooses.
    pub style: Style,
    /// How hosts are put to sleep; absent when they never are.
    pub energy: Option<Energy>,
    /// For tests of the checkers only: a rule that is not kept.
    pub broken: Option<Broken>,
}

/// When an under-loaded host is emptied and put to sleep.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Energy {
    /// How often a host looks whether it could sleep.
    pub period: Duration,
    /// How long a host stays awake at the least.
    pub awake_min: Duration,
    /// How long a sleep lasts as a rule.
    pub sleep: Duration,
    /// How long a sleep must last for each machine that is moved to allow it.
    pub sleep_per_move: Duration,
    /// A host with more than this share of its capacity in use never thinks of sleep, in
    /// thousandths.
    pub busy_permille: u16,
    /// How many nodes are asked to take in the machines of a host that wants to sleep; most of
    /// them are free again at once.
    pub group: u16,
    /// How likely a host may overload, in thousandths, after it took in the machines of one that
    /// goes to sleep.
    pub risk_permille: u16,
    /// Price of one thousandth of probability that a host overloads in the long run, where hosts
    /// sleep and so are fuller: each relief should take few moves.
    pub risk_ms: u32,
    /// The same for the near future.
    pub near_risk_ms: u32,
    /// How many deviations of their demand the neighbours must have room for on average, in
    /// hundredths; with less, one that sleeps is woken ahead of need.
    pub look_deviations: u16,
    /// The same when a host has been overloaded: then it is no accident.
    pub wake_deviations: u16,
    /// The same for those who stay awake when one goes to sleep.
    pub sleep_deviations: u16,
    /// How many deviations of its demand a host keeps free while others wake, in hundredths.
    pub spread_deviations: u16,
}

/// Rules that a test may switch off to see whether the checkers notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Broken {
    /// Any ballot is obeyed, also lower ones and those of strangers.
    BallotCheckOff,
    /// Leases never run out for those who hold or were granted them.
    LeaseCheckOff,
    /// Whoever is asked to be absorbed yields, and goes on leading.
    AbsorbRuleOff,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            first_group: 24,
            next_group: 8,
            cap: 48,
            second_cap: 64,
            lease: Duration::from_secs(5),
            renew: Duration::from_millis(1_500),
            lease_margin: Duration::from_secs(1),
            answer_slack: Duration::from_millis(40),
            round_trip_default: Duration::from_millis(50),
            growing_max: Duration::from_secs(4),
            executing_max: Duration::from_secs(3_600),
            prepare_max: Duration::from_millis(700),
            back_off_min: Duration::from_secs(2),
            back_off_max: Duration::from_secs(300),
            cool_down: Duration::from_secs(60),
            link_migrations: 1,
            solver_budget: 20_000,
            style: Style::Ours {
                weights: Weights::default(),
            },
            energy: None,
            broken: None,
        }
    }
}

impl Default for Energy {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(60),
            awake_min: Duration::from_secs(600),
            sleep: Duration::from_secs(3600),
            sleep_per_move: Duration::from_secs(240),
            busy_permille: 430,
            group: 24,
            risk_permille: 2,
            risk_ms: 30,
            near_risk_ms: 30,
            look_deviations: 220,
            wake_deviations: 235,
            sleep_deviations: 285,
            spread_deviations: 120,
        }
    }
}
