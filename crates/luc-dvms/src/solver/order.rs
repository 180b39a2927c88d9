//! From a set of moves to a plan: which step waits for which, and why each is made.
//!
//! Memory counts on both hosts while a machine moves, and steps may run side by side. So a step
//! may start when its target has room although every step of a lower number that ends there has
//! started, and no step that leaves there has ended but those it waits for. Whatever order the
//! steps then run in, no host ever holds more than it has.
//!
//! Two moves that wait for each other are untied by one stop at a third host, or refused.

use super::Goal;
use super::budget::Budget;
use super::model::{Amounts, Load, Model, Move};
use super::rules;
use crate::plan::{Plan, Reason, Step, StepId};

/// How many partial orders are tried before a set of moves is refused.
const TRIES: u32 = 400;

/// A plan, and what its stops on the way cost on top of the moves.
pub(super) struct Ordered {
    /// The plan.
    pub plan: Plan,
    /// The price of the stops.
    pub extra: u64,
}

/// One move of one item, as part of a plan.
#[derive(Clone, Debug)]
struct Leg {
    item: usize,
    source: usize,
    target: usize,
    /// Indexes of the legs it waits for directly.
    after: Vec<usize>,
    /// Of all legs it waits for, by index.
    before: Vec<bool>,
}

/// A move that is not in the plan yet.
#[derive(Clone, Copy, Debug)]
struct Want {
    item: usize,
    source: usize,
    target: usize,
    /// It can only start after a leg that brought its item to `source`.
    brought: bool,
}

/// Orders `moves`, given what hosts carried at the `start`; `None` when they cannot be carried out.
/// What is tried beyond the order given costs steps of `budget`.
pub(super) fn order(
    model: &Model<'_>,
    start: &[Load],
    moves: &[Move],
    budget: &mut Budget,
) -> Option<Ordered> {
    let mut wants: Vec<Want> = moves
        .iter()
        .map(|step| Want {
            item: step.item,
            source: model.items[step.item].host,
            target: step.target,
            brought: false,
        })
        .collect();
    wants.sort_by_key(|want| model.items[want.item].base);
    let mut orderer = Orderer {
        model,
        start,
        legs: Vec::with_capacity(wants.len()),
        tries: TRIES,
        budget,
    };
    if orderer.free(&wants) || orderer.schedule(&mut wants) {
        return Some(orderer.plan(0));
    }
    orderer.bypass(&wants)
}

struct Orderer<'m, 'a> {
    model: &'m Model<'a>,
    start: &'m [Load],
    legs: Vec<Leg>,
    tries: u32,
    budget: &'m mut Budget,
}

impl Orderer<'_, '_> {
    /// Orders moves none of which needs another: the rule in large plans.
    fn free(&mut self, wants: &[Want]) -> bool {
        for want in wants {
            let Some(leg) = self.startable(*want, false) else {
                self.legs.clear();
                return false;
            };
            self.legs.push(leg);
        }
        true
    }

    /// Orders moves by trying which may come next.
    fn schedule(&mut self, wants: &mut Vec<Want>) -> bool {
        if wants.is_empty() {
            return true;
        }
        for index in 0..wants.len() {
            if self.tries == 0 || !self.budget.spend() {
                return false;
            }
            self.tries -= 1;
            let Some(leg) = self.startable(wants[index], true) else {
                continue;
            };
            let want = wants.remove(index);
            self.legs.push(leg);
            if self.schedule(wants) {
                return true;
            }
            self.legs.pop();
            wants.insert(index, want);
        }
        false
    }

    /// Orders moves with one stop of one of them at a third host.
    fn bypass(&mut self, wants: &[Want]) -> Option<Ordered> {
        self.tries = TRIES;
        for (index, want) in wants.iter().enumerate() {
            let item = &self.model.items[want.item];
            for stop in 0..self.start.len() {
                if stop == want.target || !self.model.allows(item, stop) {
                    continue;
                }
                let mut split = wants.to_vec();
                split[index].target = stop;
                split.push(Want {
                    source: stop,
                    brought: true,
                    ..*want
                });
                self.legs.clear();
                if self.schedule(&mut split) {
                    let extra = self.model.price(item, stop);
                    return Some(self.plan(extra));
                }
            }
        }
        None
    }

    /// The leg for `want` if it may come next: with as few legs to wait for as possible.
    fn startable(&self, want: Want, may_wait: bool) -> Option<Leg> {
        let mut leg = Leg {
            item: want.item,
            source: want.source,
            target: want.target,
            after: Vec::new(),
            before: vec![false; if may_wait { self.legs.len() } else { 0 }],
        };
        if want.brought {
            let arrived = |other: &Leg| other.item == want.item && other.target == want.source;
            let bring = self.legs.iter().position(arrived)?;
            self.wait_for(&mut leg, bring);
        }
        if self.has_room(&leg) {
            return Some(leg);
        }
        if !may_wait {
            return None;
        }
        for (index, other) in self.legs.iter().enumerate() {
            if other.source == want.target && !leg.before[index] {
                self.wait_for(&mut leg, index);
                if self.has_room(&leg) {
                    return Some(leg);
                }
            }
        }
        None
    }

    fn wait_for(&self, leg: &mut Leg, index: usize) {
        leg.after.push(index);
        leg.before[index] = true;
        for (earlier, waits) in self.legs[index].before.iter().enumerate() {
            leg.before[earlier] |= waits;
        }
    }

