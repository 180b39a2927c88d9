//! One type for whichever protocol runs: what the brain of a node and the simulator hold.
//!
//! It translates nothing but the enum around messages, timers and records. Called by `luc-node`.

use luc_core::time::Instant;
use luc_core::{Effect, Effects, Input, PeerId, Protocol};

use crate::command::Command;
use crate::config::{Choice, Config};
use crate::durable::Durable;
use crate::event::Event;
use crate::message::Message;
use crate::relay::Relay;
use crate::star::Star;
use crate::timer::Timer;

/// The scheduler of one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dvms {
    /// Runs our protocol.
    Star(Star),
    /// Runs the published protocol.
    Relay(Relay),
}

impl Dvms {
    /// A scheduler that has never run before.
    pub fn new(config: &Config) -> Self {
        match &config.protocol {
            Choice::Star(star) => Self::Star(Star::new(config.me, config.seed, star.clone())),
            Choice::Relay(relay) => Self::Relay(Relay::new(config.me, config.seed, relay.clone())),
        }
    }

    /// A scheduler that ran before and kept `durable`, begun again at `now`. A record of another
    /// protocol counts as none.
    pub fn restored(config: &Config, durable: &Durable, now: Instant) -> Self {
        match (&config.protocol, durable) {
            (Choice::Star(star), Durable::Star(record)) => {
                let fresh = Star::new(config.me, config.seed, star.clone());
                Self::Star(fresh.restored(record, now))
            }
            (Choice::Relay(relay), Durable::Relay(record)) => {
                Self::Relay(Relay::new(config.me, config.seed, relay.clone()).restored(record))
            }
            (Choice::Star(_), Durable::Relay(_)) | (Choice::Relay(_), Durable::Star(_)) => {
                Self::new(config)
            }
        }
    }

    /// Whether it takes part in no partition and has no migration under way.
    pub fn is_free(&self) -> bool {
        match self {
            Self::Star(star) => star.is_free(),
            Self::Relay(relay) => relay.is_free(),
        }
    }
}

impl Protocol for Dvms {
    type Peer = PeerId;
    type Message = Message;
    type Timer = Timer;
    type Command = Command;
    type Event = Event;
    type Durable = Durable;

    fn handle(&mut self, now: Instant, input: Input<Self>, effects: &mut Effects<Self>) {
        match self {
            Self::Star(star) => {
                let input = match input {
                    Input::Message {
                        from,
                        message: Message::Star(message),
                    } => Input::Message { from, message },
                    Input::Timer(Timer::Star(timer)) => Input::Timer(timer),
                    Input::Command(command) => Input::Command(command),
                    Input::Message { .. } | Input::Timer(_) => return ignore_stranger(effects),
                };
                let mut inner = Effects::new();
                star.handle(now, input, &mut inner);
                wrap(&mut inner, effects);
            }
            Self::Relay(relay) => {
                let input = match input {
                    Input::Message {
                        from,
                        message: Message::Relay(message),
                    } => Input::Message { from, message },
                    Input::Timer(Timer::Relay(timer)) => Input::Timer(timer),
                    Input::Command(command) => Input::Command(command),
                    Input::Message { .. } | Input::Timer(_) => return ignore_stranger(effects),
                };
                let mut inner = Effects::new();
                relay.handle(now, input, &mut inner);
                wrap(&mut inner, effects);
            }
        }
    }
}

/// All nodes of a cloud run the same protocol; what another one says is not for us.
fn ignore_stranger(effects: &mut Effects<Dvms>) {
    effects.emit(Event::Ignored {
        input: "message",
        reason: "of another protocol",
    });
}

/// Puts the enum around what one of the protocols wants done.
fn wrap<P>(inner: &mut Effects<P>, effects: &mut Effects<Dvms>)
where
    P: Protocol<Peer = PeerId, Event = Event>,
    P::Message: Into<Message>,
    P::Timer: Into<Timer>,
    P::Durable: Into<Durable>,
{
    for effect in inner.drain() {
        match effect {
            Effect::Persist(record) => effects.persist(record.into()),
            Effect::Send { to, message } => effects.send(to, message.into()),
            Effect::Schedule { after, timer } => effects.schedule(after, timer.into()),
            Effect::Emit(event) => effects.emit(event),
        }
    }
}
