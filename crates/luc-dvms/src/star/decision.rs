//! Asking the solver, and what follows from its answer.

use luc_core::PeerId;
use luc_core::time::Duration;

use super::partition::Phase;
use super::protocol::{Role, Star};
use super::turn::Turn;
use crate::event::{Cause, Event, PartitionEnd};
use crate::host::{Cpu, Host};
use crate::plan::Plan;
use crate::solver::{Goal, Problem, Solution, Style, Weights, solve};

impl Star {
    /// Everybody who was waited for has answered: solve, or go on growing.
    pub(super) fn decide(&mut self, turn: &mut Turn<'_>) {
        let Role::Leading(partition) = &self.role else {
            return;
        };
        if matches!(partition.phase, Phase::Executing(_)) {
            return;
        }
        if !self.is_wanted() {
            self.retry.succeeded();
            return self.end(turn, PartitionEnd::Stale);
        }
        if !partition.fresh {
            return self.grow(turn);
        }
        let Some(solution) = self.compute(turn) else {
            if self.wants_sleep() {
                self.stay_awake(turn);
            }
            return self.end(turn, PartitionEnd::Stale);
        };
        if solution.plan.steps.is_empty() {
            if solution.solved && self.may_leave() {
                return self.emptied(turn);
            }
            return self.grow(turn);
        }
        if solution.solved || self.relieves_owners(&solution.plan) {
            return self.execute(turn, solution.plan, false);
        }
        if let Role::Leading(partition) = &mut self.role {
            partition.partial = Some(solution);
        }
        self.grow(turn);
    }

    /// Whether the event that the partition began for is still there, here or at a leader that
    /// was taken in.
    fn is_wanted(&self) -> bool {
        let Role::Leading(partition) = &self.role else {
            return false;
        };
        let Some(host) = &self.host else {
            return false;
        };
        match partition.cause {
            Cause::Overload => self.exceeds(host) || !partition.taken.is_empty(),
            Cause::Maintenance => host.maintenance,
            Cause::Underload => !host.is_overloaded(),
        }
    }

    /// Whether this host is empty, wants to sleep, and has a neighbour of its site that is awake.
    fn may_leave(&self) -> bool {
        let (Role::Leading(partition), Some(host)) = (&self.role, &self.host) else {
            return false;
        };
        let mut members = partition.members.iter();
        let kept = members.any(|member| member.peer.site == self.me.site);
        partition.cause == Cause::Underload && host.vms.is_empty() && kept
    }

    /// Asks the solver about everybody who is reserved.
    fn compute(&mut self, turn: &mut Turn<'_>) -> Option<Solution> {
        let own = self.host_now(turn.now)?;
        let headroom = self.headroom();
        let style = self.style();
        let Role::Leading(partition) = &mut self.role else {
            return None;
        };
        partition.fresh = false;
        let overload = partition.cause == Cause::Overload;
        let ahead = self.config.energy.is_some();
        let least = own.vms.iter().map(|vm| vm.usual).min().unwrap_or_default();
        let mut hosts: Vec<Host> = Vec::with_capacity(partition.members.len() + 1);
        let mut distance: Vec<Duration> = Vec::with_capacity(hosts.capacity());
        hosts.push(own.as_ref().clone());
        distance.push(Duration::ZERO);
        for member in &partition.members {
            // A member with an overload of its own neither helps nor is helped here: it begins
            // its own partition when it is free again. Those taken in with their events stay.
            let helps = !member.host.is_overloaded()
                && !(overload && is_full_for_long(&member.host, least, ahead));
            if !helps && !partition.taken.contains(&member.peer) {
                continue;
            }
            hosts.push(member.host.as_ref().clone());
            distance.push(member.distance);
        }
        for host in &mut hosts {
            host.capacity.cpu = host.capacity.cpu.minus(headroom);
        }
        let goal = match partition.cause {
            Cause::Overload => Goal::Relieve,
            Cause::Maintenance => Goal::Evacuate { host: self.me },
            Cause::Underload => Goal::Consolidate { host: self.me },
        };
        let problem = Problem {
            hosts: &hosts,
            distance: &distance,
            goal,
            style,
        };
        let solution = solve(&problem, self.config.solver_budget);
        let ballot = partition.id;
        turn.emit(Event::Grew {
            ballot,
            members: partition.everyone(),
        });
        turn.emit(Event::Computed {
            ballot,
            hosts: hosts.len() as u16,
            steps: solution.steps,
            solved: solution.solved,
        });
        if overload {
            self.wake_if_short(turn, &hosts);
        } else if self.wants_sleep() && !self.is_spare(&hosts) {
            return None;
        }
        Some(solution)
    }

