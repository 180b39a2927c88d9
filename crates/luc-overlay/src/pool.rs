//! One SWIM pool: the nodes that probe each other and gossip about each other.
//!
//! A thin shell around `foca` (Das, Gupta and Motivala, "SWIM", DSN 2002, with suspicion, section
//! 4.2). It gives `foca` its bytes, its random numbers and its timers, keeps the time of the probe
//! in flight, and collects in an [`Outbox`] what has to happen. It decides nothing about sites,
//! delegates or sleep: that is the overlay's protocol, its only caller.

pub(crate) mod dice;
pub mod identity;
pub(crate) mod wire;

use std::iter;
use std::num::{NonZeroU8, NonZeroUsize};

use foca::{Foca, Member, NoCustomBroadcast, Notification, PeriodicParams};
use luc_core::entropy::{Entropy, SplitMix64};
use luc_core::time::{Duration, Instant};
use luc_core::{PeerId, SitePrefix};

use crate::config::Timing;
use crate::message::Scope;
use dice::Dice;
use identity::Identity;
use wire::{NAMES, Packet, Tag, Wire, WireError, put_names};

/// For how long a node held dead is remembered, and asked now and then whether it is.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

/// What a pool wants done after an input.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Packets, in order.
    pub sends: Vec<Outgoing>,
    /// Timers.
    pub timers: Vec<(foca::Timer<Identity>, Duration)>,
    /// What was learnt, in order.
    pub notices: Vec<Notice>,
    /// If set, timers get a random share of their delay: the nodes of a cloud that is started at
    /// one instant do not all probe at one instant.
    pub phase: Option<SplitMix64>,
    second: Option<Second>,
    scratch: Vec<u8>,
}

impl Outbox {
    /// An outbox that draws the phases of timers.
    pub(crate) fn with_phase(entropy: SplitMix64) -> Self {
        Self {
            phase: Some(entropy),
            ..Self::default()
        }
    }
}

/// A packet to send.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The receiver.
    pub to: PeerId,
    /// What it is.
    pub tag: Tag,
    /// The packet without names.
    pub packet: Box<[u8]>,
}

/// What a pool learnt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice {
    /// A member is there.
    Up(Identity),
    /// A member is gone.
    Down(Identity),
    /// A member lives in another incarnation now.
    Renamed(Identity),
    /// This node had been held dead and lives in this incarnation now.
    Rejoined(u32),
    /// Nobody else is left.
    Alone,
}

impl foca::Runtime<Identity> for &mut Outbox {
    fn notify(&mut self, notification: Notification<'_, Identity>) {
        let notice = match notification {
            Notification::MemberUp(member) => Notice::Up(*member),
            Notification::MemberDown(member) => Notice::Down(*member),
            Notification::Rename(_, now) => Notice::Renamed(*now),
            Notification::Rejoin(now) => Notice::Rejoined(now.incarnation),
            Notification::Idle => Notice::Alone,
            Notification::Active | Notification::Defunct => return,
        };
        self.notices.push(notice);
    }

    fn send_to(&mut self, to: Identity, data: &[u8]) {
        let packet = &data[NAMES..];
        let Ok(head) = Packet::head(packet) else {
            return;
        };
        self.sends.push(Outgoing {
            to: to.peer,
            tag: head.tag,
            packet: packet.into(),
        });
    }

    fn submit_after(&mut self, due: foca::Timer<Identity>, after: Duration) {
        if let foca::Timer::SendIndirectProbe { probed_id, token } = due {
            let probed = probed_id;
            self.second = Some(Second { probed, token });
            return;
        }
        let after = match &mut self.phase {
            Some(entropy) => share(after, entropy),
            None => after,
        };
        self.timers.push((due, after));
    }
}

/// A uniformly drawn part of `whole`, never zero.
pub(crate) fn share(whole: Duration, entropy: &mut SplitMix64) -> Duration {
    let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX).max(1);
    Duration::from_nanos(1 + entropy.next_u64() % nanos)
}

/// The probe whose answer is awaited.
#[derive(Clone, Copy, Debug)]
struct Probe {
    peer: PeerId,
    number: u8,
    sent: Instant,
}

/// So many referrals are followed per attempt to find a member.
pub(crate) const REFERRALS_MAX: u8 = 4;

