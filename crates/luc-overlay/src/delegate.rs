//! Who stands for a site in the cloud pool, and how the others keep a way out.
//!
//! There is no vote: the delegates of a site are its lowest nodes that are awake and alive, as
//! each node sees them. While views differ there may be one more or one fewer for a few seconds,
//! which harms nothing. A node that comes to be one asks another delegate of its site for the
//! cloud's members and announces itself to the contacts it remembers; one that ceases to be one
//! says so and forgets the other sites but for a few contacts.

use luc_core::PeerId;
use luc_core::entropy::Entropy;
use luc_core::protocol::Effects;
use luc_core::time::Instant;

use crate::contacts::{draw, draw_some};
use crate::event::Event;
use crate::members::Change;
use crate::message::{Farewell, Message, Scope};
use crate::neighbour::Standing;
use crate::pool::identity::Identity;
use crate::protocol::{Overlay, Phase};
use crate::timer::Timer;

/// How many delegates one message of a roster names.
const ROSTER_PART: usize = 512;

/// How many contacts one message names at most.
const NAMED_MAX: usize = 16;

/// How many contacts ride on a packet.
const RIDING: usize = 3;

impl Overlay {
    /// The delegates of the own site as this node sees them.
    pub fn delegates(&self) -> Vec<PeerId> {
        let mates = self.members.iter_site(self.me.site);
        let awake = mates.filter(|known| known.standing == Standing::Awake);
        let mut peers: Vec<_> = awake
            .map(|known| known.peer)
            .take(usize::from(self.swim.delegates))
            .collect();
        if self.phase == Phase::Serving {
            let at = peers.partition_point(|peer| *peer < self.me);
            peers.insert(at, self.me);
        }
        peers.truncate(usize::from(self.swim.delegates));
        peers
    }

    /// Whether this node is one of the lowest that are awake.
    pub(crate) fn should_be_delegate(&self) -> bool {
        let mates = self.members.iter_site(self.me.site);
        let lower = mates.take_while(|known| known.peer < self.me);
        let awake = lower.filter(|known| known.standing == Standing::Awake);
        awake.take(usize::from(self.swim.delegates)).count() < usize::from(self.swim.delegates)
    }

    /// Looks at the own role once the site has been quiet for a while, if it may have changed.
    pub(crate) fn look_at_role(&mut self, effects: &mut Effects<Self>) {
        if self.should_be_delegate() != self.is_delegate() {
            self.look_at_role_later(effects);
        }
    }

    pub(crate) fn look_at_role_later(&mut self, effects: &mut Effects<Self>) {
        if !self.role_due {
            self.role_due = true;
            let epoch = self.epoch;
            effects.schedule(self.swim.settle, Timer::Role { epoch });
        }
    }

    pub(crate) fn on_role_due(&mut self, now: Instant, epoch: u16, effects: &mut Effects<Self>) {
        if epoch != self.epoch || self.phase != Phase::Serving {
            return;
        }
        self.role_due = false;
        self.drop_stale(now, effects);
        match (self.should_be_delegate(), self.is_delegate()) {
            (true, false) => self.take_office(now, effects),
            (false, true) => self.resign(now, effects),
            (true, true) | (false, false) => {}
        }
    }

    /// Members kept over a sleep that did not turn up again have failed meanwhile.
    fn drop_stale(&mut self, now: Instant, effects: &mut Effects<Self>) {
        if !self.stale {
            return;
        }
        let Some(pool) = self.site.as_deref().filter(|pool| pool.len() > 0) else {
            return self.look_at_role_later(effects);
        };
        self.stale = false;
        let gone = self.members.extract(|known| {
            known.standing == Standing::Asleep || pool.incarnation(known.peer).is_some()
        });
        for peer in gone {
            self.vivaldi.forget(peer);
            effects.emit(Event::Failed(peer));
            self.changed(now, Change::Failed(peer), effects);
        }
    }

    fn take_office(&mut self, now: Instant, effects: &mut Effects<Self>) {
        self.open(Scope::Cloud, effects);
        let other = self.delegates().into_iter().find(|peer| *peer != self.me);
        if let Some(other) = other {
            effects.send(other, Message::RosterWanted);
        }
        let epoch = self.epoch_of(Scope::Cloud);
        self.on_join_due(now, Scope::Cloud, epoch, 0, effects);
    }

    fn resign(&mut self, now: Instant, effects: &mut Effects<Self>) {
        self.say_farewell(now, Scope::Cloud, Farewell::Resigned, effects);
        self.remember_ways_out();
        self.close(Scope::Cloud);
        self.drop_strangers(now, effects);
    }

    /// A delegate remembers a few members of other sites before it forgets them all.
    pub(crate) fn remember_ways_out(&mut self) {
        let (own, most) = (self.me.site, self.swim.contacts);
        for peer in self.strangers(usize::from(most)) {
            self.contacts.remember(peer, own, most);
        }
    }

