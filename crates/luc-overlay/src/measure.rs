//! Round trips, and the coordinate that is learnt from them.
//!
//! Probes of the pools measure for nothing. A node that is no delegate probes only its own site
//! and would never learn where that site lies; so it asks one of its contacts for an echo now and
//! then, which also shows whether the contact is still there.

use luc_core::PeerId;
use luc_core::protocol::Effects;
use luc_core::time::{Duration, Instant};

use crate::coordinate::Coordinate;
use crate::event::Event;
use crate::message::Message;
use crate::pool::share;
use crate::protocol::{Overlay, Phase};
use crate::timer::Timer;
use crate::vivaldi::Moved;

/// So many first echoes of a node are asked for soon: it does not know yet where it is.
pub(crate) const ECHOES_SOON: u32 = 16;

/// How soon.
const SOON: Duration = Duration::from_secs(1);

/// The echo that is awaited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo {
    peer: PeerId,
    ask: u32,
    sent: Instant,
}

impl Overlay {
    pub(crate) fn on_round_trip(
        &mut self,
        peer: PeerId,
        rtt: Duration,
        effects: &mut Effects<Self>,
    ) {
        let from_table = self.members.get(peer).and_then(|known| known.coordinate);
        let from_directory = || self.directory.as_ref()?.coordinate(peer).copied();
        match from_table.or_else(from_directory) {
            Some(place) => self.observe(peer, &place, rtt, effects),
            None => effects.emit(Event::Ignored {
                reason: "a round trip to a node whose coordinate is not known",
            }),
        }
    }

    /// Learns from one round trip to a node that says it is at `place`.
    pub(crate) fn observe(
        &mut self,
        peer: PeerId,
        place: &Coordinate,
        rtt: Duration,
        effects: &mut Effects<Self>,
    ) {
        self.finder.on_round_trip(self.me, peer, rtt);
        match self.vivaldi.observe(peer, place, rtt) {
            Ok(Moved::Little) => {}
            Ok(Moved::Far) => {
                self.edition = self.edition.checked_add(1).unwrap_or(1);
                effects.emit(Event::Moved(*self.vivaldi.published()));
            }
            Err(_) => effects.emit(Event::Ignored {
                reason: "a round trip or the coordinate with it is not to be believed",
            }),
        }
    }

    /// Schedules the first echo of a life.
    pub(crate) fn schedule_echo(&mut self, effects: &mut Effects<Self>) {
        if !self.swim.echo.is_zero() {
            let after = share(self.echo_period(), &mut self.entropy);
            effects.schedule(after, Timer::Echo { epoch: self.epoch });
        }
    }

    fn echo_period(&self) -> Duration {
        let asks = !self.is_delegate() && !self.contacts.as_slice().is_empty();
        if asks && self.echoes < ECHOES_SOON {
            self.swim.echo.min(SOON)
        } else {
            self.swim.echo
        }
    }

    pub(crate) fn on_echo_due(&mut self, now: Instant, epoch: u16, effects: &mut Effects<Self>) {
        if epoch != self.epoch || self.phase != Phase::Serving {
            return;
        }
        effects.schedule(self.echo_period(), Timer::Echo { epoch });
        if let Some(echo) = self.echo.take() {
            self.contacts.forget(echo.peer);
        }
        // Delegates are measured with other sites by the probes of the cloud pool.
        if self.is_delegate() {
            return;
        }
        if let Some(peer) = self.contacts.draw(&mut self.entropy) {
            self.echoes = self.echoes.wrapping_add(1);
            let ask = self.echoes;
            self.echo = Some(Echo {
                peer,
                ask,
                sent: now,
            });
            effects.send(peer, Message::Echo { ask });
        }
    }

    pub(crate) fn on_echo(&self, from: PeerId, ask: u32, effects: &mut Effects<Self>) {
        let place = *self.vivaldi.coordinate();
        effects.send(from, Message::Echoed { ask, place });
    }

    pub(crate) fn on_echoed(
        &mut self,
        now: Instant,
        from: PeerId,
        ask: u32,
        place: &Coordinate,
        effects: &mut Effects<Self>,
    ) {
        let answers = |echo: &mut Echo| echo.peer == from && echo.ask == ask;
        match self.echo.take_if(answers) {
            Some(echo) => self.observe(from, place, now.since(echo.sent), effects),
            None => effects.emit(Event::Ignored {
                reason: "an echo that was not asked for",
            }),
        }
    }
}
