//! The home's side of a stream: what a follower lacks, then what happens, a heartbeat each second.

use std::future::pending;

use bytes::Bytes;
use luc_core::SitePrefix;
use luc_state::feed::{Absorbed, Filter, Hello, Source};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::latest::Watcher;
use super::status::Served;
use super::wire::{Joiner, Packer, Said, Told, WireError};
use super::{Shared, lock};
use crate::fabric::{RecvHalf, SendHalf};

/// Feeds `follower` until the stream ends.
pub(super) async fn serve(shared: &Shared, follower: SitePrefix, send: SendHalf, recv: RecvHalf) {
    let _open = Open::of(shared, follower);
    let mut session = Session {
        shared,
        follower,
        send,
        recv,
        joiner: Joiner::default(),
        packer: Packer::new(),
        asked: Filter::default(),
        narrowed: None,
    };
    if let Err(error) = session.run().await {
        tracing::debug!(site = %follower, %error, "a feed to a site has ended");
    }
}

/// Counts the open streams of a follower.
struct Open<'a>(&'a Shared, SitePrefix);

impl<'a> Open<'a> {
    fn of(shared: &'a Shared, follower: SitePrefix) -> Self {
        note(shared, follower, |served| served.streams += 1);
        Self(shared, follower)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        note(self.0, self.1, |served| served.streams -= 1);
    }
}

fn note(shared: &Shared, follower: SitePrefix, write: impl FnOnce(&mut Served)) {
    write(lock(&shared.served).entry(follower).or_default());
}

struct Session<'a> {
    shared: &'a Shared,
    follower: SitePrefix,
    send: SendHalf,
    recv: RecvHalf,
    joiner: Joiner,
    packer: Packer,
    /// What the follower asked for last.
    asked: Filter,
    /// What it is fed of that, if not all.
    narrowed: Option<Filter>,
}

impl Session<'_> {
    async fn run(&mut self) -> Result<(), WireError> {
        let hello = timeout(self.shared.pacing.stalled, self.hello());
        let hello = hello.await.map_err(|_| WireError::Silence)??;
        let admissions = self.shared.admissions.seen();
        let hello = self.admitted(hello).await;
        let opened = match &self.narrowed {
            Some(_) => Source::open_anew(&self.shared.store, &hello),
            None => Source::open(&self.shared.store, &hello),
        };
        match opened {
            Ok(source) => self.feed(source, admissions).await,
            Err(error) => {
                self.tell(&Told::Refused(error.to_string())).await?;
                self.send.finish()?;
                Ok(())
            }
        }
    }

    async fn hello(&mut self) -> Result<Hello, WireError> {
        loop {
            let frame = self.recv.recv().await?;
            match self.heard(frame)? {
                Some(Said::Hello(hello)) => return Ok(hello),
                Some(other) => return Err(WireError::Malformed(format!("{other:?} comes first"))),
                None => {}
            }
        }
    }

    /// What the follower may be fed of what it asks for.
    async fn admitted(&mut self, mut hello: Hello) -> Hello {
        self.asked = hello.wanted.clone();
        self.narrowed = self.narrow().await;
        if let Some(narrowed) = &self.narrowed {
            hello.wanted = narrowed.clone();
        }
        hello
    }

    async fn narrow(&self) -> Option<Filter> {
        let directory = &self.shared.directory;
        directory.admit(self.follower, &self.asked).await
    }

    /// Whether the follower may hold something else now than it is fed. It is then served anew.
    async fn is_outdated(&self) -> bool {
        match (&self.narrowed, &self.narrow().await) {
            (Some(fed), Some(now)) => !fed.same(now),
            (None, None) => false,
            _ => true,
        }
    }

    fn heard(&mut self, frame: Option<Bytes>) -> Result<Option<Said>, WireError> {
        let frame = frame.ok_or(WireError::Ended)?;
        match self.joiner.push(&frame)? {
            Some(message) => Said::read(&message),
            None => Ok(None),
        }
    }

    async fn feed(
        &mut self,
        mut source: Source,
        mut admissions: Watcher<()>,
    ) -> Result<(), WireError> {
        let pacing = &self.shared.pacing;
        let mut beat = interval(pacing.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = Some(Instant::now());
        loop {
            tokio::select! {
                biased;
                frame = self.recv.recv() => match self.heard(frame?)? {
                    Some(Said::Filter(filter)) => {
                        self.asked = filter;
                        self.narrowed = self.narrow().await;
                        source.refilter(self.narrowed.as_ref().unwrap_or(&self.asked).clone());
                        due = Some(Instant::now());
                    }
                    Some(Said::Durable(revision)) => {
                        note(self.shared, self.follower, |served| served.durable = revision);
                    }
                    Some(Said::Hello(_)) | None => {}
                },
                () = admissions.changed() => {
                    admissions.read(|()| ());
                    if self.is_outdated().await {
                        self.send.finish()?;
                        return Ok(());
                    }
                }
                () = until(due) => {
                    due = None;
                    while source.is_behind() {
                        let Some(batch) = source.take() else { break };
                        self.tell(&Told::Batch(batch)).await?;
                        beat.reset();
                    }
                }
                absorbed = source.absorb() => {
                    if absorbed == Absorbed::Closed {
                        return Ok(());
                    }
                    let now = Instant::now();
                    let soon = *due.get_or_insert(now + pacing.coalesce);
                    let full = source.waiting() >= pacing.coalesce_changes;
                    due = Some(if full { now } else { soon });
                }
                _ = beat.tick() => {
                    if let Some(batch) = source.heartbeat() {
                        self.tell(&Told::Batch(batch)).await?;
                    }
                }
            }
        }
    }

    async fn tell(&mut self, told: &Told) -> Result<(), WireError> {
        let frames = self.packer.pack(told)?;
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        for frame in frames {
            let sent = timeout(self.shared.pacing.stalled, self.send.send(frame));
            sent.await.map_err(|_| WireError::Stalled)??;
        }
        note(self.shared, self.follower, |served| {
            served.bytes_out += bytes as u64;
            served.batches += 1;
        });
        Ok(())
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
