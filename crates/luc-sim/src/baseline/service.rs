//! A service: takes reports, asks the solver, has plans carried out.
//!
//! It thinks about one thing at a time: while the solver runs (steps × the constant of the log's
//! header), reports go on to arrive, and what it then orders is what it saw when it began. How an
//! overload is relieved, and when it is tried again, is in `repair`.

use std::ops::Range;

use luc_core::time::Duration;
use luc_dvms::command::MigrationId;
use luc_dvms::event::{Cause, PartitionEnd};
use luc_dvms::solver::{Goal, Problem, Solution, solve};
use luc_dvms::{Ballot, Host, Plan, Step, StepId};

use super::Ctx;
use super::config::{Config, Policy};
use super::energy::Energy;
use super::message::{Message, ORDER_BYTES, Order, Timer};
use super::packing::Packing;
use super::plans::Plans;
use super::repair::Retries;
use super::view::View;
use crate::index::NodeIndex;
use crate::log::{Entry, Partition};

/// After so long without news an order is given up; the slowest migrations take some minutes.
const EXPIRE: Duration = Duration::from_secs(900);

/// What the solver found, told when its time is over.
struct Thought {
    number: u64,
    cause: Cause,
    plans: Vec<Plan>,
}

/// A scheduling service over a group of hosts.
pub(super) struct Service {
    pub(super) config: Config,
    range: Range<u32>,
    pub(super) view: View,
    pub(super) plans: Plans,
    thought: Option<Thought>,
    /// Something came up while it thought.
    pub(super) again: bool,
    pub(super) retries: Retries,
    /// Counts questions and plans.
    counter: u64,
    /// What the last repair left, in hundredths of a core.
    pub(super) unsolved: u64,
    pub(super) energy: Energy,
    pub(super) packing: Packing,
}

impl Service {
    /// A service over the nodes in `range`, run by the first of them.
    pub(super) fn new(config: Config, range: Range<u32>, context: &Ctx) -> Self {
        Self {
            config,
            view: View::new(range.clone(), context),
            range,
            plans: Plans::default(),
            thought: None,
            again: false,
            retries: Retries::default(),
            counter: 0,
            unsolved: 0,
            energy: Energy::default(),
            packing: Packing::default(),
        }
    }

    /// The node that runs the service; it never sleeps.
    pub(super) fn manager(&self) -> NodeIndex {
        NodeIndex(self.range.start)
    }

    /// Begins its rounds. Managers of groups do so one after the other.
    pub(super) fn start(&mut self, context: &mut Ctx) {
        let phase = u64::from(self.range.start) * 7919 % 1000;
        let first = self.config.period + self.config.period * phase as u32 / 1000;
        context.schedule(self.manager(), first, Timer::Round);
    }

    /// Its node has crashed: all is forgotten but the numbers that name plans.
    pub(super) fn forget(&mut self, context: &Ctx) {
        let fresh = Self::new(self.config.clone(), self.range.clone(), context);
        let counter = self.counter;
        *self = fresh;
        self.counter = counter;
    }

    /// Asks all hosts for their state.
    pub(super) fn ask_all(&self, context: &mut Ctx) {
        for node in self.view.nodes() {
            context.send(self.manager(), node, ORDER_BYTES, Message::Tell);
        }
    }

    /// A host's state.
    pub(super) fn on_report(
        &mut self,
        from: NodeIndex,
        number: u64,
        host: Host,
        context: &mut Ctx,
    ) {
        let Some(place) = self.view.place(from) else {
            return;
        };
        if !self.view.learn(place, number, host) {
            return;
        }
        self.note(place);
        if self.config.is_reactive() && self.view.is_overloaded(place) {
            self.repair(context);
        }
        self.pack(context);
        self.offer_sleep(place, context);
    }

    /// The next round: everybody's if periodic, energy's alone if reactive.
    pub(super) fn on_round(&mut self, context: &mut Ctx) {
        context.schedule(self.manager(), self.config.period, Timer::Round);
        self.repair(context);
        if self.config.policy == Policy::Ffd {
            self.repack(context);
        } else if self.config.energy {
            self.save(context);
        }
        self.issue(context);
    }

    /// Asks the solver, within the round's budget.
    pub(super) fn ask(&self, distance: &[Duration], goal: Goal) -> Solution {
        let problem = Problem {
            hosts: self.view.hosts(),
            distance,
            goal,
            style: self.config.style,
        };
        solve(&problem, self.config.solver_steps)
    }

    /// Waits as long as the solver would have taken.
    pub(super) fn think(
        &mut self,
        cause: Cause,
        solutions: Vec<Solution>,
        hosts: usize,
        context: &mut Ctx,
    ) {
        self.counter += 1;
        let number = self.counter;
        let steps: u64 = solutions.iter().map(|solution| solution.steps).sum();
        let partition = self.partition(number);
        context.record(Entry::Began { partition, cause });
        context.record(Entry::Computed {
            partition,
            hosts: hosts as u32,
            steps,
            solved: solutions.iter().all(|solution| solution.solved),
        });
        let plans = solutions.into_iter().map(|solution| solution.plan);
        let plans = plans.filter(|plan| !plan.steps.is_empty()).collect();
        self.thought = Some(Thought {
            number,
            cause,
            plans,
        });
        let nanos = context.constants().solver_step.as_nanos() as u64;
        let after = Duration::from_nanos(nanos.saturating_mul(steps));
        context.schedule(self.manager(), after, Timer::Thought { number });
    }

