//! Carrying out a plan: which steps may start now, and what becomes of those that did.
//!
//! A step is issued when the steps before it have succeeded, both links are free, and no lease of
//! the partition ends within the margin. A step whose outcome cannot be learnt any more counts as
//! failed here; what it really did shows in the next samples.

use std::collections::BTreeSet;

use luc_core::PeerId;
use luc_core::time::Instant;
use luc_core::units::MemoryMib;

use super::message::{Order, Progress};
use super::partition::{Partition, Phase};
use super::protocol::{Role, Star};
use super::turn::Turn;
use super::{Message, Timer};
use crate::ballot::Ballot;
use crate::command::{MigrationEnd, MigrationId};
use crate::event::{Cause, Event, PartitionEnd};
use crate::host::{Host, Resources};
use crate::plan::{Plan, Step, StepId};

/// How a step stands at the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum State {
    /// Not issued yet.
    Waiting,
    /// Issued; its source has not confirmed it.
    Issued,
    /// Its source works on it.
    Running,
    /// Done.
    Moved,
    /// Not done, and not tried again by this plan.
    Failed,
}

impl State {
    fn is_active(self) -> bool {
        matches!(self, Self::Issued | Self::Running)
    }
}

/// A plan that is being carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Execution {
    pub(super) plan: Plan,
    claims: Vec<Resources>,
    pub(super) states: Vec<State>,
    /// The plan does not remove the overload, it only lowers it.
    pub(super) partial: bool,
}

impl Execution {
    fn place(&self, step: StepId) -> Option<usize> {
        self.plan.steps.iter().position(|other| other.id == step)
    }

    /// How many steps use this node's link now.
    fn active_at(&self, peer: PeerId) -> usize {
        let steps = self.plan.steps.iter().zip(&self.states);
        steps
            .filter(|(step, state)| {
                state.is_active() && (step.source == peer || step.target == peer)
            })
            .count()
    }

    fn state_of(&self, step: StepId) -> State {
        self.place(step)
            .and_then(|place| self.states.get(place).copied())
            .unwrap_or(State::Failed)
    }

    /// The next step that may be issued, if `link` migrations may use a link at a time. Steps
    /// that wait for one that failed fail as well.
    fn next(&mut self, link: usize) -> Option<usize> {
        for place in 0..self.states.len() {
            if self.states[place] != State::Waiting {
                continue;
            }
            let step = &self.plan.steps[place];
            let before = |state| step.after.iter().any(|id| self.state_of(*id) == state);
            if before(State::Failed) {
                self.states[place] = State::Failed;
                continue;
            }
            let ready = step
                .after
                .iter()
                .all(|id| self.state_of(*id) == State::Moved);
            let free = |peer| self.active_at(peer) < link;
            if ready && free(step.source) && free(step.target) {
                return Some(place);
            }
        }
        None
    }

    fn is_over(&self) -> bool {
        self.states
            .iter()
            .all(|state| matches!(state, State::Moved | State::Failed))
    }

    /// Whether a step that concerns this node is not over yet.
    fn needs(&self, peer: PeerId) -> bool {
        self.plan
            .steps
            .iter()
            .zip(&self.states)
            .any(|(step, state)| {
                let over = matches!(state, State::Moved | State::Failed);
                !over && (step.source == peer || step.target == peer)
            })
    }

    fn has_succeeded(&self) -> bool {
        self.states.iter().all(|state| *state == State::Moved)
    }

    /// Gives up what has not started.
    fn give_up_waiting(&mut self) {
        for state in &mut self.states {
            if *state == State::Waiting {
                *state = State::Failed;
            }
        }
    }

    /// A member is gone: what it takes part in cannot be learnt any more.
    pub(super) fn lose(&mut self, peer: PeerId) {
        for (step, state) in self.plan.steps.iter().zip(&mut self.states) {
            let concerned = step.source == peer || step.target == peer;
            let unlearnable = step.source == peer && state.is_active();
            if concerned && (*state == State::Waiting || unlearnable) {
                *state = State::Failed;
            }
        }
    }
}

/// What the machine of a step needs at its target.
fn claim_of(partition: &Partition, own: Option<&Host>, step: &Step) -> Resources {
    let members = partition.members.iter().map(|member| member.host.as_ref());
    let mut vms = members.chain(own).flat_map(|host| &host.vms);
    let vm = vms.find(|vm| vm.id == step.vm);
    vm.map_or_else(
        || Resources {
            memory: step.memory,
            ..Resources::default()
        },
        |vm| Resources {
            cpu: vm.demand,
            memory: vm.memory,
            disk: vm.disk,
        },
    )
}

