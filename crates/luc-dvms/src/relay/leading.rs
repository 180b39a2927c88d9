//! A leader's work: announce, gather, ask the solver; and what members make of it.
//!
//! Steps 4 and 5 of the published algorithm, and the versions and time-outs of VMPlaceS.

use luc_core::PeerId;
use luc_core::units::MemoryMib;

use super::message::Message;
use super::partition::{Partition, State};
use super::protocol::{Relay, Turn};
use super::role::Role;
use super::timer::Timer;
use crate::ballot::Ballot;
use crate::event::{Event, PartitionEnd};
use crate::host::Host;
use crate::plan::Plan;
use crate::solver::{Goal, Problem, Style, solve};

impl Relay {
    /// Becomes the leader of the partition this node is in, with the members it knows.
    pub(super) fn lead(&mut self, turn: &mut Turn<'_>) {
        let epoch = self.next_epoch();
        let me = self.me;
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        seat.partition.version += 1;
        seat.partition.leader = me;
        seat.partition.state = State::Growing;
        seat.heard = turn.now;
        let partition = seat.partition.clone();
        turn.effects.emit(Event::Grew {
            ballot: partition.id,
            members: partition.members.iter().copied().collect(),
        });
        if partition.members.len() < usize::from(self.config.first_group) {
            seat.role = Role::Idle;
            self.announce(turn, &partition, false);
            self.send_off(turn, partition);
            return;
        }
        let others = partition.members.iter().filter(|member| **member != me);
        seat.role = Role::Gathering {
            epoch,
            reports: self.host.iter().cloned().collect(),
            missing: others.copied().collect(),
        };
        self.announce(turn, &partition, true);
        turn.effects
            .schedule(self.config.answer, Timer::Answer { epoch });
        turn.effects
            .schedule(self.config.snooze, Timer::Snooze { epoch });
        self.compute_if_complete(turn);
    }

    /// Tells all other members the version they are in.
    pub(super) fn announce(&self, turn: &mut Turn<'_>, partition: &Partition, report: bool) {
        let message = Message::Announce {
            partition: partition.clone(),
            report,
        };
        self.tell_members(turn, &partition.members, &message);
    }

    /// A member is told its partition's new version.
    pub(super) fn on_announce(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        partition: Partition,
        report: bool,
    ) {
        let (id, version) = (partition.id, partition.version);
        let accepted = self.accept(turn, partition);
        if report {
            let host = self.host.clone().map(Box::new);
            let answer = Message::Report {
                partition: id,
                version,
                host: host.filter(|_| accepted),
            };
            turn.effects.send(from, answer);
        }
    }

    /// Takes over a version if it is higher, or if it took this node's partition in.
    fn accept(&mut self, turn: &mut Turn<'_>, partition: Partition) -> bool {
        let Some(seat) = self.seat.as_deref_mut() else {
            turn.ignore("announce", "free");
            return false;
        };
        let own = &seat.partition;
        if own.id == partition.id {
            if *own == partition {
                seat.heard = turn.now;
                return true;
            }
            if !partition.replaces(own) {
                turn.ignore("announce", "outdated");
                return false;
            }
            if !partition.contains(self.me) {
                self.leave_seat(turn, PartitionEnd::Expired);
                return false;
            }
            seat.partition = partition;
            seat.heard = turn.now;
            if let Role::Merging { token, .. } = std::mem::replace(&mut seat.role, Role::Idle) {
                self.on_isp(turn, token);
            }
            true
        } else if partition.taken.contains(&own.id) && partition.contains(self.me) {
            self.free_those_left_behind(turn, &partition);
            self.leave_seat(turn, PartitionEnd::Absorbed);
            if self.seat.is_some() {
                // A token it held has led it elsewhere.
                return false;
            }
            self.take_seat(turn, partition, Role::Idle);
            true
        } else {
            turn.ignore("announce", "elsewhere");
            false
        }
    }

    /// A leader that merged others in while its partition was being taken in itself sets those
    /// free whom the taker does not know. (The published text leaves this race open; they would
    /// have stayed reserved until the time-out.)
    fn free_those_left_behind(&self, turn: &mut Turn<'_>, taker: &Partition) {
        let Some(own) = self.partition() else {
            return;
        };
        if own.leader != self.me {
            return;
        }
        let behind = own
            .members
            .iter()
            .filter(|member| !taker.contains(**member));
        let behind: Vec<_> = behind.copied().collect();
        let message = Message::Dissolve {
            partition: own.id,
            version: own.version,
            end: PartitionEnd::Absorbed,
        };
        self.tell_members(turn, &behind, &message);
    }

