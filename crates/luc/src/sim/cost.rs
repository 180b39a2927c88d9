//! What one input costs a node on this machine: handlers in nanoseconds, the solver by group size.
//!
//! One site of brains as nodes run them, in a loop of its own: the wall clock stands around each
//! call of `handle` and nothing else, so queue, network and hypervisor of a simulation are not in
//! the figures. `cargo xtask bench brain` keeps them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant as Clock;

use anyhow::Result;
use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};
use luc_core::units::MemoryMib;
use luc_core::{Effect, Effects, Entropy, Input, PeerId, Protocol, SitePrefix, Uuid};
use luc_dvms::command::{MigrationEnd, MigrationId};
use luc_dvms::solver::{Goal, Problem, Style, Weights, solve};
use luc_dvms::{Cpu, Host, Resources, Vm, VmId};
use luc_node::{Brain, Command, Event, Kept, Message, Timer};
use luc_overlay::{Membership, Seed, SwimConfig};
use serde::Serialize;

/// How many brains one site has.
const NODES: u64 = 32;
/// How long they run, in virtual time.
const RUN: Duration = Duration::from_secs(600);
/// The round trip between two of them.
const ROUND_TRIP: Duration = Duration::from_micros(200);
/// How long a live migration takes.
const MIGRATION: Duration = Duration::from_secs(9);
/// How many machines a host has, and how much processor time they may have together.
const MACHINES: u64 = 10;
const CAPACITY: u32 = 700;
/// How many groups of each size the solver is asked about.
const PROBLEMS: u64 = 200;
/// Sizes of the groups that the solver is asked about.
const GROUPS: [u64; 6] = [2, 4, 8, 16, 32, 64];
/// The budget that nodes give the solver.
const BUDGET: u64 = 20_000;

/// One cost.
#[derive(Debug, Serialize)]
struct Cost {
    /// Of what.
    name: String,
    /// `ns` or `µs`.
    unit: &'static str,
    /// How often it was measured.
    count: usize,
    /// The middle value.
    median: f64,
    /// One in a hundred is above.
    p99: f64,
}

impl Cost {
    fn of(name: String, unit: &'static str, mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values.get(((values.len() as f64 - 1.0) * share) as usize);
        Some(Self {
            name,
            unit,
            count: values.len(),
            median: *at(0.5)?,
            p99: *at(0.99)?,
        })
    }
}

/// Measures and prints.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn run(json: bool) -> Result<()> {
    let mut costs = solver_costs();
    let mut site = Site::new();
    site.run();
    let handlers = site.costs.into_iter();
    costs.extend(handlers.filter_map(|(name, values)| Cost::of(name, "ns", values)));
    if json {
        println!("{}", serde_json::to_string_pretty(&costs)?);
        return Ok(());
    }
    println!(
        "{:<44} {:>10} {:>12} {:>12}",
        "input", "count", "median", "p99"
    );
    for cost in costs {
        println!(
            "{:<44} {:>10} {:>9.1} {:2} {:>9.1} {:2}",
            cost.name, cost.count, cost.median, cost.unit, cost.p99, cost.unit
        );
    }
    Ok(())
}

fn peer(node: u64) -> PeerId {
    PeerId::new(SitePrefix::from_bytes([7; 6]), node)
}

/// A host with machines as in the published experiments: N(60, 20) in steps of ten.
fn host(node: u64, entropy: &mut SplitMix64) -> Host {
    let mut vms: Vec<Vm> = (0..MACHINES)
        .map(|number| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(node * MACHINES + number).to_be_bytes());
            Vm {
                id: VmId(Uuid::from_bytes(id)),
                demand: demand(entropy),
                usual: Cpu(60),
                memory: MemoryMib(1_024),
                disk: MemoryMib::ZERO,
                dirty_permille: (entropy.next_u64() % 8 * 114) as u16,
                cool_down: Duration::ZERO,
                rules: None,
            }
        })
        .collect();
    vms.sort_by_key(|vm| vm.id);
    Host {
        peer: peer(node),
        capacity: Resources {
            cpu: Cpu(CAPACITY),
            memory: MemoryMib(32_768),
            disk: MemoryMib::ZERO,
        },
        vms,
        incoming: Resources::default(),
        migrations: 0,
        bandwidth_mbps: 1_000,
        maintenance: false,
        vigil: false,
        asleep: false,
        labels: Vec::new(),
    }
}

