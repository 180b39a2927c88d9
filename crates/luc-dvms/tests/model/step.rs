//! What a node wants done after one input: carried out at once, and watched.
//!
//! Facts about reservations are compared with what the node said before; commands to migrate with
//! who holds the node and where the machine is.

use std::sync::Arc;

use luc_core::time::{Duration, Instant};
use luc_core::{Effect, PeerId};
use luc_dvms::command::{Candidate, MigrationId, SearchId};
use luc_dvms::event::PartitionEnd;
use luc_dvms::{Ballot, Command, Dvms, Event, VmId};

use super::cloud::{Cloud, Letter, State, Trip};
use super::laws::Law;
use super::node::Node;
use super::scenes::peer;

/// What one input made a node want.
pub(crate) struct Step<'a> {
    cloud: &'a Cloud,
    node: usize,
    /// What the node was freed of in this very step.
    freed: Option<(Ballot, Instant)>,
    /// Whether a partition of its own ended in this very step.
    ended: bool,
    pub(crate) answers: Vec<Command>,
}

impl<'a> Step<'a> {
    pub(crate) const fn new(cloud: &'a Cloud, node: usize) -> Self {
        Self {
            cloud,
            node,
            freed: None,
            ended: false,
            answers: Vec::new(),
        }
    }

    pub(crate) fn carry_out(&mut self, state: &mut State, effect: Effect<Dvms>) {
        let own = Arc::make_mut(&mut state.nodes[self.node]);
        match effect {
            Effect::Persist(record) => own.durable = Some(record),
            Effect::Schedule { after, timer } => own.schedule(state.now + after, timer),
            Effect::Send { to, message } => {
                let to = to.node as usize;
                if state.nodes[to].is_up() {
                    let from = self.node;
                    state.post(Letter { from, to, message });
                }
            }
            Effect::Emit(event) => self.take_in(state, event),
        }
    }

    fn take_in(&mut self, state: &mut State, event: Event) {
        match event {
            Event::Search {
                search,
                outside,
                count,
            } => {
                let ring = state.nodes.len();
                let successors = (1..ring).map(|hop| peer((self.node + hop) % ring));
                let offered = successors.filter(|other| !outside.contains(other));
                let offered = offered.map(candidate).collect();
                self.own(state).searches.insert(search, offered);
                self.answer(state, search, count);
            }
            Event::SearchMore { search, count } => self.answer(state, search, count),
            Event::SearchEnd { search } => {
                self.own(state).searches.remove(&search);
            }
            Event::Migrate {
                migration,
                vm,
                target,
                ..
            } => self.depart(state, migration, vm, target),
            Event::Expect {
                migration, claim, ..
            } => {
                self.fenced(state, migration, "a machine was expected");
                self.own(state).claims.insert(migration, claim);
            }
            Event::Unexpect { migration } => {
                self.own(state).claims.remove(&migration);
            }
            Event::Reserved { ballot, lease } => self.reserved(state, ballot, lease),
            Event::Freed { ballot } => {
                let own = self.own(state);
                if own.held.is_some_and(|(held, _)| held == ballot) {
                    self.freed = own.held.take();
                }
            }
            Event::Began { ballot, .. } => {
                state.open.insert(ballot, state.now);
            }
            Event::Ended { ballot, end, .. } => {
                self.ended = true;
                self.cloud.reached.note(match end {
                    PartitionEnd::Solved => "solved",
                    PartitionEnd::Stale => "stale",
                    PartitionEnd::Unsolved => "unsolved",
                    PartitionEnd::Contended => "contended",
                    PartitionEnd::Absorbed => "yielded",
                    PartitionEnd::Expired => "expired",
                });
                state.open.remove(&ballot);
            }
            Event::Absorbed { ballot, taken } => {
                self.cloud.reached.note("absorbed");
                state.handed_over.insert((taken.leader, ballot.leader));
            }
            Event::Planned { .. } => self.cloud.reached.note("planned"),
            Event::TookOver { .. } => self.cloud.reached.note("took over"),
            Event::LeaseExpired { .. } => self.cloud.reached.note("lease expired in flight"),
            Event::CapReached { .. }
            | Event::Grew { .. }
            | Event::Computed { .. }
            | Event::Barred { .. }
            | Event::Advertise { .. }
            | Event::Sleep
            | Event::Wake(_)
            | Event::Ignored { .. } => {}
        }
    }

    fn own<'s>(&self, state: &'s mut State) -> &'s mut Node {
        Arc::make_mut(&mut state.nodes[self.node])
    }

    /// The overlay's answer: the next nodes of the ring.
    fn answer(&mut self, state: &mut State, search: SearchId, count: u16) {
        let Some(left) = self.own(state).searches.get_mut(&search) else {
            return;
        };
        let found: Vec<Candidate> = left.drain(..left.len().min(count.into())).collect();
        self.answers.push(if found.is_empty() {
            Command::Exhausted { search }
        } else {
            Command::Neighbours { search, found }
        });
    }

    fn depart(&self, state: &mut State, migration: MigrationId, vm: VmId, target: PeerId) {
        self.fenced(state, migration, "a machine was sent");
        let target = target.node as usize;
        if state.trips.iter().any(|trip| trip.vm == vm) {
            return state.broke(Law::OneHostPerVm, "a machine was sent that is on its way");
        }
        if !state.nodes[self.node].vms.iter().any(|one| one.id == vm) {
            return state.broke(Law::OneHostPerVm, "a machine was sent that is elsewhere");
        }
        state.trips.push(Trip {
            migration,
            vm,
            source: self.node,
            target,
            began: state.now,
        });
        state.trips.sort_unstable();
    }

    /// A step may be begun only by those who are held by its leader, under no higher ballot.
    fn fenced(&self, state: &mut State, migration: MigrationId, what: &str) {
        if !self.cloud.is_star() {
            return;
        }
        let under = migration.ballot;
        let how = match state.nodes[self.node].held {
            None => "which is free".to_owned(),
            Some((held, _)) if held.leader != under.leader => format!("which is held under {held}"),
            Some((held, _)) if held > under => format!("which has accepted {held}"),
            Some((_, until)) if until < state.now => format!("whose lease ended at {until}"),
            Some(_) => return,
        };
        let what = format!("{what} under {under} at n{}, {how}", self.node);
        state.broke(Law::NoStaleStep, &what);
    }

    fn reserved(&mut self, state: &mut State, ballot: Ballot, lease: Duration) {
        let now = state.now;
        let me = peer(self.node);
        let before = state.nodes[self.node].held;
        let freed = self.freed.filter(|_| ballot.leader != me);
        if let Some((old, _)) = before.or(freed).filter(|(_, until)| *until > now) {
            let given = state.handed_over.contains(&(old.leader, ballot.leader))
                || old.leader == me && self.ended;
            if old.leader != ballot.leader && !given {
                let what = format!(
                    "n{} is held under {old} and was reserved under {ballot}",
                    self.node
                );
                state.broke(Law::OneLeaderPerNode, &what);
            }
            if old.leader == ballot.leader && ballot < old {
                let what = format!("n{} went back from {old} to {ballot}", self.node);
                state.broke(Law::OneLeaderPerNode, &what);
            }
        }
        self.own(state).held = Some((ballot, now + lease));
    }
}

fn candidate(peer: PeerId) -> Candidate {
    Candidate {
        peer,
        distance: Duration::from_millis(1),
        asleep: false,
        room: 0,
    }
}