/// One pool as one node sees it.
pub(crate) struct Pool {
    scope: Scope,
    /// Which life of the pool its timers belong to.
    pub epoch: u16,
    /// Whether a gossip is scheduled.
    pub gossiping: bool,
    /// Whether the next attempt to find a member is scheduled.
    pub joining: bool,
    /// How many referrals may still be followed before that attempt. Two nodes that take each
    /// other for delegates would otherwise refer to each other without end.
    pub referrals: u8,
    swim: Foca<Identity, Wire, Dice, NoCustomBroadcast>,
    probe: Option<Probe>,
    /// The second stage of the probe in flight, which no timer was set for.
    second: Option<Second>,
    /// How long the second stage may take.
    answer: Duration,
}

/// What has to be done before the next probe.
#[derive(Clone, Copy, Debug)]
struct Second {
    probed: Identity,
    token: foca::TimerToken,
}

impl Pool {
    /// A pool that knows nobody yet.
    pub(crate) fn new(
        scope: Scope,
        epoch: u16,
        me: Identity,
        timing: &Timing,
        entropy: &mut SplitMix64,
    ) -> Self {
        let dice = Dice(SplitMix64::new(entropy.next_u64()));
        Self {
            scope,
            epoch,
            gossiping: false,
            joining: false,
            referrals: REFERRALS_MAX,
            swim: Foca::new(me, settings(timing), dice, Wire),
            probe: None,
            second: None,
            answer: timing.answer.max(Duration::from_millis(1)),
        }
    }

    /// Who this node is in the pool.
    pub(crate) const fn identity(&self) -> Identity {
        *self.swim.identity()
    }

    /// How many others are there.
    pub(crate) const fn len(&self) -> usize {
        self.swim.num_members()
    }

    /// Whether there is news that has not been repeated often enough.
    pub(crate) fn has_news(&self) -> bool {
        self.swim.updates_backlog() > 0
    }

    /// The incarnation in which `peer` is a member.
    pub(crate) fn incarnation(&self, peer: PeerId) -> Option<u32> {
        let mut members = self.swim.iter_members().map(Member::id);
        let found = members.find(|member| member.peer == peer)?;
        Some(found.incarnation)
    }

