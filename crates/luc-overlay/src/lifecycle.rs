//! Start, sleep, wake, leave: what the local host decides about its node.
//!
//! A node that falls silent on purpose says so first, several times, and gives the reason as a
//! rumour; the others then hold it asleep or gone rather than failed. A node that wakes comes back
//! in a higher incarnation, like one that restarts.

use luc_core::PeerId;
use luc_core::protocol::Effects;
use luc_core::time::{Duration, Instant};

use crate::contacts::draw_some;
use crate::durable::Durable;
use crate::members::Change;
use crate::message::{Farewell, Rumour, Scope};
use crate::neighbour::{Room, Standing};
use crate::pool::identity::Identity;
use crate::pool::{Pool, REFERRALS_MAX};
use crate::protocol::{Overlay, Phase};
use crate::search::Finder;
use crate::timer::Timer;

/// How many nodes are asked at once to let this one in.
const JOIN_FANOUT: usize = 3;

/// How long the first attempt to join may take; doubled with each further one.
const JOIN_PATIENCE: Duration = Duration::from_secs(1);

/// The doubling ends here: 32 s.
const JOIN_DOUBLINGS: u8 = 5;

/// How often a farewell is repeated.
const FAREWELLS: u8 = 3;

impl Overlay {
    pub(crate) fn on_start(
        &mut self,
        now: Instant,
        contacts: Vec<PeerId>,
        effects: &mut Effects<Self>,
    ) {
        for peer in contacts {
            if peer.site != self.me.site {
                self.contacts
                    .remember(peer, self.me.site, self.swim.contacts);
            } else if peer != self.me && !self.mates.contains(&peer) {
                self.mates.push(peer);
            }
        }
        if matches!(self.phase, Phase::Serving | Phase::Asleep) {
            // More doors to knock at, for as long as nobody is known behind any.
            return;
        }
        self.serve(now, effects);
    }

    /// Takes part from now on.
    fn serve(&mut self, now: Instant, effects: &mut Effects<Self>) {
        self.begin();
        if self.directory.is_none() {
            self.open(Scope::Site, effects);
            self.on_join_due(now, Scope::Site, self.epoch_of(Scope::Site), 0, effects);
            self.look_at_role_later(effects);
            self.schedule_echo(effects);
        }
        self.find(now, effects, Finder::start);
    }

    /// Enters the phase of serving, in a life whose timers no earlier one's are mistaken for.
    pub(crate) fn begin(&mut self) {
        self.phase = Phase::Serving;
        self.lives = self.lives.wrapping_add(1);
        self.epoch = self.lives;
        self.role_due = false;
        self.echo = None;
    }

    /// Opens a pool in an incarnation that was never used.
    pub(crate) fn open(&mut self, scope: Scope, effects: &mut Effects<Self>) {
        self.incarnation = self.incarnation.saturating_add(1);
        effects.persist(Durable::Incarnation(self.incarnation));
        self.lives = self.lives.wrapping_add(1);
        let me = Identity {
            peer: self.me,
            incarnation: self.incarnation,
        };
        let timing = match scope {
            Scope::Site => &self.swim.site,
            Scope::Cloud => &self.swim.cloud,
        };
        let pool = Pool::new(scope, self.lives, me, timing, &mut self.entropy);
        match scope {
            Scope::Site => self.site = Some(Box::new(pool)),
            Scope::Cloud => self.cloud = Some(Box::new(pool)),
        }
    }

    /// Which life of a pool is the current one; 0 is none.
    pub(crate) fn epoch_of(&self, scope: Scope) -> u16 {
        let pool = match scope {
            Scope::Site => &self.site,
            Scope::Cloud => &self.cloud,
        };
        pool.as_ref().map_or(0, |pool| pool.epoch)
    }

    /// Whether nobody is known whom to hear of others from.
    pub(crate) fn is_isolated(&self, scope: Scope) -> bool {
        match scope {
            Scope::Site => self.site.as_deref().is_none_or(|pool| pool.len() == 0),
            // Another delegate of the own site knows no more than this one.
            Scope::Cloud => self.members.len() == self.members.iter_site(self.me.site).len(),
        }
    }

    /// Tries to get into a pool in which nobody is known, until somebody is.
    pub(crate) fn on_join_due(
        &mut self,
        now: Instant,
        scope: Scope,
        epoch: u16,
        attempt: u8,
        effects: &mut Effects<Self>,
    ) {
        if epoch != self.epoch_of(scope) || self.phase != Phase::Serving {
            return;
        }
        let isolated = self.is_isolated(scope);
        let chosen = self.doors(scope);
        let Some((pool, mut outbox)) = self.pool(scope) else {
            return;
        };
        pool.joining = isolated;
        pool.referrals = REFERRALS_MAX;
        if !isolated {
            return self.put_back(outbox);
        }
        for peer in &chosen {
            pool.announce(Identity::unheard(*peer), &mut outbox);
        }
        self.settle(now, scope, outbox, None, effects);
        if scope == Scope::Cloud && self.contacts.as_slice().is_empty() {
            self.ask_for_roster(effects);
        }
        let after = JOIN_PATIENCE * (1 << attempt.min(JOIN_DOUBLINGS));
        let attempt = attempt.saturating_add(1);
        effects.schedule(
            after,
            Timer::Join {
                scope,
                epoch,
                attempt,
            },
        );
    }

