//! The contract exercised by the smallest protocol that uses every kind of effect: a counter that
//! persists before it acknowledges and retries a ping until it is answered.

use super::*;

#[derive(Default)]
struct Pinger {
    epoch: u32,
    answered: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Message {
    Ping,
    Pong,
}

impl Protocol for Pinger {
    type Peer = u8;
    type Message = Message;
    type Timer = u32;
    type Command = u8;
    type Event = &'static str;
    type Durable = u32;

    fn handle(&mut self, _now: Instant, input: Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Command(peer) => {
                self.epoch += 1;
                self.answered = false;
                effects.persist(self.epoch);
                effects.send(peer, Message::Ping);
                effects.schedule(Duration::from_secs(1), self.epoch);
            }
            Input::Message {
                from,
                message: Message::Ping,
            } => effects.send(from, Message::Pong),
            Input::Message {
                message: Message::Pong,
                ..
            } => {
                self.answered = true;
                effects.emit("answered");
            }
            Input::Timer(epoch) if epoch == self.epoch && !self.answered => {
                effects.emit("timed out");
            }
            Input::Timer(_) => {}
        }
    }
}

fn shown(effects: &mut Effects<Pinger>) -> Vec<String> {
    effects
        .drain()
        .map(|effect| match effect {
            Effect::Persist(epoch) => format!("persist {epoch}"),
            Effect::Send { to, message } => format!("send {message:?} to {to}"),
            Effect::Schedule { after, timer } => format!("wake {timer} after {after:?}"),
            Effect::Emit(event) => format!("emit {event}"),
        })
        .collect()
}

#[test]
fn what_must_be_durable_stands_before_the_send_that_depends_on_it() {
    let mut pinger = Pinger::default();
    let mut effects = Effects::new();
    pinger.handle(Instant::ORIGIN, Input::Command(4), &mut effects);
    assert_eq!(
        shown(&mut effects),
        ["persist 1", "send Ping to 4", "wake 1 after 1s"]
    );
    assert!(effects.is_empty());
}

#[test]
fn a_timer_of_an_older_epoch_is_stale() {
    let mut pinger = Pinger::default();
    let mut effects = Effects::new();
    pinger.handle(Instant::ORIGIN, Input::Command(4), &mut effects);
    pinger.handle(Instant::ORIGIN, Input::Command(4), &mut effects);
    effects.drain().for_each(drop);
    pinger.handle(Instant::from_nanos(1), Input::Timer(1), &mut effects);
    assert_eq!(effects.len(), 0);
    pinger.handle(Instant::from_nanos(2), Input::Timer(2), &mut effects);
    assert_eq!(shown(&mut effects), ["emit timed out"]);
}

#[test]
fn a_ping_is_answered_with_a_pong() {
    let mut pinger = Pinger::default();
    let mut effects = Effects::new();
    let ping = Input::Message {
        from: 9,
        message: Message::Ping,
    };
    pinger.handle(Instant::ORIGIN, ping, &mut effects);
    assert_eq!(shown(&mut effects), ["send Pong to 9"]);
    let answer = Input::Message {
        from: 9,
        message: Message::Pong,
    };
    pinger.handle(Instant::ORIGIN, answer, &mut effects);
    assert_eq!(shown(&mut effects), ["emit answered"]);
}