/// The sum of twelve uniform draws stands for a normal one.
fn demand(entropy: &mut SplitMix64) -> Cpu {
    let sum: u64 = (0..12).map(|_| entropy.next_u64() % 1_001).sum();
    let normal = (sum as f64 - 6_000.0) / 1_000.0;
    Cpu(((60.0 + 20.0 * normal) / 10.0).round().clamp(0.0, 10.0) as u32 * 10)
}

fn solver_costs() -> Vec<Cost> {
    let mut entropy = SplitMix64::new(1);
    let styles = [
        (
            "ours",
            Style::Ours {
                weights: Weights::default(),
            },
        ),
        ("published", Style::Published),
    ];
    let mut costs = Vec::new();
    for (name, style) in styles {
        for group in GROUPS {
            let mut values = Vec::new();
            for _ in 0..PROBLEMS {
                let mut hosts: Vec<Host> =
                    (0..group).map(|node| host(node, &mut entropy)).collect();
                let short = CAPACITY + 10;
                let asked = hosts[0].demand().0;
                // The first host is overloaded by one machine's change.
                hosts[0].vms[0].demand.0 += short.saturating_sub(asked);
                let distance = vec![ROUND_TRIP; hosts.len()];
                let problem = Problem {
                    hosts: &hosts,
                    distance: &distance,
                    goal: Goal::Relieve,
                    style,
                };
                let clock = Clock::now();
                let solution = solve(&problem, BUDGET);
                values.push(clock.elapsed().as_nanos() as f64 / 1e3);
                std::hint::black_box(solution);
            }
            costs.extend(Cost::of(
                format!("solver, {name}, {group} hosts"),
                "µs",
                values,
            ));
        }
    }
    costs
}

/// What happens to one brain, at one time.
enum Due {
    Brain(Input<Brain>),
    Change,
    Moved(MigrationId, VmId, usize),
}

/// One site.
struct Site {
    brains: Vec<Brain>,
    hosts: Vec<Host>,
    queue: BTreeMap<(Instant, u64), (usize, Due)>,
    order: u64,
    now: Instant,
    entropy: SplitMix64,
    effects: Effects<Brain>,
    costs: BTreeMap<String, Vec<f64>>,
}

impl Site {
    fn new() -> Self {
        let mut entropy = SplitMix64::new(2);
        let hosts: Vec<Host> = (0..NODES).map(|node| host(node, &mut entropy)).collect();
        let mut site = Self {
            brains: Vec::new(),
            hosts,
            queue: BTreeMap::new(),
            order: 0,
            now: Instant::ORIGIN,
            entropy,
            effects: Effects::new(),
            costs: BTreeMap::new(),
        };
        let members: Vec<_> = (0..NODES).map(|node| (peer(node), None)).collect();
        for node in 0..NODES {
            let config = luc_node::Config {
                overlay: luc_overlay::Config {
                    me: peer(node),
                    seed: node,
                    membership: Membership::Swim(SwimConfig::default()),
                    search: luc_overlay::search::Config::default(),
                    vivaldi: luc_overlay::vivaldi::Config::default(),
                },
                dvms: luc_dvms::Config::new(peer(node), node),
            };
            let mut brain = Brain::new(config, &Kept::default(), site.now);
            let seed = Seed {
                site: &members,
                delegates: &members[..2],
            };
            brain.seed(site.now, &seed, &mut site.effects);
            site.brains.push(brain);
            site.carry_out(node as usize);
            let phase = Duration::from_millis(site.entropy.next_u64() % 30_000);
            site.push(phase, node as usize, Due::Change);
        }
        site
    }

    fn push(&mut self, after: Duration, node: usize, due: Due) {
        self.order += 1;
        self.queue
            .insert((self.now + after, self.order), (node, due));
    }

    fn run(&mut self) {
        while let Some(((at, _), (node, due))) = self.queue.pop_first() {
            if at.since(Instant::ORIGIN) > RUN {
                break;
            }
            self.now = at;
            match due {
                Due::Brain(input) => self.tell(node, input),
                Due::Change => {
                    let changed =
                        self.entropy.next_u64() as usize % self.hosts[node].vms.len().max(1);
                    let demand = demand(&mut self.entropy);
                    if let Some(vm) = self.hosts[node].vms.get_mut(changed) {
                        vm.demand = demand;
                    }
                    self.sample(node);
                    self.push(Duration::from_secs(30), node, Due::Change);
                }
                Due::Moved(migration, vm, target) => self.moved(node, migration, vm, target),
            }
        }
    }

