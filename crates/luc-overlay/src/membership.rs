//! The packets of the pools: what they teach, and what rides on them.
//!
//! A packet goes through `foca` first; what it learnt comes back as notices, which change the
//! table of members and are told to the host and to the searches. Then whatever rode along is
//! taken in. Packets that go out get their riders here.

use luc_core::PeerId;
use luc_core::protocol::Effects;
use luc_core::time::Instant;

use crate::coordinate::Coordinate;
use crate::durable::Durable;
use crate::event::Event;
use crate::members::{Change, Known};
use crate::message::{Farewell, Message, Rider, Rumour, Scope, Swim};
use crate::neighbour::Standing;
use crate::pool::identity::Identity;
use crate::pool::wire::{Packet, Tag};
use crate::pool::{Notice, Outbox, Outgoing};
use crate::protocol::{Overlay, Phase};
use crate::timer::Timer;

impl Overlay {
    pub(crate) fn on_swim(
        &mut self,
        now: Instant,
        from: PeerId,
        swim: Swim,
        effects: &mut Effects<Self>,
    ) {
        if let Some(reason) = self.ignore_swim(from, &swim, effects) {
            return effects.emit(Event::Ignored { reason });
        }
        let scope = swim.scope;
        let Some((pool, mut outbox)) = self.pool(scope) else {
            return;
        };
        let (rtt, understood) = match pool.receive(from, &swim.packet, now, &mut outbox) {
            Ok(rtt) => (rtt, true),
            Err(reason) => {
                effects.emit(Event::Ignored { reason });
                (None, false)
            }
        };
        let mut rider = swim.rider.filter(|_| understood);
        for rumour in rider.iter().flat_map(|rider| &rider.rumours) {
            self.on_rumour(scope, *rumour, &mut outbox, effects);
        }
        self.settle(now, scope, outbox, Some(swim.heard), effects);
        if !understood {
            return;
        }
        let mut place = None;
        if let Some(known) = self.members.get_mut(from) {
            known.room = swim.room;
            let heard = rider.as_ref().and_then(|rider| rider.place);
            if let Some((edition, heard)) = heard.filter(|(_, heard)| is_sound(heard)) {
                known.edition = edition;
                known.coordinate = Some(heard);
            }
            place = known.coordinate;
        }
        if let Some((rtt, place)) = rtt.zip(place) {
            self.observe(from, &place, rtt, effects);
        }
        if let Some(rider) = &mut rider {
            if from.site == self.me.site {
                self.on_contacts(now, &rider.contacts, effects);
            }
            if let Some(hearsay) = rider.hearsay.take() {
                self.find(now, effects, |finder, context| {
                    finder.on_hearsay(context, from, hearsay);
                });
            }
        }
    }

