//! A node of the tests: what it takes, and what it remembers of it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use luc_core::SitePrefix;
use luc_runtime::fabric::{
    Channel, Ends, Handler, Members, Peer, RecvHalf, Refusal, SendHalf, Standing,
};
use luc_runtime::{NodeKey, NodeSecret};
use tokio::sync::{Notify, Semaphore, mpsc};

/// The secret of a numbered node.
pub(crate) fn secret(number: u8) -> NodeSecret {
    NodeSecret::from_seed(&[number; 32])
}

/// Its key.
pub(crate) fn key(number: u8) -> NodeKey {
    secret(number).key()
}

/// Its site: every node has its own.
pub(crate) fn site(number: u8) -> SitePrefix {
    SitePrefix::from_bytes([number; 6])
}

/// What a member is called.
pub(crate) fn member(number: u8) -> Standing {
    Standing::Member(key(number).peer_id(site(number)))
}

/// Answers by what it is asked, and remembers.
pub(crate) struct Recorder {
    pub(crate) calls: AtomicUsize,
    /// How many requests run, and the most that ever did.
    pub(crate) running: AtomicUsize,
    pub(crate) running_max: AtomicUsize,
    /// Lets one waiting handler go on for each permit.
    pub(crate) gate: Semaphore,
    pub(crate) entered: Notify,
    pub(crate) events: Mutex<Vec<String>>,
    pub(crate) rtts: Mutex<Vec<Duration>>,
    datagrams: mpsc::UnboundedSender<(Peer, Channel, Bytes)>,
}

/// A node's ends, as a test holds them.
pub(crate) struct TestNode {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) members: Arc<Members>,
    pub(crate) datagrams: mpsc::UnboundedReceiver<(Peer, Channel, Bytes)>,
}

impl TestNode {
    /// A node that knows nobody and refuses strangers.
    pub(crate) fn new() -> Self {
        Self::with(Members::strict())
    }

    pub(crate) fn with(members: Members) -> Self {
        let (sender, datagrams) = mpsc::unbounded_channel();
        let recorder = Recorder {
            calls: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            running_max: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            entered: Notify::new(),
            events: Mutex::default(),
            rtts: Mutex::default(),
            datagrams: sender,
        };
        Self {
            recorder: Arc::new(recorder),
            members: Arc::new(members),
            datagrams,
        }
    }

    pub(crate) fn ends(&self) -> Ends {
        Ends {
            admission: self.members.clone(),
            handler: self.recorder.clone(),
        }
    }

    pub(crate) fn calls(&self) -> usize {
        self.recorder.calls.load(SeqCst)
    }

    pub(crate) fn saw(&self, event: &str) -> bool {
        let events = self.recorder.events.lock().unwrap();
        events.iter().any(|seen| seen.contains(event))
    }
}

impl Recorder {
    fn note(&self, event: String) {
        self.events.lock().unwrap().push(event);
    }

    async fn wait(&self) {
        self.entered.notify_one();
        self.gate.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl Handler for Recorder {
    async fn request(&self, from: Peer, channel: Channel, body: Bytes) -> Result<Bytes, Refusal> {
        self.calls.fetch_add(1, SeqCst);
        let running = self.running.fetch_add(1, SeqCst) + 1;
        self.running_max.fetch_max(running, SeqCst);
        let outcome = match &body[..] {
            b"wait" => {
                self.wait().await;
                Ok(body)
            }
            b"refuse" => Err(Refusal::Other("no room".to_owned())),
            b"unknown" => Err(Refusal::UnknownChannel),
            b"panic" => {
                self.running.fetch_sub(1, SeqCst);
                panic!("asked to panic")
            }
            b"huge" => Ok(Bytes::from(vec![0; (64 << 20) + 1])),
            b"who" => Ok(Bytes::from(format!("{:?} {channel}", from.standing))),
            _ => Ok(body),
        };
        self.running.fetch_sub(1, SeqCst);
        outcome
    }

    fn datagram(&self, from: Peer, channel: Channel, body: Bytes) {
        let _ = self.datagrams.send((from, channel, body));
    }

    /// `FEED` echoes; `BULK` waits at the gate and then counts; others are dropped.
    async fn stream(&self, _: Peer, channel: Channel, mut send: SendHalf, mut recv: RecvHalf) {
        self.calls.fetch_add(1, SeqCst);
        if channel == Channel::BULK {
            self.wait().await;
            let mut bytes = 0;
            while let Ok(Some(frame)) = recv.recv().await {
                bytes += frame.len();
            }
            send.send(bytes.to_string()).await.unwrap();
            send.finish().unwrap();
        } else if channel == Channel::FEED {
            loop {
                match recv.recv().await {
                    Ok(Some(frame)) => {
                        if send.send(frame).await.is_err() {
                            return self.note("writer stopped".to_owned());
                        }
                    }
                    Ok(None) => return send.finish().unwrap(),
                    Err(why) => return self.note(format!("stream ended: {why}")),
                }
            }
        }
    }

    fn rtt(&self, _: Peer, sample: Duration) {
        self.rtts.lock().unwrap().push(sample);
    }

    fn connected(&self, peer: Peer) {
        self.note(format!("connected {}", peer.key.short()));
    }

    fn lost(&self, peer: Peer, why: &str) {
        self.note(format!("lost {}: {why}", peer.key.short()));
    }
}