    /// Up to `count` members of other sites, drawn.
    fn strangers(&mut self, count: usize) -> Vec<PeerId> {
        let own = self.members.iter_site(self.me.site).len();
        let others = self.members.len() - own;
        if others <= count {
            let known = self.members.iter().map(|known| known.peer);
            return known.filter(|peer| peer.site != self.me.site).collect();
        }
        let before = self.members.before_site(self.me.site);
        let mut drawn: Vec<PeerId> = Vec::with_capacity(count);
        for _ in 0..2 * count {
            let at = self.entropy.next_u64() as usize % others;
            let at = if at < before { at } else { at + own };
            let peer = self.members.at(at).map(|known| known.peer);
            drawn.extend(peer.filter(|peer| !drawn.contains(peer)));
            if drawn.len() == count {
                break;
            }
        }
        drawn
    }

    /// Contacts to name to a node of the own site: fresh ones from a delegate, else remembered.
    pub(crate) fn introductions(&mut self) -> Vec<PeerId> {
        if self.is_delegate() {
            self.strangers(RIDING)
        } else {
            let remembered = self.contacts.as_slice().to_vec();
            draw_some(remembered, RIDING, &mut self.entropy)
        }
    }

    /// Takes in nodes that somebody of the own site, or a stranger asked, has named.
    pub(crate) fn on_contacts(
        &mut self,
        now: Instant,
        peers: &[PeerId],
        effects: &mut Effects<Self>,
    ) {
        if self.is_delegate() {
            return;
        }
        for peer in peers.iter().take(NAMED_MAX) {
            let (own, most) = (self.me.site, self.swim.contacts);
            if self.contacts.remember(*peer, own, most) {
                self.changed(now, Change::Contact(*peer), effects);
            }
        }
    }

    /// Asks another node of the site for delegates of the cloud.
    pub(crate) fn ask_for_roster(&mut self, effects: &mut Effects<Self>) {
        let mates = self.members.iter_site(self.me.site);
        let awake = mates.filter(|known| known.standing == Standing::Awake);
        let peers: Vec<_> = awake.map(|known| known.peer).collect();
        if let Some(peer) = draw(&peers, &mut self.entropy) {
            effects.send(peer, Message::RosterWanted);
        }
    }

    pub(crate) fn on_roster_wanted(&mut self, from: PeerId, effects: &mut Effects<Self>) {
        if from.site != self.me.site {
            return effects.emit(Event::Ignored {
                reason: "another site asks for the roster of delegates",
            });
        }
        let Some(pool) = self.cloud.as_deref() else {
            return self.refer(from, effects);
        };
        let delegates: Vec<_> = pool
            .iter()
            .map(|member| (member.peer, member.incarnation))
            .collect();
        for part in delegates.chunks(ROSTER_PART) {
            let delegates = part.to_vec();
            effects.send(from, Message::Roster { delegates });
        }
    }

    pub(crate) fn on_roster(
        &mut self,
        now: Instant,
        from: PeerId,
        delegates: Vec<(PeerId, u32)>,
        effects: &mut Effects<Self>,
    ) {
        if from.site != self.me.site || !self.is_delegate() {
            return effects.emit(Event::Ignored {
                reason: "a roster of delegates that was not asked for",
            });
        }
        let me = self.me;
        let Some((pool, mut outbox)) = self.pool(Scope::Cloud) else {
            return;
        };
        let others = delegates.into_iter().filter(|(peer, _)| *peer != me);
        let members = others.map(|(peer, incarnation)| Identity { peer, incarnation });
        pool.adopt(members, &mut outbox);
        self.settle(now, Scope::Cloud, outbox, None, effects);
    }

    /// Names those whom a node should have asked instead of this one.
    pub(crate) fn refer(&mut self, to: PeerId, effects: &mut Effects<Self>) {
        let mut delegates = if to.site == self.me.site {
            Vec::new()
        } else {
            self.delegates()
        };
        delegates.extend_from_slice(self.contacts.as_slice());
        delegates.retain(|peer| *peer != to && *peer != self.me);
        delegates.truncate(NAMED_MAX);
        if !delegates.is_empty() {
            effects.send(to, Message::Referral { delegates });
        }
    }

    pub(crate) fn on_referral(
        &mut self,
        now: Instant,
        delegates: Vec<PeerId>,
        effects: &mut Effects<Self>,
    ) {
        let own = self.me.site;
        let strangers: Vec<_> = delegates
            .into_iter()
            .take(NAMED_MAX)
            .filter(|peer| peer.site != own)
            .collect();
        let isolated = self.is_isolated(Scope::Cloud);
        let Some((pool, mut outbox)) = self.pool(Scope::Cloud) else {
            return self.on_contacts(now, &strangers, effects);
        };
        if isolated && pool.referrals > 0 {
            pool.referrals -= 1;
            for peer in &strangers {
                pool.announce(Identity::unheard(*peer), &mut outbox);
            }
        }
        self.settle(now, Scope::Cloud, outbox, None, effects);
    }
}