    fn ignore_swim(
        &mut self,
        from: PeerId,
        swim: &Swim,
        effects: &mut Effects<Self>,
    ) -> Option<&'static str> {
        match swim.scope {
            Scope::Site if from.site != self.me.site => {
                Some("a packet of the site pool from another site")
            }
            Scope::Site if self.site.is_none() => Some("a packet where a directory answers"),
            Scope::Cloud if self.cloud.is_none() => {
                let head = Packet::head(&swim.packet).ok();
                if head.is_some_and(|head| head.tag == Tag::Announce) {
                    self.refer(from, effects);
                }
                Some("a packet of the cloud pool, and this node is no delegate")
            }
            Scope::Site | Scope::Cloud => None,
        }
    }

    /// Takes in that a node fell silent on purpose.
    fn on_rumour(
        &mut self,
        scope: Scope,
        rumour: Rumour,
        outbox: &mut Outbox,
        effects: &mut Effects<Self>,
    ) {
        let peer = rumour.peer;
        let misplaced = scope == Scope::Site && peer.site != self.me.site;
        if peer == self.me || misplaced || !self.farewells.is_news(scope, &rumour) {
            return;
        }
        let (pool, timing) = match scope {
            Scope::Site => (&mut self.site, &self.swim.site),
            Scope::Cloud => (&mut self.cloud, &self.swim.cloud),
        };
        let Some(pool) = pool else {
            return;
        };
        let identity = Identity {
            peer,
            incarnation: rumour.incarnation,
        };
        pool.bury(identity, outbox);
        if pool.incarnation(peer).is_some() {
            // It is about again, in a higher incarnation.
            return;
        }
        self.farewells.keep(scope, rumour, timing.repeats);
        let asleep = Known {
            standing: Standing::Asleep,
            ..Known::unheard(peer)
        };
        let sleeps = rumour.farewell == Farewell::Asleep && scope == Scope::Site;
        if sleeps && self.members.insert(asleep) {
            effects.emit(Event::Stood {
                peer,
                standing: Standing::Asleep,
            });
        }
    }

    /// Carries out what a pool wants done.
    pub(crate) fn settle(
        &mut self,
        now: Instant,
        scope: Scope,
        mut outbox: Outbox,
        heard: Option<u16>,
        effects: &mut Effects<Self>,
    ) {
        // A new incarnation is made durable before the packets that use it.
        for notice in outbox.notices.drain(..) {
            self.on_notice(now, scope, notice, effects);
        }
        let epoch = self.epoch_of(scope);
        for (due, after) in outbox.timers.drain(..) {
            let after = match &due {
                foca::Timer::RemoveDown(gone) => {
                    let why = self.farewells.why(scope, gone.peer, gone.incarnation);
                    let left = matches!(why, Some(Farewell::Left | Farewell::Resigned));
                    if left { self.swim.forget } else { after }
                }
                _ => after,
            };
            effects.schedule(after, Timer::Swim { scope, epoch, due });
        }
        for outgoing in outbox.sends.drain(..) {
            let announces = outgoing.tag == Tag::Announce;
            if !announces || !self.farewells.has(scope, outgoing.to) {
                self.send_swim(now, scope, outgoing, heard, effects);
            }
        }
        self.put_back(outbox);
        self.gossip_later(scope, effects);
    }

    /// News do not wait for the next probe, but for other news.
    fn gossip_later(&mut self, scope: Scope, effects: &mut Effects<Self>) {
        let told = self.farewells.has_news(scope);
        let (pool, timing) = match scope {
            Scope::Site => (&mut self.site, &self.swim.site),
            Scope::Cloud => (&mut self.cloud, &self.swim.cloud),
        };
        let Some(pool) = pool.as_deref_mut().filter(|pool| !pool.gossiping) else {
            return;
        };
        if self.phase == Phase::Serving && pool.len() > 0 && (told || pool.has_news()) {
            pool.gossiping = true;
            let epoch = pool.epoch;
            effects.schedule(timing.gossip, Timer::Gossip { scope, epoch });
        }
    }

    pub(crate) fn on_gossip_due(
        &mut self,
        now: Instant,
        scope: Scope,
        epoch: u16,
        effects: &mut Effects<Self>,
    ) {
        if epoch != self.epoch_of(scope) || self.phase != Phase::Serving {
            return;
        }
        let told = self.farewells.has_news(scope);
        if let Some((pool, mut outbox)) = self.pool(scope) {
            pool.gossiping = false;
            // Probes may have carried everything meanwhile.
            if told || pool.has_news() {
                pool.gossip(&mut outbox);
            }
            self.settle(now, scope, outbox, None, effects);
        }
    }

    pub(crate) fn on_swim_due(
        &mut self,
        now: Instant,
        scope: Scope,
        epoch: u16,
        due: foca::Timer<Identity>,
        effects: &mut Effects<Self>,
    ) {
        if epoch != self.epoch_of(scope) || self.phase != Phase::Serving {
            return;
        }
        if let foca::Timer::RemoveDown(gone) = &due {
            let why = self.farewells.why(scope, gone.peer, gone.incarnation);
            if why.is_some_and(|why| why != Farewell::Asleep) {
                self.farewells.drop(scope, gone.peer);
            }
        }
        let Some((pool, mut outbox)) = self.pool(scope) else {
            return;
        };
        if let Err(reason) = pool.on_timer(due, now, &mut outbox) {
            effects.emit(Event::Ignored { reason });
        }
        self.settle(now, scope, outbox, None, effects);
    }

    fn on_notice(
        &mut self,
        now: Instant,
        scope: Scope,
        notice: Notice,
        effects: &mut Effects<Self>,
    ) {
        match notice {
            Notice::Up(member) => self.on_up(now, scope, member, effects),
            Notice::Down(member) => self.on_down(now, scope, member, effects),
            Notice::Renamed(member) => {
                if let Some(known) = self.members.get_mut(member.peer) {
                    // It counts its coordinates anew.
                    known.edition = 0;
                }
            }
            Notice::Rejoined(incarnation) => {
                if incarnation > self.incarnation {
                    self.incarnation = incarnation;
                    effects.persist(Durable::Incarnation(incarnation));
                }
            }
            Notice::Alone => self.on_alone(scope, effects),
        }
    }

    fn on_up(&mut self, now: Instant, scope: Scope, member: Identity, effects: &mut Effects<Self>) {
        let peer = member.peer;
        self.farewells.drop(scope, peer);
        if scope == Scope::Cloud && peer.site == self.me.site {
            return self.on_other_half(now, peer, effects);
        }
        let slept = self.members.get_mut(peer).map(|known| {
            let standing = std::mem::take(&mut known.standing);
            known.edition = 0;
            standing == Standing::Asleep
        });
        match slept {
            None => {
                self.members.insert(Known::unheard(peer));
                effects.emit(Event::Joined(peer));
                self.changed(now, Change::Joined(peer), effects);
            }
            Some(true) => self.stood(now, peer, Standing::Awake, effects),
            Some(false) => {}
        }
        if scope == Scope::Site {
            self.look_at_role(effects);
        }
    }

    /// The cloud pool has a delegate of the own site: if the site pool does not, the site is in
    /// two halves that do not know each other.
    fn on_other_half(&mut self, now: Instant, peer: PeerId, effects: &mut Effects<Self>) {
        let unknown = self
            .site
            .as_deref()
            .is_some_and(|pool| pool.incarnation(peer).is_none());
        if !unknown || self.farewells.has(Scope::Site, peer) {
            return;
        }
        if let Some((pool, mut outbox)) = self.pool(Scope::Site) {
            pool.announce(Identity::unheard(peer), &mut outbox);
            self.settle(now, Scope::Site, outbox, None, effects);
        }
    }

    fn on_down(
        &mut self,
        now: Instant,
        scope: Scope,
        member: Identity,
        effects: &mut Effects<Self>,
    ) {
        let peer = member.peer;
        if scope == Scope::Cloud && peer.site == self.me.site {
            return;
        }
        let why = self.farewells.why(scope, peer, member.incarnation);
        if why == Some(Farewell::Asleep) && scope == Scope::Site {
            if let Some(known) = self.members.get_mut(peer) {
                known.standing = Standing::Asleep;
                self.stood(now, peer, Standing::Asleep, effects);
            }
        } else if self.members.remove(peer).is_some() {
            self.vivaldi.forget(peer);
            let change = match why {
                Some(Farewell::Left) => {
                    effects.emit(Event::Left(peer));
                    Change::Left(peer)
                }
                // Of another site, and no delegate any more: it may well serve on.
                Some(Farewell::Resigned | Farewell::Asleep) => Change::Dropped(peer),
                None => {
                    effects.emit(Event::Failed(peer));
                    Change::Failed(peer)
                }
            };
            self.changed(now, change, effects);
        }
        if scope == Scope::Site {
            self.look_at_role(effects);
        }
    }

    fn stood(
        &mut self,
        now: Instant,
        peer: PeerId,
        standing: Standing,
        effects: &mut Effects<Self>,
    ) {
        effects.emit(Event::Stood { peer, standing });
        self.changed(now, Change::Stood(peer, standing), effects);
    }

    /// Nobody is left in a pool: its own timers stop, so others have to be asked from here.
    fn on_alone(&mut self, scope: Scope, effects: &mut Effects<Self>) {
        let pool = match scope {
            Scope::Site => &mut self.site,
            Scope::Cloud => &mut self.cloud,
        };
        if let Some(pool) = pool.as_deref_mut().filter(|pool| !pool.joining) {
            pool.joining = true;
            let (epoch, attempt) = (pool.epoch, 0);
            effects.schedule(
                self.swim.site.probe,
                Timer::Join {
                    scope,
                    epoch,
                    attempt,
                },
            );
        }
    }

    fn send_swim(
        &mut self,
        now: Instant,
        scope: Scope,
        outgoing: Outgoing,
        asker_heard: Option<u16>,
        effects: &mut Effects<Self>,
    ) {
        let Outgoing { to, tag, packet } = outgoing;
        let mut rider = Rider {
            rumours: self.farewells.tell(scope, to),
            ..Rider::default()
        };
        let mut heard = 0;
        match tag {
            Tag::Ping => {
                heard = self.members.get(to).map_or(0, |known| known.edition);
            }
            Tag::Ack => {
                if asker_heard != Some(self.edition) {
                    rider.place = Some((self.edition, *self.vivaldi.coordinate()));
                }
                if scope == Scope::Site && self.is_delegate() {
                    // Every node probes every other in turn, so all hear of fresh contacts.
                    rider.contacts = self.introductions();
                }
            }
            Tag::Feed => {
                rider.place = Some((self.edition, *self.vivaldi.coordinate()));
                if scope == Scope::Site {
                    rider.rumours.extend(self.farewells.sleepers());
                    rider.contacts = self.introductions();
                }
            }
            Tag::PingReq
            | Tag::IndirectPing
            | Tag::IndirectAck
            | Tag::ForwardedAck
            | Tag::Announce
            | Tag::Gossip
            | Tag::Broadcast
            | Tag::TurnUndead => {}
        }
        if matches!(tag, Tag::Ping | Tag::Ack) {
            let hearsay = &mut rider.hearsay;
            self.find(now, effects, |finder, context| {
                *hearsay = finder.piggyback(context, to);
            });
        }
        let rider = (!rider.is_empty()).then(|| Box::new(rider));
        let room = self.room;
        effects.send(
            to,
            Message::Swim(Swim {
                scope,
                heard,
                room,
                packet,
                rider,
            }),
        );
    }
}

/// Whether a coordinate from elsewhere may be kept; Vivaldi looks closer before it learns from it.
fn is_sound(place: &Coordinate) -> bool {
    let scalars = [place.height, place.adjustment, place.error];
    let finite = |part: &f32| part.is_finite();
    place.vector.iter().chain(&scalars).all(finite) && place.height >= 0.0
}
