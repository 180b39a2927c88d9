//! One node's end of a network in memory.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Shared;
use super::packet::{Content, Packet, StreamId};
use super::state::{Dial, OpenLane, Pending, State, pair};
use super::stream::lane;
use crate::fabric::frame::Outcome;
use crate::fabric::stream::{RecvHalf, SendHalf};
use crate::fabric::{
    BODY_BYTES_MAX, Channel, DATAGRAM_BYTES_MAX, Fabric, Lost, NotSent, PeerMetrics, PeerState,
    Request, RequestError, Standing,
};
use crate::identity::NodeKey;

/// How often an unanswered handshake looks again whether the way is open.
const HANDSHAKE_AGAIN: Duration = Duration::from_millis(100);

/// A node's handle. It dies with its incarnation: after a crash everything is `ShutDown`.
pub struct MemoryFabric {
    pub(super) shared: Arc<Shared>,
    pub(super) me: NodeKey,
    pub(super) incarnation: u64,
}

/// A connection, or one that is being opened.
enum Found {
    Life(u64),
    Dial(oneshot::Receiver<Result<u64, NotSent>>),
}

/// Forgets a request whose caller went away.
struct Forget<'a>(&'a Shared, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.pending.remove(&self.1));
    }
}

impl MemoryFabric {
    /// Whether this very incarnation runs.
    fn runs(&self, state: &State) -> bool {
        let node = state.nodes.get(&self.me);
        !state.closed && node.is_some_and(|node| node.incarnation == self.incarnation)
    }

    /// What forbids to talk to `to` about `channel` before anything is tried.
    fn forbidden(&self, state: &State, to: NodeKey, channel: Channel) -> Option<NotSent> {
        if !self.runs(state) {
            return Some(NotSent::ShutDown);
        }
        if to == self.me {
            return Some(NotSent::Itself);
        }
        let inbound = &state.nodes.get(&self.me)?.inbound;
        let speaks = inbound.standing(to).may_speak(channel);
        (!speaks).then_some(NotSent::NotAdmitted(channel))
    }

