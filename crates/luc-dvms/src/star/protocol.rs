//! The scheduler of one node: inputs in, effects out.

use std::sync::Arc;

use luc_core::time::Instant;
use luc_core::{Effects, Input, PeerId, Protocol};

use super::{Config, Durable, Message, Timer};
use crate::ballot::Ballot;
use crate::command::Command;
use crate::event::Event;
use crate::host::Host;

/// The scheduler of one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Star {
    me: PeerId,
    seed: u64,
    config: Config,
    promised: Ballot,
    host: Option<Arc<Host>>,
    unready_until: Instant,
}

impl Star {
    /// A scheduler that has never run before.
    pub fn new(me: PeerId, seed: u64, config: Config) -> Self {
        let promised = Ballot {
            counter: 0,
            leader: me,
        };
        Self {
            me,
            seed,
            config,
            promised,
            host: None,
            unready_until: Instant::ORIGIN,
        }
    }

    /// The same scheduler with what it kept over a crash, begun again at `now`.
    #[must_use]
    pub fn restored(mut self, durable: &Durable, now: Instant) -> Self {
        self.promised = durable.promised;
        self.unready_until = now + self.config.lease;
        self
    }

    /// Whether it takes part in no partition and has no migration under way.
    pub fn is_free(&self) -> bool {
        true
    }
}

impl Protocol for Star {
    type Peer = PeerId;
    type Message = Message;
    type Timer = Timer;
    type Command = Command;
    type Event = Event;
    type Durable = Durable;

    fn handle(&mut self, _now: Instant, input: Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Command(Command::Sample(host)) => self.host = Some(Arc::new(host)),
            Input::Command(_) | Input::Message { .. } | Input::Timer(_) => {
                effects.emit(Event::Ignored {
                    input: "any",
                    reason: "free",
                });
            }
        }
    }
}