    /// Whether the target has room in the worst interleaving of the legs so far.
    fn has_room(&self, leg: &Leg) -> bool {
        let load = &self.start[leg.target];
        let item = &self.model.items[leg.item];
        let mut used: Amounts = load.used;
        let mut gone: Amounts = [0; 3];
        for (index, other) in self.legs.iter().enumerate() {
            let needs = &self.model.items[other.item].needs;
            if other.target == leg.target {
                add(&mut used, needs);
            }
            if other.source == leg.target && leg.before.get(index) == Some(&true) {
                add(&mut gone, needs);
            }
        }
        add(&mut used, &item.needs);
        (0..3).all(|kind| used[kind] <= load.capacity[kind] + gone[kind])
            && (!item.ruled || self.is_apart(leg))
    }

    /// Whether no machine of an anti-affinity group of the item can be at the target.
    fn is_apart(&self, leg: &Leg) -> bool {
        let model = self.model;
        let machines = |item: usize| {
            let item = &model.items[item];
            item.vms.iter().map(|vm| &model.hosts[item.host].vms[*vm])
        };
        let kept_apart = machines(leg.item)
            .flat_map(rules::groups)
            .filter(|(_, policy)| rules::is_hard_anti(*policy));
        kept_apart.into_iter().all(|(group, _)| {
            let members = |item: usize| {
                let groups = machines(item).flat_map(rules::groups);
                groups.filter(|(other, _)| other == group).count() as i64
            };
            let mut present = i64::from(rules::count(&self.start[leg.target].groups, *group));
            for (index, other) in self.legs.iter().enumerate() {
                if other.target == leg.target {
                    present += members(other.item);
                }
                if other.source == leg.target && leg.before.get(index) == Some(&true) {
                    present -= members(other.item);
                }
            }
            present <= 0
        })
    }

    /// The plan of the legs: one step for each machine of each leg.
    fn plan(&self, extra: u64) -> Ordered {
        let mut first = Vec::with_capacity(self.legs.len() + 1);
        let mut steps = 0;
        for leg in &self.legs {
            first.push(steps);
            steps += self.model.items[leg.item].vms.len();
        }
        first.push(steps);
        let ids = |leg: usize| (first[leg]..first[leg + 1]).map(|id| StepId(id as u16));
        let mut plan = Plan {
            steps: Vec::with_capacity(steps),
        };
        for (index, leg) in self.legs.iter().enumerate() {
            let item = &self.model.items[leg.item];
            let after: Vec<StepId> = leg.after.iter().flat_map(|other| ids(*other)).collect();
            let reason = self.reason(index, &first);
            for (id, vm) in ids(index).zip(&item.vms) {
                let vm = &self.model.hosts[item.host].vms[*vm];
                plan.steps.push(Step {
                    id,
                    vm: vm.id,
                    memory: vm.memory,
                    source: self.model.hosts[leg.source].peer,
                    target: self.model.hosts[leg.target].peer,
                    after: after.clone(),
                    reason,
                });
            }
        }
        Ordered { plan, extra }
    }

    fn reason(&self, index: usize, first: &[usize]) -> Reason {
        let leg = &self.legs[index];
        let id = |leg: usize| StepId(first[leg] as u16);
        let onward = |other: &Leg| other.item == leg.item && other.source == leg.target;
        if let Some(next) = self.legs.iter().position(onward) {
            return Reason::Bypass { step: id(next) };
        }
        let host = self.model.items[leg.item].host;
        let waiting = |other: &Leg| other.target == host && other.after.contains(&index);
        let arriving = |other: &Leg| other.target == host;
        let served = self.legs.iter().position(waiting);
        let served = served.or_else(|| self.legs.iter().position(arriving));
        match self.model.goal {
            Goal::Consolidate { .. } => Reason::Consolidation,
            Goal::Evacuate { .. } => Reason::Maintenance,
            Goal::Relieve => match served {
                Some(step) if self.start[host].over() == 0 => {
                    if self.is_parted(index, step) {
                        Reason::Rule
                    } else {
                        Reason::MakesWay { step: id(step) }
                    }
                }
                _ => Reason::Overload {
                    demand: self.model.hosts[host].demand(),
                    capacity: self.model.hosts[host].capacity.cpu,
                },
            },
        }
    }
}

impl Orderer<'_, '_> {
    /// Whether a leg leaves a host to which `arriving` comes only because their groups keep them
    /// apart: there would be room for both.
    fn is_parted(&self, leaving: usize, arriving: usize) -> bool {
        let (leaves, arrives) = (&self.legs[leaving], &self.legs[arriving]);
        let kept_apart = |item: usize| {
            let item = &self.model.items[item];
            let machines = item
                .vms
                .iter()
                .map(|vm| &self.model.hosts[item.host].vms[*vm]);
            let groups = machines.flat_map(rules::groups);
            groups.filter(|(_, policy)| rules::is_hard_anti(*policy))
        };
        let shared = kept_apart(leaves.item).any(|(group, _)| {
            let mut others = kept_apart(arrives.item);
            others.any(|(other, _)| other == group)
        });
        let host = arrives.target;
        let mut used: Amounts = self.start[host].used;
        let mut gone: Amounts = [0; 3];
        for (index, leg) in self.legs[..=arriving].iter().enumerate() {
            let needs = &self.model.items[leg.item].needs;
            if leg.target == host {
                add(&mut used, needs);
            }
            if leg.source == host && index != leaving && arrives.before.get(index) == Some(&true) {
                add(&mut gone, needs);
            }
        }
        let capacity = &self.start[host].capacity;
        shared && (0..3).all(|kind| used[kind] <= capacity[kind] + gone[kind])
    }
}

fn add(to: &mut Amounts, amounts: &Amounts) {
    for (sum, amount) in to.iter_mut().zip(amounts) {
        *sum += amount;
    }
}
