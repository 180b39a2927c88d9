//! A start in the steady state, for simulations of clouds that have long been running.
//!
//! Nobody announces anything: each node is given the members it would have learnt. The timers get
//! random phases, as if the nodes had been started one by one.

use luc_core::PeerId;
use luc_core::entropy::{Entropy, SplitMix64};
use luc_core::protocol::Effects;
use luc_core::time::Instant;

use crate::coordinate::Coordinate;
use crate::event::Event;
use crate::measure::ECHOES_SOON;
use crate::members::{Known, Members};
use crate::message::Scope;
use crate::pool::Outbox;
use crate::pool::identity::Identity;
use crate::protocol::{Overlay, Phase};
use crate::search::Finder;

/// What a node of a running cloud knows. The same value may be given to every node of a site.
#[derive(Clone, Copy, Debug)]
pub struct Seed<'a> {
    /// The nodes of the own site with where they are; the node itself may be among them.
    pub site: &'a [(PeerId, Option<Coordinate>)],
    /// The delegates of all sites in order of names: of each the lowest nodes, as many as
    /// configured. The time that all of them together need to take each other in grows with the
    /// cube of their number: 2 s for 2 048, 44 s for the 6 250 of 100 000 nodes in sites of 32.
    /// Fewer would do for a run to begin, but news of the others would then fill the first minutes
    /// with gossip that a cloud in the steady state does not have.
    pub delegates: &'a [(PeerId, Option<Coordinate>)],
}

/// The incarnation in which every node of such a cloud lives.
const FIRST: u32 = 1;

impl Overlay {
    /// Takes part from now on, as a node that has done so for long. Only for one that was never
    /// started; `Command::Start` is not needed afterwards.
    pub fn seed(&mut self, now: Instant, seed: &Seed<'_>, effects: &mut Effects<Self>) {
        if self.phase != Phase::Idle || self.directory.is_some() {
            return effects.emit(Event::Ignored {
                reason: "a start in the steady state of a node that cannot have one",
            });
        }
        let found = seed.delegates.binary_search_by_key(&self.me, |one| one.0);
        let delegate = found.is_ok();
        self.place(seed.site);
        self.know(seed, delegate);
        self.begin();
        self.incarnation = 0;
        self.open_with(now, Scope::Site, seed.site, effects);
        if delegate {
            self.incarnation = 0;
            self.open_with(now, Scope::Cloud, seed.delegates, effects);
        } else {
            self.draw_contacts(seed.delegates);
        }
        self.echoes = ECHOES_SOON;
        self.schedule_echo(effects);
        self.find(now, effects, Finder::start);
    }

    fn place(&mut self, site: &[(PeerId, Option<Coordinate>)]) {
        let own = site.iter().find(|(peer, _)| *peer == self.me);
        if let Some(coordinate) = own.and_then(|(_, coordinate)| *coordinate) {
            // A damaged one is refused; the node then learns from nothing.
            let _ = self.vivaldi.restore(coordinate);
        }
    }

    /// Fills the table, so that the pools' notices find nothing new.
    fn know(&mut self, seed: &Seed<'_>, delegate: bool) {
        let (me, own) = (self.me, self.me.site);
        let mates = seed.site.iter().filter(|(peer, _)| peer.site == own);
        let others = seed.delegates.iter().filter(|(peer, _)| peer.site != own);
        let others = others.take(if delegate { usize::MAX } else { 0 });
        let known =
            mates
                .chain(others)
                .filter(|(peer, _)| *peer != me)
                .map(|(peer, coordinate)| Known {
                    coordinate: *coordinate,
                    edition: u16::from(coordinate.is_some()),
                    ..Known::unheard(*peer)
                });
        self.members = Members::of(known.collect());
    }

    fn open_with(
        &mut self,
        now: Instant,
        scope: Scope,
        members: &[(PeerId, Option<Coordinate>)],
        effects: &mut Effects<Self>,
    ) {
        self.open(scope, effects);
        let (me, own) = (self.me, self.me.site);
        let phase = SplitMix64::new(self.entropy.next_u64());
        let Some((pool, _)) = self.pool(scope) else {
            return;
        };
        let mut outbox = Outbox::with_phase(phase);
        let belongs = |peer: PeerId| peer != me && (scope == Scope::Cloud || peer.site == own);
        let members = members.iter().map(|(peer, _)| *peer);
        let members = members.filter(|peer| belongs(*peer)).map(|peer| Identity {
            peer,
            incarnation: FIRST,
        });
        pool.adopt(members, &mut outbox);
        outbox.phase = None;
        // The table is filled already, which is faster than one notice at a time.
        outbox.notices.clear();
        self.settle(now, scope, outbox, None, effects);
    }

    fn draw_contacts(&mut self, delegates: &[(PeerId, Option<Coordinate>)]) {
        let (own, most) = (self.me.site, self.swim.contacts);
        for _ in 0..2 * most {
            let drawn = self.entropy.next_u64().checked_rem(delegates.len() as u64);
            if let Some((peer, _)) = drawn.and_then(|at| delegates.get(at as usize)) {
                self.contacts.remember(*peer, own, most);
            }
        }
    }
}