    /// At the leader: what a member carries.
    pub(super) fn on_report(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        (partition, version): (Ballot, u64),
        host: Option<Box<Host>>,
    ) {
        let Some(seat) = self.seat_in(partition) else {
            turn.ignore("report", "not its leader");
            return;
        };
        let Role::Gathering {
            reports, missing, ..
        } = &mut seat.role
        else {
            turn.ignore("report", "not gathering");
            return;
        };
        if seat.partition.version != version || !missing.contains(&from) {
            turn.ignore("report", "outdated");
            return;
        }
        missing.retain(|member| *member != from);
        match host {
            Some(host) if host.peer == from => reports.push(*host),
            Some(_) => turn.ignore("report", "not about its sender"),
            None if seat.partition.initiator() == from => {
                self.dissolve(turn, PartitionEnd::Stale);
                return;
            }
            None => seat.partition.remove(from),
        }
        self.compute_if_complete(turn);
    }

    fn compute_if_complete(&mut self, turn: &mut Turn<'_>) {
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        if let Role::Gathering {
            reports, missing, ..
        } = &mut seat.role
            && missing.is_empty()
        {
            let hosts = std::mem::take(reports);
            seat.role = Role::Idle;
            self.compute(turn, hosts);
        }
    }

    /// Asks the solver about the partition only.
    fn compute(&mut self, turn: &mut Turn<'_>, mut hosts: Vec<Host>) {
        let Some(partition) = self.partition().cloned() else {
            return;
        };
        if !hosts.iter().any(Host::is_overloaded) {
            self.dissolve(turn, PartitionEnd::Stale);
            return;
        }
        hosts.sort_unstable_by_key(|host| host.peer);
        let problem = Problem {
            hosts: &hosts,
            distance: &[],
            goal: Goal::Relieve,
            style: Style::Published,
        };
        let solution = solve(&problem, self.config.solver_budget);
        let solved = solution.solved && !solution.plan.steps.is_empty();
        turn.effects.emit(Event::Computed {
            ballot: partition.id,
            hosts: hosts.len() as u16,
            steps: solution.steps,
            solved,
        });
        if !solution.barred.is_empty() {
            turn.effects.emit(Event::Barred {
                ballot: partition.id,
                barred: solution.barred,
            });
        }
        if solved {
            self.finish(turn, &solution.plan, &hosts);
        } else {
            self.send_off(turn, partition);
        }
    }

    /// A solution: nobody may be merged in any more; the plan is applied.
    fn finish(&mut self, turn: &mut Turn<'_>, plan: &Plan, hosts: &[Host]) {
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        seat.partition.state = State::Finishing;
        seat.partition.version += 1;
        let partition = seat.partition.clone();
        self.announce(turn, &partition, false);
        let memory: MemoryMib = plan.steps.iter().map(|step| step.memory).sum();
        turn.effects.emit(Event::Planned {
            ballot: partition.id,
            plan: plan.clone(),
            memory,
        });
        self.apply(turn, plan, hosts);
    }

    /// The leader at work keeps its members from giving up, and looks after its step.
    pub(super) fn on_snooze(&mut self, turn: &mut Turn<'_>, epoch: u64) {
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        let at_work = match &seat.role {
            Role::Gathering { epoch: work, .. } | Role::Applying { epoch: work, .. } => *work,
            Role::Idle | Role::Asking { .. } | Role::Merging { .. } => return,
        };
        if at_work != epoch {
            return;
        }
        seat.heard = turn.now;
        let message = Message::Snooze {
            partition: seat.partition.id,
            version: seat.partition.version,
        };
        let members = seat.partition.members.clone();
        self.tell_members(turn, &members, &message);
        turn.effects
            .schedule(self.config.snooze, Timer::Snooze { epoch });
        self.look_after_step(turn);
    }

    /// A member hears that its leader is at work.
    pub(super) fn on_snoozed(&mut self, turn: &mut Turn<'_>, partition: Ballot, version: u64) {
        let now = turn.now;
        match self.seat_in(partition) {
            Some(seat) if seat.partition.version <= version => seat.heard = now,
            Some(_) => turn.ignore("snooze", "outdated"),
            None => turn.ignore("snooze", "elsewhere"),
        }
    }

    /// A member is set free.
    pub(super) fn on_dissolve(
        &mut self,
        turn: &mut Turn<'_>,
        partition: Ballot,
        version: u64,
        end: PartitionEnd,
    ) {
        match self.seat_in(partition) {
            Some(seat) if seat.partition.version <= version => self.leave_seat(turn, end),
            Some(_) => turn.ignore("dissolve", "outdated"),
            None => turn.ignore("dissolve", "elsewhere"),
        }
    }

    /// No word of the partition for too long: it is dissolved for everybody.
    pub(super) fn on_stale(&mut self, turn: &mut Turn<'_>, partition: Ballot) {
        let (now, stale) = (turn.now, self.config.stale);
        let Some(seat) = self.seat_in(partition) else {
            return;
        };
        let silent = now.since(seat.heard);
        if silent < stale {
            turn.effects
                .schedule(stale.saturating_sub(silent), Timer::Stale { partition });
        } else {
            self.dissolve(turn, PartitionEnd::Expired);
        }
    }
}