    /// The life of the connection to `to`, which is opened if there is none.
    async fn connected(&self, to: NodeKey, deadline: Instant) -> Result<u64, NotSent> {
        let done = match self.shared.with(|state| self.find(state, to))? {
            Found::Life(life) => return Ok(life),
            Found::Dial(done) => done,
        };
        match timeout_at(deadline, done).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(NotSent::ShutDown),
            Err(_) => Err(NotSent::Deadline),
        }
    }

    /// The connection to `to`, or the one that is being opened from now on.
    fn find(&self, state: &mut State, to: NodeKey) -> Result<Found, NotSent> {
        if let Some(life) = state.life(self.me, self.incarnation, to) {
            return Ok(Found::Life(life));
        }
        let book = state.book(self.me, to).ok_or(NotSent::ShutDown)?;
        let (tell, done) = oneshot::channel();
        if let Some(dial) = &mut book.dial {
            dial.tell.push(tell);
            return Ok(Found::Dial(done));
        }
        if let Some(why) = book.backoff.refusal(Instant::now()) {
            return Err(NotSent::Unreachable(why.to_owned()));
        }
        book.dial = Some(Dial {
            tell: vec![tell],
            waiting: VecDeque::new(),
        });
        let shared = Arc::clone(&self.shared);
        let myself = Self { shared, ..*self };
        tokio::spawn(async move {
            let outcome = myself.dial(to).await;
            myself
                .shared
                .with(|state| myself.dialled(state, to, &outcome));
        });
        Ok(Found::Dial(done))
    }

    /// Shakes hands until it succeeds, is refused, or takes too long.
    async fn dial(&self, to: NodeKey) -> Result<u64, NotSent> {
        let started = Instant::now();
        let (mut look, give_up) = self.shared.with(|state| {
            let give_up = started + state.timing.connect;
            (started + self.round_trip(state, to), give_up)
        });
        loop {
            sleep_until(look.min(give_up)).await;
            let done = self.shared.with(|state| self.shake_hands(state, to));
            if let Some(outcome) = done {
                return outcome;
            }
            let now = Instant::now();
            if now >= give_up {
                return Err(NotSent::Unreachable(
                    "no answer to the handshake".to_owned(),
                ));
            }
            look = now + HANDSHAKE_AGAIN;
        }
    }

    /// The end of a dial: what waited is sent or dropped, a failure makes a pause.
    fn dialled(&self, state: &mut State, to: NodeKey, outcome: &Result<u64, NotSent>) {
        if !self.runs(state) {
            return;
        }
        let timing = state.timing.clone();
        let mut random = state.random.clone();
        let Some(book) = state.book(self.me, to) else {
            return;
        };
        let Some(Dial { tell, waiting }) = book.dial.take() else {
            return;
        };
        for tell in tell {
            let _ = tell.send(outcome.clone());
        }
        match outcome {
            Ok(life) => {
                for (channel, body) in waiting {
                    let content = Content::Datagram(channel, body);
                    state.send(self.packet(to, *life, content), None);
                }
            }
            Err(why) => {
                book.traffic.datagrams_dropped += waiting.len() as u64;
                let why = why.to_string();
                book.backoff
                    .failed(Instant::now(), &timing, why, &mut random);
                state.random = random;
            }
        }
    }

    fn round_trip(&self, state: &mut State, to: NodeKey) -> Duration {
        let (a, b) = (state.stop(self.me), state.stop(to));
        let there = state.paths.delay(a, b, &mut state.random);
        there + state.paths.delay(b, a, &mut state.random)
    }

    /// The end of a handshake, if both sides hear each other; `None` is silence.
    fn shake_hands(&self, state: &mut State, to: NodeKey) -> Option<Result<u64, NotSent>> {
        if !self.runs(state) {
            return Some(Err(NotSent::ShutDown));
        }
        if !(state.passes(self.me, to) && state.passes(to, self.me)) {
            return None;
        }
        let standing = state.nodes.get(&to)?.inbound.standing(self.me);
        if standing == Standing::Refused {
            if let Some(node) = state.nodes.get(&to) {
                node.inbound
                    .log_refusal(self.me, "not admitted", &"connection");
            }
            state.count_refusal(to, self.me);
            return Some(Err(NotSent::Refused("not admitted".to_owned())));
        }
        Some(state.connect(self.me, to).ok_or(NotSent::ShutDown))
    }

    /// A place among the requests and streams that are open with `to`.
    async fn place(&self, to: NodeKey, deadline: Instant) -> Result<OwnedSemaphorePermit, NotSent> {
        let book = |state: &mut State| state.book(self.me, to).map(|book| Arc::clone(&book.open));
        let open = self.shared.with(book).ok_or(NotSent::ShutDown)?;
        match timeout_at(deadline, open.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(NotSent::ShutDown),
            Err(_) => Err(NotSent::Deadline),
        }
    }

    /// Everything up to the moment when the request is on its way.
    async fn hand_over(
        &self,
        to: NodeKey,
        request: Request,
        deadline: Instant,
    ) -> Result<
        (
            u64,
            oneshot::Receiver<Result<Outcome, Lost>>,
            OwnedSemaphorePermit,
        ),
        NotSent,
    > {
        let (channel, bytes) = (request.channel, request.body.len());
        check_size(bytes, BODY_BYTES_MAX)?;
        if let Some(why) = self.shared.with(|state| self.forbidden(state, to, channel)) {
            return Err(why);
        }
        self.connected(to, deadline).await?;
        let place = self.place(to, deadline).await?;
        let (answer, waiting) = oneshot::channel();
        let number = self.shared.with(|state| {
            let life = self.life_now(state, to)?;
            let number = state.number();
            let pending = Pending {
                from: self.me,
                to,
                life,
                answer,
            };
            state.pending.insert(number, pending);
            let content = Content::Request(number, channel, request.body);
            state.send(self.packet(to, life, content), None);
            Ok(number)
        })?;
        Ok((number, waiting, place))
    }

    /// The connection's life, once more: it may have gone while something else was waited for.
    fn life_now(&self, state: &State, to: NodeKey) -> Result<u64, NotSent> {
        let life = state.life(self.me, self.incarnation, to);
        life.filter(|_| self.runs(state))
            .ok_or_else(|| NotSent::Unreachable("the connection was lost".to_owned()))
    }

    fn packet(&self, to: NodeKey, life: u64, content: Content) -> Packet {
        Packet {
            from: self.me,
            to,
            life,
            content,
        }
    }
}

fn check_size(bytes: usize, bytes_max: usize) -> Result<(), NotSent> {
    if bytes > bytes_max {
        return Err(NotSent::TooLarge { bytes, bytes_max });
    }
    Ok(())
}

#[async_trait]
impl Fabric for MemoryFabric {
    fn me(&self) -> NodeKey {
        self.me
    }

    async fn request(
        &self,
        to: NodeKey,
        request: Request,
        deadline: Instant,
    ) -> Result<Bytes, RequestError> {
        let handed = self.hand_over(to, request, deadline).await;
        let not_sent = |why| RequestError::NotSent { to, why };
        let (number, waiting, _place) = handed.map_err(not_sent)?;
        let _forget = Forget(&self.shared, number);
        let why = match timeout_at(deadline, waiting).await {
            Ok(Ok(Ok(Outcome::Answer(body)))) => return Ok(body),
            Ok(Ok(Ok(Outcome::Refused(why)))) => return Err(RequestError::Refused { to, why }),
            Ok(Ok(Ok(Outcome::Failed(text)))) => Lost::Failed(text),
            Ok(Ok(Err(why))) => why,
            Ok(Err(_)) => Lost::Connection("the network is gone".to_owned()),
            Err(_) => Lost::Deadline,
        };
        Err(RequestError::Unknown { to, why })
    }

