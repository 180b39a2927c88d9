//! The task that owns a brain: one input after the other, effects in their order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use luc_core::time::Instant;
use luc_core::{Effect, Effects, PeerId, Protocol as _};
use luc_dvms::command::MigrationEnd;
use luc_dvms::{Host, event};
use luc_node::{Brain, Command, Durable, Event, Kept, Message, Timer};
use tokio::sync::mpsc;
use tokio::time::Instant as Clock;

use super::sights::{Sight, Sights};
use super::status::{Chronicle, Member, Size, Status};
use super::{CHANNEL, Input, Keeper, Keys, Setup, wire};
use crate::fabric::Fabric;

/// How often a place that has changed is kept; it is worth having back, not worth a write each.
const PLACE_KEPT_EVERY: Duration = Duration::from_secs(10);
/// How long to sleep when nothing is scheduled at all.
const IDLE: Duration = Duration::from_secs(3600);

/// A timer that is asked for, ordered by its time and then by when it was asked for.
struct Due(Instant, u64, Timer);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// The task's state.
pub(super) struct Driver {
    brain: Brain,
    me: PeerId,
    fabric: Arc<dyn Fabric>,
    keys: Arc<dyn Keys>,
    keeper: Arc<dyn Keeper>,
    contacts: Vec<PeerId>,
    kept: Kept,
    place_moved: bool,
    origin: Clock,
    timers: BinaryHeap<Reverse<Due>>,
    timers_asked: u64,
    chronicle: Chronicle,
    sights: Sights,
    load: Option<Size>,
    dropped: u64,
}

impl Driver {
    pub(super) fn new(setup: Setup) -> Self {
        let me = setup.config.overlay.me;
        let brain = Brain::new(setup.config, &setup.kept, Instant::ORIGIN);
        Self {
            brain,
            me,
            fabric: setup.fabric,
            keys: setup.keys,
            keeper: setup.keeper,
            contacts: setup.contacts,
            kept: setup.kept,
            place_moved: false,
            origin: Clock::now(),
            timers: BinaryHeap::new(),
            timers_asked: 0,
            chronicle: Chronicle::default(),
            sights: Sights::default(),
            load: None,
            dropped: 0,
        }
    }

    fn now(&self) -> Instant {
        Instant::ORIGIN + self.origin.elapsed()
    }