    /// Nodes that might let this one into a pool: those it was told of, and those it once knew.
    fn doors(&mut self, scope: Scope) -> Vec<PeerId> {
        let (told, pool) = match scope {
            Scope::Site => (self.mates.as_slice(), &self.site),
            Scope::Cloud => (self.contacts.as_slice(), &self.cloud),
        };
        let once = pool.iter().flat_map(|pool| pool.everybody());
        let known = told.iter().copied().chain(once);
        let known = known.filter(|peer| !self.farewells.has(scope, *peer));
        let mut doors = draw_some(known.collect(), JOIN_FANOUT, &mut self.entropy);
        if scope == Scope::Cloud {
            // What one delegate of a site finds out, the others hear of.
            doors.extend(self.delegates());
            doors.retain(|peer| *peer != self.me);
        }
        doors
    }

    pub(crate) fn on_advertise(
        &mut self,
        now: Instant,
        standing: Standing,
        room: Room,
        effects: &mut Effects<Self>,
    ) {
        self.room = room;
        match (self.phase, standing) {
            (Phase::Serving, Standing::Asleep) => {
                self.fall_silent(now, Farewell::Asleep, effects);
                self.phase = Phase::Asleep;
            }
            (Phase::Asleep, Standing::Awake) => self.wake(now, effects),
            (Phase::Serving, Standing::Awake)
            | (Phase::Asleep, Standing::Asleep)
            | (Phase::Idle | Phase::Gone, _) => {}
        }
    }

    pub(crate) fn on_leave(&mut self, now: Instant, effects: &mut Effects<Self>) {
        match self.phase {
            Phase::Serving => self.fall_silent(now, Farewell::Left, effects),
            Phase::Idle | Phase::Asleep | Phase::Gone => {}
        }
        self.phase = Phase::Gone;
    }

    /// Says farewell in both pools; they are closed when it has been repeated.
    fn fall_silent(&mut self, now: Instant, farewell: Farewell, effects: &mut Effects<Self>) {
        self.find(now, effects, Finder::leave);
        for scope in [Scope::Cloud, Scope::Site] {
            // Delegates of other sites keep no sleepers: who sleeps is its own site's affair.
            let farewell = match (scope, farewell) {
                (Scope::Cloud, Farewell::Asleep) => Farewell::Resigned,
                (Scope::Cloud | Scope::Site, farewell) => farewell,
            };
            self.say_farewell(now, scope, farewell, effects);
        }
        self.remember_ways_out();
        self.drop_strangers(now, effects);
        let epoch = self.epoch;
        effects.schedule(
            self.swim.site.gossip,
            Timer::Farewell {
                epoch,
                left: FAREWELLS,
            },
        );
    }

    /// Says farewell in one pool.
    pub(crate) fn say_farewell(
        &mut self,
        now: Instant,
        scope: Scope,
        farewell: Farewell,
        effects: &mut Effects<Self>,
    ) {
        let peer = self.me;
        let Some((pool, mut outbox)) = self.pool(scope) else {
            return;
        };
        let rumour = Rumour {
            peer,
            incarnation: pool.identity().incarnation,
            farewell,
        };
        pool.leave(&mut outbox);
        self.farewells.keep(scope, rumour, u8::MAX);
        self.settle(now, scope, outbox, None, effects);
    }

    pub(crate) fn on_farewell_due(
        &mut self,
        now: Instant,
        epoch: u16,
        left: u8,
        effects: &mut Effects<Self>,
    ) {
        if epoch != self.epoch || self.phase == Phase::Serving {
            return;
        }
        for scope in [Scope::Cloud, Scope::Site] {
            if let Some((pool, mut outbox)) = self.pool(scope) {
                pool.gossip(&mut outbox);
                self.settle(now, scope, outbox, None, effects);
            }
        }
        if let Some(left) = left.checked_sub(1) {
            effects.schedule(self.swim.site.gossip, Timer::Farewell { epoch, left });
        } else {
            self.close(Scope::Cloud);
            self.close(Scope::Site);
        }
    }

    /// Drops a pool and what was said in it about this node.
    pub(crate) fn close(&mut self, scope: Scope) {
        match scope {
            Scope::Site => self.site = None,
            Scope::Cloud => {
                self.cloud = None;
                self.farewells.clear(Scope::Cloud);
            }
        }
        self.farewells.drop(scope, self.me);
    }

    fn wake(&mut self, now: Instant, effects: &mut Effects<Self>) {
        self.close(Scope::Cloud);
        self.close(Scope::Site);
        let awake = |standing| standing == Standing::Awake;
        let mates = self.members.iter_site(self.me.site);
        let mates = mates.filter(|known| awake(known.standing));
        self.mates = mates.map(|known| known.peer).collect();
        self.stale = !self.mates.is_empty();
        self.serve(now, effects);
    }

    /// Drops the members of other sites: a node that is no delegate keeps none.
    pub(crate) fn drop_strangers(&mut self, now: Instant, effects: &mut Effects<Self>) {
        let own = self.me.site;
        for peer in self.members.extract(|known| known.peer.site == own) {
            self.vivaldi.forget(peer);
            self.changed(now, Change::Dropped(peer), effects);
        }
    }
}
