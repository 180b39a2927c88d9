//! HTTP/1.1 (RFC 9112) over a stream of the fabric: requests between nodes and between sites.
//!
//! One stream carries one request and its answer, both streamed. The serving side takes any
//! [`axum::Router`]; each request carries the authenticated [`Peer`] as an extension, which is the
//! only thing that may be believed about who asks. Not here: what the requests mean, and retries.
//!
//! **Invariant** [`SendError::NotSent`] is answered only if no byte of the request was handed over.

use axum::Router;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::Instant;

use crate::fabric::{Channel, Fabric, Peer, RecvHalf, SendHalf};
use crate::identity::NodeKey;

/// How much waits between a stream and the HTTP code, in each direction.
const WINDOW_BYTES: usize = 64 << 10;

/// How much room a message gets at first; most are short.
const FIRST_BYTES: usize = 4 << 10;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer certainly has not seen it.
    #[error("node {} cannot be reached: {reason}", to.short())]
    NotSent {
        /// Who was asked.
        to: NodeKey,
        /// What is wrong.
        reason: String,
    },
    /// The peer may have carried it out.
    #[error("node {} did not answer: {reason}", to.short())]
    Unknown {
        /// Who was asked.
        to: NodeKey,
        /// What is wrong.
        reason: String,
    },
}

/// A stream to a peer on which no byte of a request was sent yet.
pub struct Opened {
    to: NodeKey,
    send: SendHalf,
    recv: RecvHalf,
}

/// Opens a stream for one request to `to`.
pub async fn open(
    fabric: &dyn Fabric,
    to: NodeKey,
    channel: Channel,
    deadline: Instant,
) -> Result<Opened, SendError> {
    match fabric.open_stream(to, channel, deadline).await {
        Ok((send, recv)) => Ok(Opened { to, send, recv }),
        Err(error) => Err(SendError::NotSent {
            to,
            reason: error.to_string(),
        }),
    }
}

/// Asks `to` and returns the head of its answer; the answer's body streams in afterwards. The head
/// must be there at `deadline`.
pub async fn send(
    fabric: &dyn Fabric,
    to: NodeKey,
    channel: Channel,
    request: http::Request<Body>,
    deadline: Instant,
) -> Result<http::Response<Body>, SendError> {
    let opened = open(fabric, to, channel, deadline).await?;
    opened.send(request, deadline).await
}

impl Opened {
    /// Sends the request and waits for the head of the answer until `deadline`.
    pub async fn send(
        self,
        request: http::Request<Body>,
        deadline: Instant,
    ) -> Result<http::Response<Body>, SendError> {
        let to = self.to;
        let unknown = |reason: String| SendError::Unknown { to, reason };
        let io = TokioIo::new(pipe(self.send, self.recv));
        let handshake = hyper::client::conn::http1::handshake(io).await;
        let (mut sender, connection) = handshake.map_err(|error| unknown(said(&error)))?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(with_host(request));
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(mut response)) => {
                // It is about this stream.
                response.headers_mut().remove(http::header::CONNECTION);
                Ok(response.map(Body::new))
            }
            Ok(Err(error)) => Err(unknown(said(&error))),
            Err(_) => {
                connection.abort();
                Err(unknown("the deadline passed".to_owned()))
            }
        }
    }
}

/// Serves the request on a stream that `peer` has opened.
pub async fn serve(peer: Peer, send: SendHalf, recv: RecvHalf, router: Router) {
    let router = router.layer(axum::Extension(peer));
    // With the answer the stream ends in the same packet.
    let served = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(
            TokioIo::new(pipe(send, recv)),
            TowerToHyperService::new(router),
        )
        .await;
    if let Err(error) = served {
        let peer = peer.key.short();
        tracing::debug!(%peer, error = said(&error), "a request over the fabric was given up");
    }
}

/// HTTP/1.1 wants the header `Host`; where none was asked for, the path says enough.
fn with_host(mut request: http::Request<Body>) -> http::Request<Body> {
    let fabric = http::HeaderValue::from_static("fabric.invalid");
    request
        .headers_mut()
        .entry(http::header::HOST)
        .or_insert(fabric);
    request
}

/// What went wrong, with what lies below it.
fn said(error: &hyper::Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The frames of a stream as bytes. Both halves end together when one of them fails.
fn pipe(send: SendHalf, recv: RecvHalf) -> DuplexStream {
    let (near, far) = tokio::io::duplex(WINDOW_BYTES);
    let (read, write) = tokio::io::split(far);
    tokio::spawn(async move {
        // Whoever holds the near end sees the end of the stream, in the middle of a message if it
        // failed there.
        let _ = tokio::try_join!(outgoing(send, read), incoming(recv, write));
    });
    near
}

/// A pump has ended before its end.
struct Broken;

async fn outgoing(
    mut send: SendHalf,
    mut read: tokio::io::ReadHalf<DuplexStream>,
) -> Result<(), Broken> {
    let mut buffer = BytesMut::with_capacity(FIRST_BYTES);
    loop {
        let taken = read.read_buf(&mut buffer).await.map_err(|_| Broken)?;
        if taken == 0 {
            return send.finish().map_err(|_| Broken);
        }
        let frame: Bytes = buffer.split().freeze();
        let more = if buffer.capacity() == 0 {
            WINDOW_BYTES
        } else {
            FIRST_BYTES
        };
        send.send(frame).await.map_err(|_| Broken)?;
        buffer.reserve(more);
    }
}

async fn incoming(
    mut recv: RecvHalf,
    mut write: tokio::io::WriteHalf<DuplexStream>,
) -> Result<(), Broken> {
    loop {
        match recv.recv().await {
            Ok(Some(frame)) => write.write_all(&frame).await.map_err(|_| Broken)?,
            Ok(None) => return write.shutdown().await.map_err(|_| Broken),
            Err(_) => return Err(Broken),
        }
    }
}