impl Star {
    /// Begins to carry out a plan: who has no part in it is free at once.
    pub(super) fn execute(&mut self, turn: &mut Turn<'_>, plan: Plan, partial: bool) {
        self.end_search(turn);
        let own = self.host.clone();
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        let claims = plan
            .steps
            .iter()
            .map(|step| claim_of(partition, own.as_deref(), step))
            .collect();
        let ends = |step: &Step| [step.source, step.target];
        let involved: BTreeSet<PeerId> = plan.steps.iter().flat_map(ends).collect();
        let ballot = partition.ballot;
        for asked in partition.asked.drain(..) {
            turn.post(asked.peer, Message::Release { ballot });
        }
        partition.members.retain(|member| {
            let keep = involved.contains(&member.peer);
            if !keep {
                turn.post(member.peer, Message::Release { ballot });
            }
            keep
        });
        let memory: MemoryMib = plan.steps.iter().map(|step| step.memory).sum();
        turn.emit(Event::Planned {
            ballot: partition.id,
            plan: plan.clone(),
            memory,
        });
        partition.round += 1;
        let timer = Timer::Phase {
            partition: partition.id,
            phase: partition.round,
        };
        turn.schedule(self.config.executing_max, timer);
        partition.phase = Phase::Executing(Execution {
            states: vec![State::Waiting; plan.steps.len()],
            plan,
            claims,
            partial,
        });
        self.advance(turn);
    }

