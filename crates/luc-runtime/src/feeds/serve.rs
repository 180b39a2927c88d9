//! The home's side of a stream: what a follower lacks, then what happens, a heartbeat each second.
//!
//! Steps keep a distance in time, so that a busy home costs its followers few transactions; what
//! somebody waits for goes at once.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use luc_core::SitePrefix;
use luc_state::feed::{Absorbed, Filter, Hello, Source};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::latest::Watcher;
use super::status::{Served, in_a_line};
use super::wire::{Joiner, Packer, Said, Told, WireError};
use super::{Pacing, Shared, lock};
use crate::fabric::{RecvHalf, SendHalf};

/// The most streams that one site may have open: each of its controllers has one, and what a cut
/// has left behind ends within seconds.
const STREAMS_MAX: u32 = 32;

/// Feeds `follower` until the stream ends.
pub(super) async fn serve(shared: &Shared, follower: SitePrefix, send: SendHalf, recv: RecvHalf) {
    let open = Open::of(shared, follower);
    if open.number() > STREAMS_MAX {
        return tracing::debug!(site = %follower, "a site has opened too many streams");
    }
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
        let said = in_a_line(&error.to_string());
        let is_news = error.is_wrong() && complain(shared, follower);
        if is_news {
            let reason = said;
            tracing::warn!(site = %follower, reason, "a follower was not understood (logged once)");
        } else {
            tracing::debug!(site = %follower, reason = said, "a feed to a site has ended");
        }
    }
}

/// Whether nothing was logged yet of what `follower` says wrongly.
fn complain(shared: &Shared, follower: SitePrefix) -> bool {
    let mut served = lock(&shared.served);
    let served = served.entry(follower).or_default();
    !std::mem::replace(&mut served.complained, true)
}

/// Counts the open streams of a follower.
struct Open<'a>(&'a Shared, SitePrefix);

impl<'a> Open<'a> {
    fn of(shared: &'a Shared, follower: SitePrefix) -> Self {
        note(shared, follower, |served| served.streams += 1);
        Self(shared, follower)
    }

    /// How many there are.
    fn number(&self) -> u32 {
        let served = lock(&self.0.served);
        served.get(&self.1).map_or(0, |served| served.streams)
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
        let mut beat = interval(self.shared.pacing.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut awaited = self.shared.awaited.seen();
        let mut pace = Pace::begin(&self.shared.pacing);
        loop {
            tokio::select! {
                biased;
                frame = self.recv.recv() => match self.heard(frame?)? {
                    Some(Said::Filter(filter)) => {
                        self.asked = filter;
                        self.narrowed = self.narrow().await;
                        source.refilter(self.narrowed.as_ref().unwrap_or(&self.asked).clone());
                        pace.due = Some(Instant::now());
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
                () = until(pace.due) => {
                    pace.goes(&source);
                    self.catch_up(&mut source).await?;
                    beat.reset();
                }
                absorbed = source.absorb() => {
                    if absorbed == Absorbed::Closed {
                        return Ok(());
                    }
                    pace.has_more(&source);
                }
                () = awaited.changed() => {
                    let revision = awaited.read(|sites| sites.get(&self.follower).copied());
                    pace.awaited = revision.unwrap_or_default();
                    pace.has_more(&source);
                }
                _ = beat.tick() => {
                    // That this site has gone on without anything to tell is told now and then.
                    if source.is_behind() {
                        pace.goes(&source);
                        self.catch_up(&mut source).await?;
                    } else if let Some(batch) = source.heartbeat() {
                        self.tell(&Told::Batch(batch)).await?;
                    }
                }
            }
        }
    }

    /// Sends all that the follower lacks.
    async fn catch_up(&mut self, source: &mut Source) -> Result<(), WireError> {
        while source.is_behind() {
            let Some(batch) = source.take() else { break };
            self.tell(&Told::Batch(batch)).await?;
        }
        Ok(())
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

/// When the next step is sent.
struct Pace<'p> {
    pacing: &'p Pacing,
    due: Option<Instant>,
    /// When the last one was; none if there was none yet.
    last: Option<Instant>,
    /// When the last one was that told of any change.
    told: Option<Instant>,
    /// Up to which revision somebody waits.
    awaited: u64,
}

impl<'p> Pace<'p> {
    /// The first step is due.
    fn begin(pacing: &'p Pacing) -> Self {
        Self {
            pacing,
            due: Some(Instant::now()),
            last: None,
            told: None,
            awaited: 0,
        }
    }

    /// What `source` has goes now.
    fn goes(&mut self, source: &Source) {
        (self.due, self.last) = (None, Some(Instant::now()));
        if source.waiting() > 0 {
            self.told = self.last;
        }
    }

    /// The site has gone on, or somebody waits: the first change after a while goes at once, more
    /// of them together, and a change that nobody sees not at all.
    fn has_more(&mut self, source: &Source) {
        let (at, seen) = (source.at().revision.number(), source.seen().number());
        let (last, pause) = if at < self.awaited && self.awaited <= seen {
            (self.last, self.pacing.awaited)
        } else if source.waiting() >= self.pacing.coalesce_changes {
            (None, Duration::ZERO)
        } else if source.waiting() > 0 {
            (self.told, self.pacing.coalesce)
        } else {
            return;
        };
        let soonest = last.map_or_else(Instant::now, |last| last + pause);
        self.due = Some(self.due.map_or(soonest, |due| due.min(soonest)));
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