    async fn open_stream(
        &self,
        to: NodeKey,
        channel: Channel,
        deadline: Instant,
    ) -> Result<(SendHalf, RecvHalf), NotSent> {
        if let Some(why) = self.shared.with(|state| self.forbidden(state, to, channel)) {
            return Err(why);
        }
        self.connected(to, deadline).await?;
        self.shared.with(|state| {
            let life = self.life_now(state, to)?;
            let there = StreamId {
                number: state.number(),
                back: false,
            };
            let (there_lane, send, far_recv) = lane(&self.shared, there);
            let (back_lane, far_send, recv) = lane(&self.shared, there.opposite());
            let last = state.send(self.packet(to, life, Content::Open(there, channel)), None);
            let open = |from, to, lane| OpenLane {
                from,
                to,
                life,
                lane,
                last,
            };
            state.lanes.insert(there, open(self.me, to, there_lane));
            state
                .lanes
                .insert(there.opposite(), open(to, self.me, back_lane));
            state.accepting.insert(there.number, (far_send, far_recv));
            Ok((SendHalf::new(send), RecvHalf::new(recv)))
        })
    }

    fn datagram(&self, to: NodeKey, channel: Channel, body: Bytes) -> Result<(), NotSent> {
        check_size(body.len(), DATAGRAM_BYTES_MAX)?;
        self.shared.with(|state| {
            if let Some(why) = self.forbidden(state, to, channel) {
                return Err(why);
            }
            let waiting_max = state.waiting_max;
            let found = self.find(state, to);
            let book = state.book(self.me, to).ok_or(NotSent::ShutDown)?;
            match found {
                Ok(Found::Life(life)) => {
                    let content = Content::Datagram(channel, body);
                    state.send(self.packet(to, life, content), None);
                    Ok(())
                }
                Ok(Found::Dial(_)) => {
                    let waiting = book.dial.as_mut().map(|dial| &mut dial.waiting);
                    match waiting.filter(|waiting| waiting.len() < waiting_max) {
                        Some(waiting) => waiting.push_back((channel, body)),
                        None => book.traffic.datagrams_dropped += 1,
                    }
                    Ok(())
                }
                Err(why) => {
                    book.traffic.datagrams_dropped += 1;
                    Err(why)
                }
            }
        })
    }

    fn peers(&self) -> Vec<PeerMetrics> {
        self.shared.with(|state| {
            let Some(node) = state.nodes.get(&self.me).filter(|_| self.runs(state)) else {
                return Vec::new();
            };
            let metrics = node.peers.iter().map(|(key, book)| {
                let link = state.links.get(&pair(self.me, *key));
                let up = state.life(self.me, self.incarnation, *key).is_some();
                let connecting = book.dial.is_some();
                let since = link.map_or(node.started, |link| link.since.max(node.started));
                let (here, there) = (node.stop, state.stop(*key));
                PeerMetrics {
                    key: *key,
                    standing: node.inbound.standing(*key),
                    state: match (up, connecting) {
                        (true, _) => PeerState::Connected,
                        (false, true) => PeerState::Connecting,
                        (false, false) => PeerState::Down,
                    },
                    state_age: since.elapsed(),
                    rtt: link.map(|_| state.paths.quality(here, there).rtt),
                    traffic: book.traffic,
                }
            });
            metrics.collect()
        })
    }

    /// The network knows where everyone is.
    fn set_address(&self, _key: NodeKey, _addresses: Vec<SocketAddr>) {}

    fn close(&self, key: NodeKey) {
        self.shared.with(|state| {
            if self.runs(state) {
                state.lose(pair(self.me, key), "closed");
            }
        });
    }

    fn admission_changed(&self) {
        self.shared.with(|state| {
            let Some(node) = state.nodes.get(&self.me).filter(|_| self.runs(state)) else {
                return;
            };
            let inbound = Arc::clone(&node.inbound);
            let refused = |key| inbound.standing(key) == Standing::Refused;
            state.lose_all(self.me, "not admitted any more", refused);
        });
    }

    async fn shut_down(&self) {
        let node = self.shared.with(|state| {
            if !self.runs(state) {
                return None;
            }
            state.lose_all(self.me, "the node has shut down", |_| true);
            state.crash(self.me)
        });
        drop(node);
    }
}
