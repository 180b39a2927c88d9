//! Asking the solver, and what follows from its answer.

use luc_core::PeerId;
use luc_core::time::Duration;

use super::partition::Phase;
use super::protocol::{Role, Star};
use super::turn::Turn;
use crate::event::{Cause, Event, PartitionEnd};
use crate::host::{Cpu, Host};
use crate::plan::{Plan, Reason, Step};
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
            let plan = self.at_once(solution.plan);
            return self.execute(turn, plan, false);
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
        let (mut hosts, mut distance) = self.gather(turn)?;
        let Role::Leading(partition) = &mut self.role else {
            return None;
        };
        partition.fresh = false;
        let ballot = partition.id;
        let members = partition.everyone();
        let asleep = partition.cause == Cause::Underload;
        if asleep {
            follow_the_load(&mut hosts);
            self.keep_staying(&mut hosts, &mut distance)?;
            emptiest_first(&mut hosts, &mut distance);
        }
        let solution = self.ask_solver(&hosts, &distance);
        turn.emit(Event::Grew { ballot, members });
        turn.emit(Event::Computed {
            ballot,
            hosts: hosts.len() as u16,
            steps: solution.steps,
            solved: solution.solved,
        });
        if !solution.barred.is_empty() {
            let barred = solution.barred.clone();
            turn.emit(Event::Barred { ballot, barred });
        }
        if !asleep {
            self.wake_if_short(turn, &hosts);
        }
        Some(solution)
    }

    /// This host and those of the members that can help, with their distances.
    fn gather(&self, turn: &Turn<'_>) -> Option<(Vec<Host>, Vec<Duration>)> {
        let own = self.host_now(turn.now)?;
        let headroom = self.headroom();
        let Role::Leading(partition) = &self.role else {
            return None;
        };
        let overload = partition.cause == Cause::Overload;
        let members = partition.members.iter().map(|member| member.host.as_ref());
        let tide = tide(demand_and_usual(members.chain([own.as_ref()])));
        let sleeps = self.config.energy.is_some();
        let least = own.vms.iter().map(|vm| vm.usual).min().unwrap_or_default();
        let least = if sleeps { least } else { Cpu(0) };
        let mut hosts: Vec<Host> = Vec::with_capacity(partition.members.len() + 1);
        let mut distance: Vec<Duration> = Vec::with_capacity(hosts.capacity());
        hosts.push(own.as_ref().clone());
        distance.push(Duration::ZERO);
        for member in &partition.members {
            // A member with an overload of its own neither helps nor is helped here: it begins
            // its own partition when it is free again. Those taken in with their events stay.
            let host = &member.host;
            // Whoever has to leave the site anyway goes no farther than to the first room there is.
            let judged = overload && (sleeps || member.peer.site == self.me.site);
            let full = judged && is_full_for_long(host, least, tide);
            let helps = !full && !host.is_overloaded();
            if helps || partition.taken.contains(&member.peer) {
                hosts.push(member.host.as_ref().clone());
                distance.push(member.distance);
            }
        }
        for host in &mut hosts {
            host.capacity.cpu = host.capacity.cpu.minus(headroom);
        }
        Some((hosts, distance))
    }

    /// Asks the solver. To sleep, few and full targets are better than many: the solver gets the
    /// fullest at first, and more as long as they do not suffice.
    fn ask_solver(&self, hosts: &[Host], distance: &[Duration]) -> Solution {
        let cause = match &self.role {
            Role::Leading(partition) => partition.cause,
            Role::Reserved(_) | Role::Free => Cause::Overload,
        };
        let (goal, mut count) = match cause {
            Cause::Overload => (Goal::Relieve, hosts.len()),
            Cause::Maintenance => (Goal::Evacuate { host: self.me }, hosts.len()),
            Cause::Underload => (Goal::Consolidate { host: self.me }, hosts.len().min(2)),
        };
        let mut steps = 0;
        loop {
            let problem = Problem {
                hosts: &hosts[..count],
                distance: &distance[..count],
                goal,
                style: self.style(hosts),
            };
            let mut solution = solve(&problem, self.config.solver_budget);
            steps += solution.steps;
            if solution.solved || count == hosts.len() {
                solution.steps = steps;
                return solution;
            }
            count += 1;
        }
    }

    fn wants_sleep(&self) -> bool {
        matches!(&self.role, Role::Leading(partition) if partition.cause == Cause::Underload)
    }

    /// How the solver chooses: to sleep, with the moods that this host's machines really have.
    fn style(&self, hosts: &[Host]) -> Style {
        let (Style::Ours { weights }, Role::Leading(partition)) = (self.config.style, &self.role)
        else {
            return self.config.style;
        };
        match (partition.cause, &self.config.energy) {
            (Cause::Underload, Some(energy)) => Style::Ours {
                weights: Weights {
                    deviation: self.moods_soon(hosts).deviation(),
                    deviation_permille: 0,
                    consolidation_risk_permille: energy.risk_permille,
                    ..weights
                },
            },
            (Cause::Overload, Some(energy)) => Style::Ours {
                weights: Weights {
                    risk_ms: energy.risk_ms,
                    near_risk_ms: energy.near_risk_ms,
                    ..weights
                },
            },
            _ => self.config.style,
        }
    }

    /// Of several independent moves away from this host, those that its link carries at once. The
    /// others are planned anew when it is free: until then nobody is kept for them, and then
    /// fresh samples tell where they go.
    fn at_once(&self, mut plan: Plan) -> Plan {
        let overload = |step: &Step| {
            let alone = step.source == self.me && step.after.is_empty();
            alone && matches!(step.reason, Reason::Overload { .. })
        };
        if plan.steps.iter().all(overload) {
            plan.steps
                .truncate(usize::from(self.config.link_migrations));
        }
        plan
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

/// Where the load of all hosts of a partition goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tide {
    Steady,
    Rising,
    Falling,
}