    /// Issues whatever may start, and ends the partition when nothing is left.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>) {
        let still_needed = self.still_needed();
        let margin = self.config.lease_margin;
        let link = usize::from(self.config.link_migrations);
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        let in_time = turn.now + margin < partition.earliest_expiry()
            || self.config.broken == Some(super::Broken::LeaseCheckOff);
        let ballot = partition.ballot;
        let Phase::Executing(execution) = &mut partition.phase else {
            return;
        };
        if !still_needed {
            execution.give_up_waiting();
        }
        while in_time && let Some(place) = execution.next(link) {
            execution.states[place] = State::Issued;
            let order = order(execution, place, ballot);
            turn.post(execution.plan.steps[place].source, Message::Start { order });
        }
        // Failures spread along `after` also when nothing may be issued.
        let _ = execution.next(0);
        let over = execution.is_over();
        self.release_done(turn);
        if over {
            self.complete(turn);
        }
    }

    /// Sets members free whose steps are all over.
    fn release_done(&mut self, turn: &mut Turn<'_>) {
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        let Phase::Executing(execution) = &partition.phase else {
            return;
        };
        let ballot = partition.ballot;
        partition.members.retain(|member| {
            let keep = execution.needs(member.peer);
            if !keep {
                turn.post(member.peer, Message::Release { ballot });
            }
            keep
        });
    }

    /// Whether steps that have not started are still wanted: an overload may have gone away by
    /// itself, and nobody sleeps who is overloaded.
    fn still_needed(&self) -> bool {
        let Role::Leading(partition) = &self.role else {
            return false;
        };
        let overloaded = self.host.as_ref().is_some_and(|host| self.exceeds(host));
        match partition.cause {
            Cause::Overload => overloaded || !partition.taken.is_empty(),
            Cause::Maintenance => true,
            Cause::Underload => !overloaded,
        }
    }

    fn complete(&mut self, turn: &mut Turn<'_>) {
        let Role::Leading(partition) = &self.role else {
            return;
        };
        let Phase::Executing(execution) = &partition.phase else {
            return;
        };
        let succeeded = execution.has_succeeded() || !self.still_needed();
        let partial = execution.partial;
        let cause = partition.cause;
        if cause == Cause::Underload {
            return self.emptied(turn);
        }
        match (succeeded, partial) {
            (true, false) => {
                self.retry.succeeded();
                self.end(turn, PartitionEnd::Solved);
            }
            (_, true) => {
                self.back_off(turn, false);
                self.end(turn, PartitionEnd::Unsolved);
            }
            (false, false) => {
                self.try_soon(turn);
                self.end(turn, PartitionEnd::Unsolved);
            }
        }
    }

    /// At the leader: how a step stands. Whether it was meant for this side.
    pub(super) fn leader_progressed(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        migration: MigrationId,
        progress: Progress,
    ) -> bool {
        let Role::Leading(partition) = &mut self.role else {
            return false;
        };
        if !partition.owns(migration.ballot) {
            return false;
        }
        let Phase::Executing(execution) = &mut partition.phase else {
            return false;
        };
        let Some(place) = execution.place(migration.step) else {
            return false;
        };
        if execution.plan.steps[place].source != from || !execution.states[place].is_active() {
            return false;
        }
        execution.states[place] = match progress {
            Progress::Preparing | Progress::Flying => State::Running,
            Progress::Ended(MigrationEnd::Moved) => State::Moved,
            Progress::Ended(MigrationEnd::Failed) | Progress::Cancelled(_) => State::Failed,
        };
        self.advance(turn);
        true
    }

    pub(super) fn on_progressed(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        migration: MigrationId,
        progress: Progress,
    ) {
        self.see(migration.ballot);
        let as_target = self.target_progressed(turn, from, migration, progress);
        let as_leader = self.leader_progressed(turn, from, migration, progress);
        if !as_target && !as_leader {
            turn.ignore("progressed", "no such step is under way");
        }
    }

    pub(super) fn on_renewed(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        (ballot, round): (Ballot, u32),
        steps: &[(StepId, Progress)],
    ) {
        let lease = self.config.lease;
        let Role::Leading(partition) = &mut self.role else {
            return turn.ignore("renewed", "leads nothing");
        };
        if !partition.owns(ballot) {
            return turn.ignore("renewed", "of another partition");
        }
        let counted = round == partition.renew_round;
        let sent = partition.renew_sent;
        let Some(member) = partition
            .members
            .iter_mut()
            .find(|member| member.peer == from)
        else {
            return turn.post(from, Message::Release { ballot });
        };
        if counted {
            member.expires = member.expires.max(sent + lease);
        }
        self.ask_again(turn, from, steps);
        for (step, progress) in steps {
            let migration = MigrationId {
                ballot,
                step: *step,
            };
            self.leader_progressed(turn, from, migration, *progress);
        }
        self.advance(turn);
    }

    /// A source that does not know of a step which was issued has not got the order.
    fn ask_again(&mut self, turn: &mut Turn<'_>, from: PeerId, known: &[(StepId, Progress)]) {
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        let in_time = turn.now + self.config.lease_margin < partition.earliest_expiry();
        let ballot = partition.ballot;
        let Phase::Executing(execution) = &partition.phase else {
            return;
        };
        for (place, step) in execution.plan.steps.iter().enumerate() {
            let unknown = !known.iter().any(|(id, _)| *id == step.id);
            let issued = execution.states[place] == State::Issued;
            if step.source == from && issued && unknown && in_time {
                let order = order(execution, place, ballot);
                turn.post(from, Message::Start { order });
            }
        }
    }

    pub(super) fn on_parted(&mut self, turn: &mut Turn<'_>, from: PeerId, ballot: Ballot) {
        match &self.role {
            Role::Leading(partition) if partition.owns(ballot) && partition.is_member(from) => {
                self.lose_member(turn, from);
            }
            Role::Leading(_) | Role::Reserved(_) | Role::Free => {
                turn.ignore("parted", "not a member");
            }
        }
    }

    /// A member is gone: growing goes on without it, steps that concern it are given up.
    pub(super) fn lose_member(&mut self, turn: &mut Turn<'_>, peer: PeerId) {
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        partition.members.retain(|member| member.peer != peer);
        if let Phase::Executing(execution) = &mut partition.phase {
            execution.lose(peer);
        }
        let ballot = partition.id;
        let members = partition.everyone();
        turn.emit(Event::Grew { ballot, members });
        self.advance(turn);
    }

    pub(super) fn on_renew_timer(&mut self, turn: &mut Turn<'_>, id: Ballot) {
        let lease = self.config.lease;
        let Role::Leading(partition) = &mut self.role else {
            return turn.ignore("renew timer", "leads nothing");
        };
        if partition.id != id {
            return turn.ignore("renew timer", "of another partition");
        }
        let ballot = partition.ballot;
        partition.own_expires = turn.now + lease;
        partition.renew_round += 1;
        partition.renew_sent = turn.now;
        let round = partition.renew_round;
        turn.emit(Event::Reserved { ballot, lease });
        turn.schedule(self.config.renew, Timer::Renew { partition: id });
        let (gone, kept): (Vec<_>, Vec<_>) = partition
            .members
            .iter()
            .map(|member| (member.peer, member.expires))
            .partition(|(_, expires): &(PeerId, Instant)| *expires <= turn.now);
        for (peer, _) in kept {
            let message = Message::Renew {
                ballot,
                lease,
                round,
            };
            turn.post(peer, message);
        }
        for (peer, _) in gone {
            self.lose_member(turn, peer);
        }
    }
}

fn order(execution: &Execution, place: usize, ballot: Ballot) -> Order {
    let step = &execution.plan.steps[place];
    Order {
        migration: MigrationId {
            ballot,
            step: step.id,
        },
        vm: step.vm,
        target: step.target,
        claim: execution.claims[place],
        reason: step.reason,
    }
}