    fn partition(&self, counter: u64) -> Partition {
        Partition {
            counter,
            leader: self.manager(),
        }
    }

    /// Whether the solver is at work.
    pub(super) fn is_thinking(&self) -> bool {
        self.thought.is_some()
    }

    /// The solver is done: its plans become orders.
    pub(super) fn on_thought(&mut self, number: u64, context: &mut Ctx) {
        let Some(thought) = self.thought.take_if(|thought| thought.number == number) else {
            return;
        };
        if thought.plans.is_empty() {
            self.end(number, PartitionEnd::Unsolved, context);
        }
        for (index, plan) in thought.plans.into_iter().enumerate() {
            let counter = if index == 0 {
                number
            } else {
                self.begin(thought.cause, context)
            };
            self.carry_out(counter, plan, context);
        }
        self.issue(context);
        if std::mem::take(&mut self.again) {
            self.repair(context);
        }
    }

    /// A plan of its own, with a name of its own.
    pub(super) fn begin(&mut self, cause: Cause, context: &mut Ctx) -> u64 {
        self.counter += 1;
        let partition = self.partition(self.counter);
        context.record(Entry::Began { partition, cause });
        self.counter
    }

    /// Takes a plan up.
    pub(super) fn carry_out(&mut self, counter: u64, plan: Plan, context: &mut Ctx) {
        let memory_mib = plan.steps.iter().map(|step| step.memory.get()).sum();
        context.record(Entry::Planned {
            partition: self.partition(counter),
            steps: plan.steps.len() as u32,
            memory_mib,
        });
        self.plans.add(counter, plan);
    }

    fn end(&self, counter: u64, end: PartitionEnd, context: &mut Ctx) {
        context.record(Entry::Ended {
            partition: self.partition(counter),
            end,
            members: Vec::new(),
        });
    }

    /// Orders every step that may start.
    pub(super) fn issue(&mut self, context: &mut Ctx) {
        for (counter, index) in self.plans.ready() {
            let Some(step) = self.plans.step(counter, index).cloned() else {
                continue;
            };
            let source = NodeIndex::of_peer(step.source);
            let target = NodeIndex::of_peer(step.target);
            if !self.view.is_free(source) || !self.view.is_free(target) {
                continue;
            }
            self.plans.ordered(counter, index);
            self.view.order([source, target]);
            self.send_order(counter, &step, context);
        }
    }

    fn send_order(&mut self, counter: u64, step: &Step, context: &mut Ctx) {
        let leader = context.world().peer(self.manager());
        let migration = MigrationId {
            ballot: Ballot { counter, leader },
            step: step.id,
        };
        let place = self.view.place(NodeIndex::of_peer(step.source));
        let claim = place.and_then(|place| self.view.claim(place, step.vm));
        let Some(claim) = claim else {
            // The machine is no longer where it was; the step is over before it began.
            self.on_ended(migration, false, 0, context);
            return;
        };
        let order = Order {
            migration,
            vm: step.vm,
            source: step.source,
            target: step.target,
            claim,
            reason: step.reason,
        };
        let target = NodeIndex::of_peer(step.target);
        let message = Message::Expect(Box::new(order));
        context.send(self.manager(), target, ORDER_BYTES, message);
        context.schedule(self.manager(), EXPIRE, Timer::Expire { migration });
    }

    /// An order is over: by a migration that ended at `number`, or refused before it began (0).
    pub(super) fn on_ended(
        &mut self,
        migration: MigrationId,
        moved: bool,
        number: u64,
        context: &mut Ctx,
    ) {
        let (counter, index) = (migration.ballot.counter, usize::from(migration.step.0));
        if !self.plans.is_ordered(counter, index) {
            return;
        }
        let Some(step) = self.plans.step(counter, index) else {
            return;
        };
        let ends = [
            NodeIndex::of_peer(step.source),
            NodeIndex::of_peer(step.target),
        ];
        self.view.settle(ends, number);
        if let Some(all) = self.plans.over(counter, index, moved) {
            let end = if all {
                PartitionEnd::Solved
            } else {
                PartitionEnd::Stale
            };
            self.end(counter, end, context);
        }
        self.issue(context);
        self.look_again(context);
    }

    /// Nothing was heard of an order: it is given up.
    pub(super) fn on_expire(&mut self, migration: MigrationId, context: &mut Ctx) {
        self.on_ended(migration, false, context.now().as_nanos(), context);
    }

    /// A plan of one move, for the packing.
    pub(super) fn single(step: Step) -> Plan {
        Plan {
            steps: vec![Step {
                id: StepId(0),
                ..step
            }],
        }
    }

    /// A host powers down.
    pub(super) fn on_slept(&mut self, from: NodeIndex) {
        if let Some(place) = self.view.place(from) {
            self.view.set_asleep(place, true);
        }
    }
}
