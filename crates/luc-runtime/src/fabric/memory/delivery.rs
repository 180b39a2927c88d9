//! What happens when something arrives, and what happens as time passes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::packet::{Content, Item, Packet, StreamId};
use super::path::happens;
use super::state::{Pair, State};
use crate::fabric::frame::Outcome;
use crate::fabric::inbound::until_stopped;
use crate::fabric::stream::{RecvHalf, SendHalf};
use crate::fabric::{Channel, StreamError};
use crate::identity::NodeKey;

/// After how long a packet that met a cut is sent again. QUIC does so after about two round-trip
/// times, doubled each time (RFC 9002 section 6.2); a fixed pause is near enough.
const AGAIN: Duration = Duration::from_millis(50);

impl State {
    /// Delivers one packet, or sends it again later when its way is cut. What follows on that way
    /// then waits behind it: frames of a stream never overtake each other.
    pub(super) fn deliver(&mut self, shared: &Arc<Shared>, packet: Packet) {
        let way = (packet.from, packet.to);
        if matches!(packet.content, Content::Again) {
            for held in self.held.remove(&way).unwrap_or_default() {
                self.deliver(shared, held);
            }
            return;
        }
        let lossy = matches!(packet.content, Content::Datagram(..));
        if let Some(held) = self.held.get_mut(&way).filter(|_| !lossy) {
            held.push(packet);
            return;
        }
        let ends = super::state::pair(packet.from, packet.to);
        let Some(link) = self.links.get(&ends) else {
            return;
        };
        if !link.up || link.life != packet.life {
            return;
        }
        let through = self.ends_run(ends, link) && self.passes(packet.from, packet.to);
        if !through {
            if !lossy {
                self.hold(packet);
            }
            return;
        }
        self.arrive(shared, packet);
    }

    /// Does what a packet that has come through is for.
    fn arrive(&mut self, shared: &Arc<Shared>, packet: Packet) {
        let Packet {
            from,
            to,
            content,
            life,
            ..
        } = packet;
        let bytes = content.bytes() as u64;
        if let Some(book) = self.book(to, from) {
            book.traffic.frame_bytes_in += bytes;
            book.traffic.wire_bytes_in += bytes;
        }
        match content {
            Content::Again => {}
            Content::Request(number, channel, body) => {
                let Some(node) = self.nodes.get(&to) else {
                    return;
                };
                let inbound = Arc::clone(&node.inbound);
                let stopped = node.stopped.clone();
                let shared = Arc::clone(shared);
                tokio::spawn(async move {
                    let served = inbound.serve(from, channel, body);
                    if let Some(outcome) = until_stopped(&stopped, served).await {
                        shared.with(|state| state.answer((to, from), life, number, outcome));
                    }
                });
            }
            Content::Outcome(number, outcome) => {
                if let Some(one) = self.pending.remove(&number) {
                    let _ = one.answer.send(Ok(outcome));
                }
            }
            Content::Datagram(channel, body) => {
                let node = self.nodes.get(&to);
                if node.is_some_and(|node| node.inbound.admit(from, channel).is_some()) {
                    self.call(to, move |inbound| {
                        inbound.datagram(from, channel, body);
                    });
                } else {
                    self.count_refusal(to, from);
                }
            }
            Content::Open(id, channel) => self.accept(shared, (from, to), id, channel),
            Content::Item(id, item) => self.item_arrived(id, item),
            Content::Credit(id, bytes) => {
                if let Some(one) = self.lanes.get(&id) {
                    one.lane.window.credit(bytes);
                }
            }
            Content::Stop(id) => {
                if let Some(one) = self.lanes.get(&id) {
                    one.lane.window.break_off(StreamError::Reset);
                }
            }
        }
    }

    /// Keeps the first packet that met a cut on its way, and tries again soon.
    fn hold(&mut self, packet: Packet) {
        let (from, to) = (packet.from, packet.to);
        self.held.insert((from, to), vec![packet]);
        let number = self.number();
        let again = Packet {
            from,
            to,
            life: 0,
            content: Content::Again,
        };
        self.agenda.insert((Instant::now() + AGAIN, number), again);
    }

    /// Sends an outcome to the node that asked, unless it is to vanish.
    fn answer(&mut self, (from, to): (NodeKey, NodeKey), life: u64, number: u64, outcome: Outcome) {
        if matches!(
            outcome,
            Outcome::Refused(crate::fabric::Refusal::NotAdmitted)
        ) {
            self.count_refusal(from, to);
        }
        let share = self
            .paths
            .quality(self.stop(from), self.stop(to))
            .answer_loss;
        let ordered = self
            .vanishing
            .get_mut(&(from, to))
            .filter(|left| **left > 0);
        let vanishes = match ordered {
            Some(left) => {
                *left -= 1;
                true
            }
            None => happens(share, &mut self.random),
        };
        if vanishes {
            return;
        }
        let content = Content::Outcome(number, outcome);
        let packet = Packet {
            from,
            to,
            life,
            content,
        };
        self.send(packet, None);
    }

    /// A stream arrives at the node that is to serve it.
    fn accept(
        &mut self,
        shared: &Arc<Shared>,
        (from, to): (NodeKey, NodeKey),
        id: StreamId,
        channel: Channel,
    ) {
        let Some(node) = self.nodes.get(&to) else {
            return;
        };
        let Some((send, recv)) = self.accepting.remove(&id.number) else {
            return;
        };
        let inbound = Arc::clone(&node.inbound);
        let stopped = node.stopped.clone();
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let halves = (SendHalf::new(send), RecvHalf::new(recv));
            let Some(peer) = inbound.admit(from, channel) else {
                shared.with(|state| state.count_refusal(to, from));
                return;
            };
            let served = inbound.serve_stream(peer, channel, halves);
            until_stopped(&stopped, served).await;
        });
    }

    fn item_arrived(&mut self, id: StreamId, item: Item) {
        let ends_it = !matches!(item, Item::Frame(_));
        if let Some(one) = self.lanes.get(&id) {
            let _ = one.lane.items.send(item);
        }
        if ends_it {
            self.lanes.remove(&id);
        }
    }

    /// Looks after every connection: signs of life, samples of the round-trip time.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        let ends: Vec<Pair> = self.links.keys().copied().collect();
        for ends in ends {
            let Some(link) = self.links.get(&ends).filter(|link| link.up) else {
                continue;
            };
            let (a, b) = ends;
            let hears = self.ends_run(ends, link) && self.passes(a, b) && self.passes(b, a);
            let silent = now - link.heard;
            let due = hears && now - link.sampled >= self.timing.rtt_sample;
            if !hears && silent >= self.timing.idle {
                self.lose(ends, "no sign of life");
                continue;
            }
            if let Some(link) = self.links.get_mut(&ends).filter(|_| hears) {
                link.heard = now;
                if due {
                    link.sampled = now;
                }
            }
            if due {
                self.sample(ends);
            }
        }
    }

    /// Tells both ends of a connection how long a round trip takes now.
    fn sample(&mut self, (a, b): Pair) {
        let (at_a, at_b) = (self.stop(a), self.stop(b));
        for (of, peer) in [(a, b), (b, a)] {
            let there = self.paths.delay(at_a, at_b, &mut self.random);
            let back = self.paths.delay(at_b, at_a, &mut self.random);
            self.call(of, move |inbound| {
                inbound.handler().rtt(inbound.peer(peer), there + back);
            });
        }
    }
}