/// What all machines of these hosts ask for now, and usually.
fn demand_and_usual<'a>(hosts: impl Iterator<Item = &'a Host>) -> (u64, u64) {
    let vms = hosts.flat_map(|host| &host.vms);
    vms.fold((0, 0), |(demand, usual), vm| {
        (
            demand + u64::from(vm.demand.0),
            usual + u64::from(vm.usual.0),
        )
    })
}

/// The tide, if what is asked for now differs from what is usual by more than a seventh.
fn tide((demand, usual): (u64, u64)) -> Tide {
    if usual == 0 || demand.abs_diff(usual) * 7 < usual {
        Tide::Steady
    } else if demand > usual {
        Tide::Rising
    } else {
        Tide::Falling
    }
}

/// Whether a host would be asked for more than it has in the long run, if it took in a machine
/// that usually asks for `least`: a relief that does not last is not worth a migration. A tide is
/// taken to go on.
fn is_full_for_long(host: &Host, least: Cpu, tide: Tide) -> bool {
    let usual: Cpu = host.vms.iter().map(|vm| vm.usual).sum();
    let demand = host.demand();
    let long = match tide {
        Tide::Steady => usual,
        Tide::Rising => Cpu(demand.0.saturating_mul(3))
            .minus(usual)
            .minus(usual)
            .max(usual),
        Tide::Falling => demand.plus(demand).minus(usual).min(usual),
    };
    long.plus(least) > host.capacity.cpu
}

/// Where the load of all hosts together has just fallen or risen, what is usual is what they ask
/// for now: the averages still follow.
fn follow_the_load(hosts: &mut [Host]) {
    let (demand, usual) = demand_and_usual(hosts.iter());
    if tide((demand, usual)) == Tide::Steady {
        return;
    }
    for vm in hosts.iter_mut().flat_map(|host| &mut host.vms) {
        vm.usual = Cpu((u64::from(vm.usual.0) * demand / usual) as u32);
    }
}

/// Sorts all hosts but the first by how much their machines usually ask for, the emptiest first.
fn emptiest_first(hosts: &mut [Host], distance: &mut [Duration]) {
    let usual = |host: &Host| host.vms.iter().map(|vm| vm.usual).sum::<Cpu>();
    let mut order: Vec<usize> = (1..hosts.len()).collect();
    order.sort_by_key(|place| usual(&hosts[*place]));
    let sorted: Vec<(Host, Duration)> = order
        .into_iter()
        .map(|place| (hosts[place].clone(), distance[place]))
        .collect();
    for (place, (host, near)) in sorted.into_iter().enumerate() {
        hosts[place + 1] = host;
        distance[place + 1] = near;
    }
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