    /// Runs until it is told to leave, or nobody holds a handle any more.
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let contacts = std::mem::take(&mut self.contacts);
        self.command(Command::Start { contacts }).await;
        let mut places = tokio::time::interval(PLACE_KEPT_EVERY);
        loop {
            let wake = self.timers.peek().map_or(IDLE, |Reverse(due)| {
                let after_origin = due.0.since(Instant::ORIGIN);
                after_origin.saturating_sub(self.origin.elapsed())
            });
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(Input::Leave) | None => break,
                    Some(input) => self.take(input).await,
                },
                () = tokio::time::sleep(wake) => self.ring().await,
                _ = places.tick() => self.keep_place().await,
            }
        }
        self.command(Command::Leave).await;
        self.keep_place().await;
    }

    async fn take(&mut self, input: Input) {
        match input {
            Input::Message(from, bytes) => self.message(from, &bytes).await,
            Input::RoundTrip(peer, rtt) => self.command(Command::RoundTrip { peer, rtt }).await,
            Input::Sample(host) => self.sample(*host).await,
            Input::Contacts(contacts) => self.command(Command::Start { contacts }).await,
            Input::Status(answer) => drop(answer.send(self.status())),
            Input::Follow(follower) => self.sights.follow(follower),
            Input::Leave => {}
        }
    }

    async fn message(&mut self, from: PeerId, bytes: &[u8]) {
        match wire::decode(bytes) {
            Ok(message) => {
                self.sights.hear(self.origin.elapsed(), from);
                self.step(luc_core::Input::Message { from, message }).await;
            }
            Err(error) => {
                self.dropped += 1;
                tracing::debug!(%from, %error, "a brain's message was dropped");
            }
        }
    }

    async fn sample(&mut self, host: Host) {
        self.load = Some(Size {
            demand: host.demand().0,
            capacity: host.capacity.cpu.0,
        });
        self.command(Command::Sample(host)).await;
    }

    async fn command(&mut self, command: Command) {
        self.step(luc_core::Input::Command(command)).await;
    }

    /// Hands every timer that is due to the brain.
    async fn ring(&mut self) {
        let now = self.now();
        while self.timers.peek().is_some_and(|Reverse(due)| due.0 <= now) {
            let Some(Reverse(Due(_, _, timer))) = self.timers.pop() else {
                return;
            };
            self.step(luc_core::Input::Timer(timer)).await;
        }
    }

    /// One input, and all that follows from it.
    async fn step(&mut self, input: luc_core::Input<Brain>) {
        let mut effects = Effects::new();
        self.brain.handle(self.now(), input, &mut effects);
        let mut later: Vec<Command> = Vec::new();
        for effect in effects.drain().collect::<Vec<_>>() {
            match effect {
                Effect::Persist(record) => {
                    if !self.persist(record).await {
                        // Nothing that depends on it may leave; to others it is a lost message.
                        return;
                    }
                }
                Effect::Send { to, message } => self.send(to, &message),
                Effect::Schedule { after, timer } => self.schedule(after, timer),
                Effect::Emit(event) => later.extend(self.event(event)),
            }
        }
        for command in later {
            Box::pin(self.command(command)).await;
        }
    }

    fn schedule(&mut self, after: Duration, timer: Timer) {
        self.timers_asked += 1;
        let due = Due(self.now() + after, self.timers_asked, timer);
        self.timers.push(Reverse(due));
    }

    fn send(&mut self, to: PeerId, message: &Message) {
        let Some(key) = self.keys.key_of(to) else {
            self.dropped += 1;
            return;
        };
        match wire::encode(message) {
            // What is known at once to be lost is as lost as any other datagram.
            Ok(bytes) => drop(self.fabric.datagram(key, CHANNEL, bytes)),
            Err(error) => tracing::error!(%to, %error, "a brain's message could not be written"),
        }
    }

    /// Keeps a record; `false` if that failed.
    async fn persist(&mut self, record: Durable) -> bool {
        self.kept.keep(record);
        self.keep().await
    }

    async fn keep(&mut self) -> bool {
        let (keeper, kept) = (Arc::clone(&self.keeper), self.kept.clone());
        let done = tokio::task::spawn_blocking(move || keeper.keep(&kept)).await;
        match done {
            Ok(Ok(())) => {
                self.place_moved = false;
                true
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "what the brain promised could not be kept");
                false
            }
            Err(error) => {
                tracing::error!(%error, "keeping what the brain promised ended badly");
                false
            }
        }
    }

    async fn keep_place(&mut self) {
        let members = self.brain.overlay().members();
        self.sights.forget_but(|peer| members.get(peer).is_some());
        if self.place_moved {
            self.keep().await;
        }
    }

    /// Maps an event to a log line, and to what the brain is told in return.
    fn event(&mut self, event: Event) -> Option<Command> {
        match event {
            Event::Overlay(event) => {
                self.overlay_event(&event);
                None
            }
            Event::Dvms(event) => self.dvms_event(event),
        }
    }

    fn overlay_event(&mut self, event: &luc_overlay::Event) {
        use luc_overlay::Event;
        match event {
            Event::Joined(peer) => {
                tracing::info!(%peer, "a node is there");
                self.sights.see(self.origin.elapsed(), Sight::Joined(*peer));
            }
            Event::Left(peer) => {
                tracing::info!(%peer, "a node has left");
                self.sights.see(self.origin.elapsed(), Sight::Left(*peer));
            }
            Event::Failed(peer) => {
                tracing::warn!(%peer, "a node does not answer any more");
                self.sights.see(self.origin.elapsed(), Sight::Failed(*peer));
            }
            Event::Stood { peer, standing } => tracing::info!(%peer, ?standing, "a node stands"),
            Event::Moved(place) => {
                self.kept.keep_coordinate(*place);
                self.place_moved = true;
            }
            Event::Ignored { reason } => tracing::debug!(reason, "the overlay ignored an input"),
            // Searches are answered inside the brain.
            Event::Neighbours { .. } | Event::Exhausted { .. } => {}
        }
    }

    fn dvms_event(&mut self, event: luc_dvms::Event) -> Option<Command> {
        use event::Event;
        let now = self.now().since(Instant::ORIGIN);
        self.chronicle.note(now, &event);
        match event {
            Event::Migrate {
                migration,
                vm,
                target,
                reason,
            } => {
                let vm = vm.to_string();
                self.chronicle.ordered(&vm);
                tracing::info!(vm, %target, ?reason, "would be moved (dry run)");
                Some(Command::MigrationEnded {
                    migration,
                    end: MigrationEnd::Failed,
                })
            }
            Event::Began { ballot, cause } => {
                tracing::info!(%ballot, ?cause, "a partition begins");
                None
            }
            Event::Planned { ballot, plan, .. } => {
                tracing::info!(%ballot, moves = plan.steps.len(), "a plan is made");
                None
            }
            Event::Ended { ballot, end, .. } => {
                tracing::info!(%ballot, ?end, "a partition has ended");
                None
            }
            Event::Sleep => {
                tracing::info!("this host could sleep (dry run)");
                None
            }
            Event::Wake(peer) => {
                tracing::info!(%peer, "this host should be woken (dry run)");
                None
            }
            Event::Ignored { input, reason } => {
                tracing::debug!(input, reason, "the scheduler ignored an input");
                None
            }
            Event::Search { .. }
            | Event::SearchMore { .. }
            | Event::SearchEnd { .. }
            | Event::Expect { .. }
            | Event::Unexpect { .. }
            | Event::Advertise { .. }
            | Event::Reserved { .. }
            | Event::Freed { .. }
            | Event::Grew { .. }
            | Event::Absorbed { .. }
            | Event::TookOver { .. }
            | Event::CapReached { .. }
            | Event::Computed { .. }
            | Event::Barred { .. }
            | Event::LeaseExpired { .. } => None,
        }
    }

    fn status(&self) -> Status {
        let overlay = self.brain.overlay();
        let place = *overlay.coordinate();
        let members = overlay.members().iter().map(|known| Member {
            peer: known.peer,
            distance: known
                .coordinate
                .map(|other| place.distance(&other).as_secs_f64()),
            coordinate: known.coordinate,
            standing: known.standing,
            room: known.room.0,
            heard: self.sights.heard(known.peer),
        });
        Status {
            me: self.me,
            coordinate: place,
            samples: overlay.samples(),
            is_delegate: overlay.is_delegate(),
            is_free: self.brain.dvms().is_free(),
            members: members.collect(),
            gone: self.sights.gone(),
            load: self.load,
            now: self.now().as_secs_f64(),
            stories: self.chronicle.stories(),
            dropped: self.dropped,
        }
    }
}