    fn sample(&mut self, node: usize) {
        let host = self.hosts[node].clone();
        self.tell(node, Input::Command(Command::Sample(host)));
    }

    fn moved(&mut self, source: usize, migration: MigrationId, vm: VmId, target: usize) {
        let at = self.hosts[source].vms.iter().position(|one| one.id == vm);
        if let Some(at) = at {
            let vm = self.hosts[source].vms.remove(at);
            let vms = &mut self.hosts[target].vms;
            let place = vms.partition_point(|one| one.id < vm.id);
            vms.insert(place, vm);
        }
        let end = MigrationEnd::Moved;
        self.tell(
            source,
            Input::Command(Command::MigrationEnded { migration, end }),
        );
        self.sample(source);
        self.sample(target);
    }

    fn tell(&mut self, node: usize, input: Input<Brain>) {
        let name = name_of(&input);
        let brain = &mut self.brains[node];
        let clock = Clock::now();
        brain.handle(self.now, input, &mut self.effects);
        let cost = clock.elapsed().as_nanos() as f64;
        self.costs.entry(name).or_default().push(cost);
        self.carry_out(node);
    }

    fn carry_out(&mut self, node: usize) {
        let effects: Vec<_> = self.effects.drain().collect();
        for effect in effects {
            match effect {
                Effect::Send { to, message } => {
                    let from = peer(node as u64);
                    let input = Input::Message { from, message };
                    self.push(ROUND_TRIP / 2, to.node as usize, Due::Brain(input));
                }
                Effect::Schedule { after, timer } => {
                    self.push(after, node, Due::Brain(Input::Timer(timer)));
                }
                Effect::Emit(Event::Dvms(luc_dvms::Event::Migrate {
                    migration,
                    vm,
                    target,
                    ..
                })) => {
                    let target = target.node as usize;
                    self.push(MIGRATION, node, Due::Moved(migration, vm, target));
                }
                // Its disk is perfect, and facts cost nothing here.
                Effect::Persist(_) | Effect::Emit(_) => {}
            }
        }
    }
}

/// What kind of input it is: the outer two names of its value.
fn name_of(input: &Input<Brain>) -> String {
    let (kind, text) = match input {
        Input::Message {
            message: Message::Overlay(message),
            ..
        } => ("message", variant(message)),
        Input::Message {
            message: Message::Dvms(message),
            ..
        } => match &**message {
            luc_dvms::Message::Star(message) => ("message star", variant(message)),
            luc_dvms::Message::Relay(message) => ("message relay", variant(message)),
        },
        Input::Timer(Timer::Overlay(timer)) => ("timer", variant(timer)),
        Input::Timer(Timer::Dvms(timer)) => ("timer", variant(timer)),
        Input::Command(command) => ("command", variant(command)),
    };
    format!("{kind} {text}")
}

/// The name of a value's variant, as its `Debug` form begins.
fn variant(value: &impl std::fmt::Debug) -> String {
    /// Stops the formatting at the end of the first word, so that large values cost nothing.
    struct Word(String);

    impl std::fmt::Write for Word {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
            self.0.push_str(&text[..end.unwrap_or(text.len())]);
            if end.is_some() {
                Err(std::fmt::Error)
            } else {
                Ok(())
            }
        }
    }

    let mut word = Word(String::new());
    // An error says that the first word is complete.
    let _ = write!(word, "{value:?}");
    word.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_site_exchanges_membership_and_scheduling_messages() {
        let mut site = Site::new();
        site.run();
        let names: BTreeSet<&str> = site.costs.keys().map(String::as_str).collect();
        for name in ["message Swim", "message star Reserve", "command Sample"] {
            assert!(names.contains(name), "{name} is not among {names:?}");
        }
    }

    #[test]
    fn a_cost_knows_its_middle_and_its_tail() {
        let values = (1..=100).map(f64::from).collect();
        let cost = Cost::of("x".to_owned(), "ns", values).unwrap();
        assert_eq!((cost.median, cost.p99, cost.count), (50.0, 99.0, 100));
        assert!(Cost::of("x".to_owned(), "ns", Vec::new()).is_none());
    }
}
