//! The brain: routes inputs to its two parts and what each says to the other.
//!
//! Called by the daemon's runtime and by the simulator. The scheduler's searches are the overlay's
//! requests of the same number, because the scheduler is the only service that searches.

use std::collections::VecDeque;

use luc_core::time::Instant;
use luc_core::{Effect, Effects, Input, PeerId, Protocol};
use luc_dvms::command::{Candidate, SearchId};
use luc_dvms::{Dvms, event};
use luc_overlay::{Neighbour, Overlay, RequestId, Room, Seed, Standing};

use crate::command::Command;
use crate::durable::{Durable, Kept};
use crate::event::Event;
use crate::message::Message;
use crate::timer::Timer;

/// The parameters of one node's brain.
#[derive(Clone, Debug)]
pub struct Config {
    /// Of the overlay.
    pub overlay: luc_overlay::Config,
    /// Of the scheduler.
    pub dvms: luc_dvms::Config,
}

/// One node's brain.
#[derive(Debug)]
pub struct Brain {
    overlay: Overlay,
    dvms: Dvms,
}

/// What one part says to the other.
enum Inside {
    ToOverlay(luc_overlay::Command),
    ToDvms(luc_dvms::Command),
}

impl Brain {
    /// A brain that does not take part yet. `kept` is what an earlier life of the node left.
    pub fn new(config: Config, kept: &Kept, now: Instant) -> Self {
        let dvms = match &kept.dvms {
            None => Dvms::new(&config.dvms),
            Some(record) => Dvms::restored(&config.dvms, record, now),
        };
        Self {
            overlay: Overlay::new(config.overlay, kept.overlay),
            dvms,
        }
    }

    /// Takes part from now on as a node that has done so for long: how simulations begin in a
    /// steady state. Only for a brain that was never started.
    pub fn seed(&mut self, now: Instant, seed: &Seed<'_>, effects: &mut Effects<Self>) {
        let inside = &mut VecDeque::new();
        let mut inner = Effects::new();
        self.overlay.seed(now, seed, &mut inner);
        carry_overlay(&mut inner, inside, effects);
        self.settle(now, inside, effects);
    }

    /// The overlay, to look at.
    pub const fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// The scheduler, to look at.
    pub const fn dvms(&self) -> &Dvms {
        &self.dvms
    }

    fn tell_overlay(
        &mut self,
        now: Instant,
        input: Input<Overlay>,
        inside: &mut VecDeque<Inside>,
        effects: &mut Effects<Self>,
    ) {
        let mut inner = Effects::new();
        self.overlay.handle(now, input, &mut inner);
        carry_overlay(&mut inner, inside, effects);
    }

    fn tell_dvms(
        &mut self,
        now: Instant,
        input: Input<Dvms>,
        inside: &mut VecDeque<Inside>,
        effects: &mut Effects<Self>,
    ) {
        let mut inner = Effects::new();
        self.dvms.handle(now, input, &mut inner);
        for effect in inner.drain() {
            match effect {
                Effect::Persist(record) => effects.persist(Durable::Dvms(record)),
                Effect::Send { to, message } => {
                    effects.send(to, Message::Dvms(Box::new(message)));
                }
                Effect::Schedule { after, timer } => effects.schedule(after, Timer::Dvms(timer)),
                Effect::Emit(event) => route_dvms_event(event, inside, effects),
            }
        }
    }

    fn on_command(command: Command, inside: &mut VecDeque<Inside>) {
        let to_overlay = Inside::ToOverlay;
        let to_dvms = Inside::ToDvms;
        let told = match command {
            Command::Start { contacts } => to_overlay(luc_overlay::Command::Start { contacts }),
            Command::Leave => to_overlay(luc_overlay::Command::Leave),
            Command::RoundTrip { peer, rtt } => {
                to_overlay(luc_overlay::Command::RoundTrip { peer, rtt })
            }
            Command::Sample(host) => to_dvms(luc_dvms::Command::Sample(host)),
            Command::MigrationEnded { migration, end } => {
                to_dvms(luc_dvms::Command::MigrationEnded { migration, end })
            }
            Command::Woken => {
                // The scheduler advertises the true room at its first sample.
                inside.push_back(to_overlay(luc_overlay::Command::Advertise {
                    standing: Standing::Awake,
                    room: Room::default(),
                }));
                to_dvms(luc_dvms::Command::Woken)
            }
        };
        inside.push_back(told);
    }