    /// Those who are there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Identity> {
        self.swim.iter_members().map(|member| *member.id())
    }

    /// Everybody ever heard of and not forgotten, dead or alive.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = PeerId> {
        self.swim
            .iter_membership_state()
            .map(|member| member.id().peer)
    }

    /// Takes members from a trusted list without telling anybody.
    pub(crate) fn adopt(&mut self, members: impl Iterator<Item = Identity>, out: &mut Outbox) {
        // Not an error of anybody's: members are encoded only when they are told.
        let _ = self.swim.apply_many(members.map(Member::alive), false, out);
    }

    /// Asks `peer` to let this node in.
    pub(crate) fn announce(&mut self, peer: Identity, out: &mut Outbox) {
        let _ = self.swim.announce(peer, out);
    }

    /// Tells a few members the news.
    pub(crate) fn gossip(&mut self, out: &mut Outbox) {
        let _ = self.swim.gossip(out);
    }

    /// Says farewell; the pool is silent afterwards but for [`Self::gossip`].
    pub(crate) fn leave(&mut self, out: &mut Outbox) {
        let _ = self.swim.leave_cluster(out);
    }

    /// Takes in that a member has fallen silent on purpose.
    pub(crate) fn bury(&mut self, member: Identity, out: &mut Outbox) {
        let _ = self
            .swim
            .apply_many(iter::once(Member::down(member)), true, out);
    }

    /// Takes in a timer that is due.
    pub(crate) fn on_timer(
        &mut self,
        due: foca::Timer<Identity>,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), &'static str> {
        let foca::Timer::ProbeRandomMember(token) = due else {
            return self
                .swim
                .handle_timer(due, out)
                .map_err(|error| reason(&error));
        };
        if let Some(second) = self.second.take_if(|second| second.token == token) {
            let unanswered = self.probe.is_some();
            let stage = foca::Timer::SendIndirectProbe {
                probed_id: second.probed,
                token,
            };
            let done = self.swim.handle_timer(stage, &mut *out);
            done.map_err(|error| reason(&error))?;
            if unanswered {
                out.timers.push((due, self.answer));
                return Ok(());
            }
        }
        let sent = out.sends.len();
        let done = self.swim.handle_timer(due, &mut *out);
        self.probe = out.sends[sent..].iter().find_map(|one| one.probe(now));
        if let Some(second) = out.second.take() {
            self.second = Some(second);
        }
        done.map_err(|error| reason(&error))
    }

    /// Takes in a packet without names; gives the round trip of a probe that it answers.
    pub(crate) fn receive(
        &mut self,
        from: PeerId,
        packet: &[u8],
        now: Instant,
        out: &mut Outbox,
    ) -> Result<Option<Duration>, &'static str> {
        let me = self.identity().peer;
        let head = Packet::parse(packet, me, self.site()).map_err(WireError::reason)?;
        let mut whole = std::mem::take(&mut out.scratch);
        whole.clear();
        put_names(from, me, &mut whole);
        whole.extend_from_slice(packet);
        let handled = self.swim.handle_data(&whole, &mut *out);
        out.scratch = whole;
        handled.map_err(|error| reason(&error))?;
        let rejoined = |notice: &Notice| matches!(notice, Notice::Rejoined(_));
        if head.tag == Tag::TurnUndead && out.notices.iter().any(rejoined) {
            // Whoever held this node dead hears first that it lives.
            let by = Identity {
                peer: from,
                incarnation: head.incarnation,
            };
            self.announce(by, out);
        }
        Ok(self.round_trip(from, head, now))
    }

    fn round_trip(&mut self, from: PeerId, head: Packet, now: Instant) -> Option<Duration> {
        let answers = |probe: &mut Probe| probe.peer == from && head.number == Some(probe.number);
        if head.tag != Tag::Ack {
            return None;
        }
        let probe = self.probe.take_if(answers)?;
        Some(now.since(probe.sent))
    }

    /// The site that every member is of.
    fn site(&self) -> Option<SitePrefix> {
        match self.scope {
            Scope::Site => Some(self.identity().peer.site),
            Scope::Cloud => None,
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("scope", &self.scope)
            .field("identity", &self.identity())
            .field("members", &self.len())
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    /// The probe that this packet starts, if it starts one.
    fn probe(&self, sent: Instant) -> Option<Probe> {
        let head = Packet::head(&self.packet).ok()?;
        let number = head.number.filter(|_| head.tag == Tag::Ping)?;
        Some(Probe {
            peer: self.to,
            number,
            sent,
        })
    }
}

/// What `foca` says it did not do, in words that a log line can carry.
fn reason(error: &foca::Error) -> &'static str {
    match error {
        foca::Error::DataTooBig => "a membership packet is larger than agreed",
        foca::Error::DataFromOurselves => "a membership packet claims to come from this node",
        foca::Error::IndirectForOurselves => "a membership packet asks this node about itself",
        foca::Error::IncompleteProbeCycle => "a probe was overtaken by the next one",
        foca::Error::NotConnected => "a probe was due in a pool without members",
        foca::Error::MalformedPacket | foca::Error::Decode(_) => {
            "a membership packet was not understood"
        }
        foca::Error::NotUndead
        | foca::Error::SameIdentity
        | foca::Error::Encode(_)
        | foca::Error::CustomBroadcast(_)
        | foca::Error::InvalidConfig => "a membership packet could not be made",
    }
}

/// `foca`'s settings for a timing.
fn settings(timing: &Timing) -> foca::Config {
    let least = Duration::from_millis(1);
    let probe = timing.probe.max(least * 4);
    let count = |count: usize| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
    let periodic = |frequency: Duration| {
        (!frequency.is_zero()).then_some(PeriodicParams {
            frequency,
            num_members: NonZeroUsize::MIN,
        })
    };
    foca::Config {
        probe_period: probe,
        probe_rtt: timing.answer.clamp(least, probe.saturating_sub(least)),
        num_indirect_probes: count(usize::from(timing.fanout)),
        max_transmissions: NonZeroU8::new(timing.repeats).unwrap_or(NonZeroU8::MIN),
        suspect_to_down_after: timing.suspicion.max(least),
        remove_down_after: Some(REMEMBERED),
        max_packet_size: count(usize::from(timing.packet).max(256)),
        notify_down_members: true,
        periodic_announce: periodic(timing.announce),
        periodic_announce_to_down_members: periodic(timing.revive),
        // An idle pool says nothing; news are gossiped on demand by the overlay's own timer.
        periodic_gossip: None,
    }
}
