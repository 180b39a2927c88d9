//! What comes in on an open connection: requests, streams, datagrams, and its end.

use std::sync::Arc;

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream};
use tokio::time::{MissedTickBehavior, interval_at};

use super::Core;
use super::book::Live;
use super::wire::{GIVEN_UP, QuicRecv, QuicSend, ReadFrameError, Sending, read_body, read_header};
use crate::fabric::frame::{self, FrameError, HEADER_BYTES, Kind, Outcome};
use crate::fabric::stream::{RecvHalf, SendHalf};
use crate::fabric::{Channel, Refusal};
use crate::identity::NodeKey;

impl Core {
    /// Serves a connection until it ends.
    pub(super) async fn serve(self: &Arc<Self>, key: NodeKey, live: Live) {
        let connection = live.connection.clone();
        let why = tokio::select! {
            biased;
            why = connection.closed() => why,
            () = self.serve_streams(key, &live) => connection.closed().await,
            () = self.serve_one_way(key, &live) => connection.closed().await,
            () = self.serve_datagrams(key, &live) => connection.closed().await,
            () = self.sample(key, &connection) => connection.closed().await,
        };
        let current = self
            .book()
            .get_mut(&key)
            .is_some_and(|slot| slot.closed(&connection));
        if current {
            let why = why.to_string();
            self.inbound.handler().lost(self.inbound.peer(key), &why);
        }
    }

    /// Tells the handler round-trip times; never ends.
    async fn sample(&self, key: NodeKey, connection: &Connection) {
        let period = self.timing.rtt_sample;
        let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let peer = self.inbound.peer(key);
            self.inbound.handler().rtt(peer, connection.rtt());
        }
    }

    /// Requests and streams.
    async fn serve_streams(self: &Arc<Self>, key: NodeKey, live: &Live) {
        while let Ok((send, recv)) = live.connection.accept_bi().await {
            let (core, live) = (Arc::clone(self), live.clone());
            self.spawn(async move {
                if let Err(error) = core.serve_stream(key, &live, send, recv).await {
                    core.unreadable(key, &error);
                }
            });
        }
    }

    /// Datagrams that fit no packet.
    async fn serve_one_way(self: &Arc<Self>, key: NodeKey, live: &Live) {
        while let Ok(mut recv) = live.connection.accept_uni().await {
            let (core, live) = (Arc::clone(self), live.clone());
            self.spawn(async move {
                if let Err(error) = core.serve_large(key, &live, &mut recv).await {
                    let _ = recv.stop(GIVEN_UP);
                    core.unreadable(key, &error);
                }
            });
        }
    }

    /// A request or a stream of pieces.
    async fn serve_stream(
        &self,
        key: NodeKey,
        live: &Live,
        send: SendStream,
        mut recv: RecvStream,
    ) -> Result<(), ReadFrameError> {
        let mut send = Sending::new(send);
        let header = match read_header(&mut recv).await {
            Ok(header) => header,
            Err(error) => {
                let _ = recv.stop(GIVEN_UP);
                return Err(error);
            }
        };
        match header.kind {
            Kind::Request => {
                let fits = self.inbound.check_size(key, header);
                fits.inspect_err(|_| drop(recv.stop(GIVEN_UP)))?;
                let body = read_body(&mut recv, header, &live.counters).await;
                let body = body.inspect_err(|_| drop(recv.stop(GIVEN_UP)))?;
                let outcome = self.inbound.serve(key, header.channel, body).await;
                if outcome == Outcome::Refused(Refusal::NotAdmitted) {
                    self.count_refusal(key);
                }
                let (kind, body) = outcome.encode();
                let written = send.write(kind, header.channel, body, &live.counters);
                if written.await.is_ok() {
                    send.finish();
                }
                Ok(())
            }
            Kind::Stream => {
                live.counters.received(HEADER_BYTES);
                let Some(peer) = self.inbound.admit(key, header.channel) else {
                    self.count_refusal(key);
                    return Ok(());
                };
                let counters = Arc::clone(&live.counters);
                let send = SendHalf::new(QuicSend::new(send, Arc::clone(&counters)));
                let recv = RecvHalf::new(QuicRecv::new(recv, counters));
                self.inbound
                    .serve_stream(peer, header.channel, (send, recv))
                    .await;
                Ok(())
            }
            found => {
                let _ = recv.stop(GIVEN_UP);
                let expected = "a request or a stream";
                Err(FrameError::Unexpected { found, expected }.into())
            }
        }
    }

    /// A datagram that fits no packet.
    async fn serve_large(
        &self,
        key: NodeKey,
        live: &Live,
        recv: &mut RecvStream,
    ) -> Result<(), ReadFrameError> {
        let header = read_header(recv).await?;
        if header.kind != Kind::Datagram {
            let found = header.kind;
            let expected = "a datagram";
            return Err(FrameError::Unexpected { found, expected }.into());
        }
        self.inbound.check_size(key, header)?;
        let body = read_body(recv, header, &live.counters).await?;
        self.take_datagram(key, header.channel, body);
        Ok(())
    }

    async fn serve_datagrams(&self, key: NodeKey, live: &Live) {
        while let Ok(datagram) = live.connection.read_datagram().await {
            live.counters.received(datagram.len());
            match frame::decode(&datagram) {
                Ok((header, body)) if header.kind == Kind::Datagram => {
                    self.take_datagram(key, header.channel, body);
                }
                Ok((header, _)) => {
                    let found = header.kind;
                    let expected = "a datagram";
                    let error = FrameError::Unexpected { found, expected };
                    self.unreadable(key, &error.into());
                }
                Err(error) => self.unreadable(key, &error.into()),
            }
        }
    }

    fn take_datagram(&self, key: NodeKey, channel: Channel, body: Bytes) {
        if !self.inbound.datagram(key, channel, body) {
            self.count_refusal(key);
        }
    }

    /// Logs and counts a frame that cannot be read. A stream that was given up is none.
    fn unreadable(&self, key: NodeKey, error: &ReadFrameError) {
        if let ReadFrameError::Frame(error) = error {
            self.inbound.log_refusal(key, "malformed frame", error);
            self.count_refusal(key);
        }
    }
}