    /// Carries what the parts say to each other until both have nothing to say.
    fn settle(&mut self, now: Instant, inside: &mut VecDeque<Inside>, effects: &mut Effects<Self>) {
        while let Some(next) = inside.pop_front() {
            match next {
                Inside::ToOverlay(command) => {
                    self.tell_overlay(now, Input::Command(command), inside, effects);
                }
                Inside::ToDvms(command) => {
                    self.tell_dvms(now, Input::Command(command), inside, effects);
                }
            }
        }
    }
}

impl Protocol for Brain {
    type Peer = PeerId;
    type Message = Message;
    type Timer = Timer;
    type Command = Command;
    type Event = Event;
    type Durable = Durable;

    fn handle(&mut self, now: Instant, input: Input<Self>, effects: &mut Effects<Self>) {
        let inside = &mut VecDeque::new();
        match input {
            Input::Message {
                from,
                message: Message::Overlay(message),
            } => self.tell_overlay(now, Input::Message { from, message }, inside, effects),
            Input::Message {
                from,
                message: Message::Dvms(message),
            } => {
                let message = *message;
                self.tell_dvms(now, Input::Message { from, message }, inside, effects);
            }
            Input::Timer(Timer::Overlay(timer)) => {
                self.tell_overlay(now, Input::Timer(timer), inside, effects);
            }
            Input::Timer(Timer::Dvms(timer)) => {
                self.tell_dvms(now, Input::Timer(timer), inside, effects);
            }
            Input::Command(command) => Self::on_command(command, inside),
        }
        self.settle(now, inside, effects);
    }
}

/// Passes on what the overlay wants done.
fn carry_overlay(
    inner: &mut Effects<Overlay>,
    inside: &mut VecDeque<Inside>,
    effects: &mut Effects<Brain>,
) {
    for effect in inner.drain() {
        match effect {
            Effect::Persist(record) => effects.persist(Durable::Overlay(record)),
            Effect::Send { to, message } => effects.send(to, Message::Overlay(message)),
            Effect::Schedule { after, timer } => effects.schedule(after, Timer::Overlay(timer)),
            Effect::Emit(event) => route_overlay_event(event, inside, effects),
        }
    }
}

/// What the overlay says: to the scheduler, to the host, or to both.
fn route_overlay_event(
    event: luc_overlay::Event,
    inside: &mut VecDeque<Inside>,
    effects: &mut Effects<Brain>,
) {
    use luc_overlay::Event as Told;
    let mut tell = |command| inside.push_back(Inside::ToDvms(command));
    match &event {
        Told::Neighbours { request, found } => {
            return tell(luc_dvms::Command::Neighbours {
                search: SearchId(request.0),
                found: found.iter().map(candidate).collect(),
            });
        }
        Told::Exhausted { request } => {
            return tell(luc_dvms::Command::Exhausted {
                search: SearchId(request.0),
            });
        }
        Told::Joined(peer)
        | Told::Stood {
            peer,
            standing: Standing::Awake,
        } => tell(luc_dvms::Command::PeerJoined(*peer)),
        Told::Left(peer) | Told::Failed(peer) => tell(luc_dvms::Command::PeerFailed(*peer)),
        Told::Stood { .. } | Told::Moved(_) | Told::Ignored { .. } => {}
    }
    effects.emit(Event::Overlay(event));
}

/// What the scheduler says: to the overlay or to the host.
fn route_dvms_event(
    event: event::Event,
    inside: &mut VecDeque<Inside>,
    effects: &mut Effects<Brain>,
) {
    use luc_overlay::Command as Asked;
    let mut ask = |command| inside.push_back(Inside::ToOverlay(command));
    match event {
        event::Event::Search {
            search,
            outside,
            count,
        } => ask(Asked::Search {
            request: RequestId(search.0),
            outside,
            count,
        }),
        event::Event::SearchMore { search, count } => ask(Asked::More {
            request: RequestId(search.0),
            count,
        }),
        event::Event::SearchEnd { search } => ask(Asked::End {
            request: RequestId(search.0),
        }),
        event::Event::Advertise { room, asleep } => ask(Asked::Advertise {
            standing: if asleep {
                Standing::Asleep
            } else {
                Standing::Awake
            },
            room: Room(room),
        }),
        other => effects.emit(Event::Dvms(other)),
    }
}

fn candidate(neighbour: &Neighbour) -> Candidate {
    Candidate {
        peer: neighbour.peer,
        distance: neighbour.distance,
        asleep: neighbour.standing == Standing::Asleep,
        room: neighbour.room.0,
    }
}

#[cfg(test)]
mod tests;
