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
use crate::star::Star;
use crate::timer::Timer;

/// The scheduler of one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dvms {
    /// Runs our protocol.
    Star(Star),
}

impl Dvms {
    /// A scheduler that has never run before.
    pub fn new(config: &Config) -> Self {
        match &config.protocol {
            Choice::Star(star) => Self::Star(Star::new(config.me, config.seed, star.clone())),
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
        }
    }

    /// Whether it takes part in no partition and has no migration under way.
    pub fn is_free(&self) -> bool {
        match self {
            Self::Star(star) => star.is_free(),
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
                };
                let mut inner = Effects::new();
                star.handle(now, input, &mut inner);
                for effect in inner.drain() {
                    match effect {
                        Effect::Persist(record) => effects.persist(Durable::Star(record)),
                        Effect::Send { to, message } => effects.send(to, Message::Star(message)),
                        Effect::Schedule { after, timer } => {
                            effects.schedule(after, Timer::Star(timer));
                        }
                        Effect::Emit(event) => effects.emit(event),
                    }
                }
            }
        }
    }
}