    fn wants_sleep(&self) -> bool {
        matches!(&self.role, Role::Leading(partition) if partition.cause == Cause::Underload)
    }

    /// How the solver chooses: to sleep, with the moods that this host's machines really have.
    fn style(&self) -> Style {
        let (Style::Ours { weights }, Role::Leading(partition)) = (self.config.style, &self.role)
        else {
            return self.config.style;
        };
        match (partition.cause, self.mood.deviation(), &self.config.energy) {
            (Cause::Underload, Some(deviation), Some(energy)) => Style::Ours {
                weights: Weights {
                    deviation,
                    deviation_permille: 0,
                    consolidation_risk_permille: energy.risk_permille,
                    ..weights
                },
            },
            _ => self.config.style,
        }
    }

    /// Whether a plan removes the overloads that this partition is there for, even if a member
    /// has another of its own.
    fn relieves_owners(&self, plan: &Plan) -> bool {
        let (Role::Leading(partition), Some(own)) = (&self.role, &self.host) else {
            return false;
        };
        if partition.cause != Cause::Overload {
            return false;
        }
        let taken = partition
            .members
            .iter()
            .filter(|m| partition.taken.contains(&m.peer));
        let mut owners = taken
            .map(|member| member.host.as_ref())
            .chain([own.as_ref()]);
        owners
            .all(|host| demand_after(host, plan, |peer| self.demands_at(peer)) <= host.capacity.cpu)
    }

    /// The machines of a member or of this node.
    fn demands_at(&self, peer: PeerId) -> Option<&Host> {
        if peer == self.me {
            return self.host.as_deref();
        }
        let Role::Leading(partition) = &self.role else {
            return None;
        };
        let member = partition
            .members
            .iter()
            .find(|member| member.peer == peer)?;
        Some(&member.host)
    }

    /// No further growth: at least what lowers the overload, then wait before the next try.
    pub(super) fn give_up(&mut self, turn: &mut Turn<'_>, capped: bool) {
        let excess = self
            .host
            .as_ref()
            .map_or(Cpu(0), |host| host.demand().minus(host.capacity.cpu));
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        let partial = partition.partial.take().filter(|solution| {
            let ends = |peer: PeerId| peer == self.me || partition.is_member(peer);
            let mut steps = solution.plan.steps.iter();
            // A relief that is a small part of the overload is not worth its migrations.
            solution.relieved.0.saturating_mul(4) >= excess.0
                && steps.all(|step| ends(step.source) && ends(step.target))
        });
        let cause = partition.cause;
        if let Some(solution) = partial
            && cause != Cause::Underload
        {
            return self.execute(turn, solution.plan, true);
        }
        if cause == Cause::Underload {
            self.stay_awake(turn);
        } else {
            self.wake_somebody(turn);
            self.back_off(turn, capped);
        }
        self.end(turn, PartitionEnd::Unsolved);
    }
}

/// Whether a host would be asked for more than it has in the long run, if it took in a machine
/// that usually asks for `least`: a relief that does not last is not worth a migration.
/// Where loads of whole clouds come and go (`ahead`), what rises is taken to rise on.
fn is_full_for_long(host: &Host, least: Cpu, ahead: bool) -> bool {
    let usual: Cpu = host.vms.iter().map(|vm| vm.usual).sum();
    let rise = host.demand().minus(usual);
    let long = if ahead {
        usual.plus(rise).plus(rise)
    } else {
        usual
    };
    long.plus(least) > host.capacity.cpu
}

/// What a host's machines ask for when the plan has been carried out.
fn demand_after<'a>(host: &Host, plan: &Plan, at: impl Fn(PeerId) -> Option<&'a Host>) -> Cpu {
    let mut demand = host.demand();
    for step in &plan.steps {
        let source = at(step.source);
        let vm = source.and_then(|source| source.vms.iter().find(|vm| vm.id == step.vm));
        let Some(vm) = vm else { continue };
        if step.source == host.peer {
            demand = demand.minus(vm.demand);
        }
        if step.target == host.peer {
            demand = demand.plus(vm.demand);
        }
    }
    demand
}
