//! The halves of a stream in memory. A window of bytes stands for QUIC's flow control: what the
//! receiver has taken is credited to the sender after the way back.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use super::Shared;
use super::packet::{Content, Item, StreamId};
use crate::fabric::stream::{RecvFrames, SendFrames};
use crate::fabric::{STREAM_FRAME_BYTES_MAX, StreamError};

/// How many bytes may be on the way or wait at the receiver, in each direction.
pub(super) const WINDOW_BYTES: usize = STREAM_FRAME_BYTES_MAX;

/// What the network keeps of one direction of a stream.
pub(super) struct Lane {
    pub(super) items: mpsc::UnboundedSender<Item>,
    pub(super) window: Arc<Window>,
}

/// The sender's view of the other side.
pub(super) struct Window {
    free: Semaphore,
    broken: OnceLock<StreamError>,
}

impl Window {
    /// Ends every wait and every later frame with `why`.
    pub(super) fn break_off(&self, why: StreamError) {
        let _ = self.broken.set(why);
        self.free.close();
    }

    /// Gives back what the receiver took.
    pub(super) fn credit(&self, bytes: usize) {
        self.free.add_permits(bytes);
    }

    fn why(&self) -> StreamError {
        self.broken.get().cloned().unwrap_or(StreamError::Reset)
    }
}

/// The parts of one direction: for the network, the sender and the receiver.
pub(super) fn lane(shared: &Arc<Shared>, id: StreamId) -> (Lane, MemorySend, MemoryRecv) {
    let (items, queue) = mpsc::unbounded_channel();
    let window = Arc::new(Window {
        free: Semaphore::new(WINDOW_BYTES),
        broken: OnceLock::new(),
    });
    let send = MemorySend {
        shared: Arc::clone(shared),
        id,
        window: Arc::clone(&window),
        finished: false,
    };
    let recv = MemoryRecv {
        shared: Arc::clone(shared),
        id,
        queue,
        ended: None,
    };
    (Lane { items, window }, send, recv)
}

/// The bytes that a frame takes of the window: an empty one counts too.
fn weight(frame: &Bytes) -> usize {
    frame.len().max(1)
}

/// Sends into one direction.
pub(super) struct MemorySend {
    shared: Arc<Shared>,
    id: StreamId,
    window: Arc<Window>,
    finished: bool,
}

impl MemorySend {
    fn put(&self, item: Item) {
        self.shared.with(|state| state.send_on_lane(self.id, item));
    }
}

#[async_trait]
impl SendFrames for MemorySend {
    async fn send(&mut self, frame: Bytes) -> Result<(), StreamError> {
        if self.finished {
            return Err(StreamError::Finished);
        }
        let weight = u32::try_from(weight(&frame)).unwrap_or(u32::MAX);
        match self.window.free.acquire_many(weight).await {
            Ok(taken) => taken.forget(),
            Err(_) => return Err(self.window.why()),
        }
        self.put(Item::Frame(frame));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        if self.finished {
            return Err(StreamError::Finished);
        }
        if self.window.free.is_closed() {
            return Err(self.window.why());
        }
        self.finished = true;
        self.put(Item::End);
        Ok(())
    }
}

impl Drop for MemorySend {
    fn drop(&mut self) {
        if !self.finished {
            self.put(Item::Broken(StreamError::Reset));
        }
    }
}

/// Receives from one direction.
pub(super) struct MemoryRecv {
    shared: Arc<Shared>,
    id: StreamId,
    queue: mpsc::UnboundedReceiver<Item>,
    ended: Option<Result<(), StreamError>>,
}

#[async_trait]
impl RecvFrames for MemoryRecv {
    async fn recv(&mut self) -> Result<Option<Bytes>, StreamError> {
        if let Some(end) = &self.ended {
            return end.clone().map(|()| None);
        }
        match self.queue.recv().await {
            Some(Item::Frame(frame)) => {
                let credit = Content::Credit(self.id, weight(&frame));
                self.shared.with(|state| state.send_back(self.id, credit));
                Ok(Some(frame))
            }
            Some(Item::End) => {
                self.ended = Some(Ok(()));
                Ok(None)
            }
            Some(Item::Broken(why)) => {
                self.ended = Some(Err(why.clone()));
                Err(why)
            }
            None => Err(StreamError::Lost("the network is gone".to_owned())),
        }
    }
}

impl Drop for MemoryRecv {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let stop = Content::Stop(self.id);
            self.shared.with(|state| state.send_back(self.id, stop));
        }
    }
}
