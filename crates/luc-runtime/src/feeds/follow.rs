//! The follower's side: a stream to one of the site's controllers, as long as there is one.
//!
//! What a site in the wrong hands says ends its own feed and nothing else; why, it cannot make
//! longer than a line in the log, nor the lines more than one a minute of each level.

use std::sync::Arc;
use std::time::Duration;

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_state::feed::{ApplyError, Batch, BatchRefused, Expectations, Follower, Token};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::interests::Interests;
use super::status::{Followed, Progress, in_a_line};
use super::wire::{Joiner, Said, Told, Unpacker, WireError};
use super::{FeedSite, Shared, lock};
use crate::fabric::{Channel, NotSent, RecvHalf, SendHalf};

/// Why a stream was given up.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the site is not listed any more")]
    Unlisted,
    #[error("it has no controller that is known")]
    Nobody,
    #[error("no stream: {0}")]
    NoStream(#[from] NotSent),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("it will not feed: {0}")]
    Refused(String),
    #[error("what it said was not taken: {0}")]
    NotTaken(#[source] ApplyError),
    #[error("it said what it may not: {0}")]
    Forbidden(#[source] BatchRefused),
}

/// Follows a site for as long as it is listed.
pub(super) async fn run(shared: Arc<Shared>, followed: Arc<Followed>) {
    let own = followed.site.as_bytes().map(u64::from);
    let mixed = own
        .iter()
        .fold(shared.seed, |mixed, byte| mixed << 8 ^ byte);
    let (mut random, mut failures) = (SplitMix64::new(mixed), 0u32);
    loop {
        let opened = Instant::now();
        let Err(ended) = session(&shared, &followed).await else {
            continue;
        };
        close(&followed, &ended);
        if matches!(ended, Ended::Unlisted) {
            return;
        }
        // A stream that held for a while was a good one.
        let held = opened.elapsed() > shared.pacing.silence;
        failures = if held { 0 } else { failures.saturating_add(1) };
        let pause = match ended {
            Ended::Forbidden(_) => shared.pacing.refused,
            _ => pause(&shared, failures, &mut random),
        };
        // Somebody may know that it is worth trying.
        let _ = timeout(pause, shared.hurry.notified()).await;
    }
}

/// Half to the whole of a pause that doubles.
fn pause(shared: &Shared, failures: u32, random: &mut SplitMix64) -> Duration {
    let doubled = shared
        .pacing
        .pause_min
        .saturating_mul(1 << failures.min(16));
    let half = doubled.min(shared.pacing.pause_max) / 2;
    let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    half + Duration::from_micros(random.next_u64() % micros.saturating_add(1))
}

/// Notes the end of a stream, in the log once for each reason.
fn close(followed: &Followed, ended: &Ended) {
    followed
        .progress
        .modify(|progress| std::mem::take(&mut progress.connected));
    let (site, said) = (followed.site, in_a_line(&ended.to_string()));
    let forbidden = matches!(ended, Ended::Forbidden(_));
    let mut counts = lock(&followed.counts);
    let went_on = counts.ended.is_none();
    let logged = &mut counts.logged[usize::from(forbidden)];
    if logged.is_due(&said, went_on) {
        if forbidden {
            tracing::error!(%site, reason = %said, "a site is not followed any more");
        } else {
            tracing::info!(%site, reason = %said, "a feed has ended");
        }
    } else {
        tracing::debug!(%site, reason = %said, "a feed has ended again");
    }
    counts.ended = Some(said);
}

/// One stream from its opening to its end.
async fn session(shared: &Shared, followed: &Followed) -> Result<(), Ended> {
    let mut sites = shared.directory.sites().into_iter();
    let listed = sites.find(|listed| listed.site == followed.site);
    let listed = listed.ok_or(Ended::Unlisted)?;
    let (send, recv) = open(shared, &listed).await?;
    let mut copies = Follower::load(&shared.store, followed.site);
    if let Some(name) = shared.directory.name(followed.site) {
        copies.confine(name);
    }
    let mut session = Session {
        shared,
        followed,
        trusted: listed.trusted,
        follower: copies,
        send,
        recv,
        joiner: Joiner::default(),
        unpacker: Unpacker::new(),
        acknowledged: None,
    };
    session.run().await
}

async fn open(shared: &Shared, listed: &FeedSite) -> Result<(SendHalf, RecvHalf), Ended> {
    let mut failed = Ended::Nobody;
    for key in &listed.controllers {
        let deadline = Instant::now() + shared.pacing.silence;
        match shared
            .fabric
            .open_stream(*key, Channel::FEED, deadline)
            .await
        {
            Ok(halves) => return Ok(halves),
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
}

struct Session<'a> {
    shared: &'a Shared,
    followed: &'a Followed,
    trusted: bool,
    follower: Follower,
    send: SendHalf,
    recv: RecvHalf,
    joiner: Joiner,
    unpacker: Unpacker,
    /// What the home was told to be in writing here.
    acknowledged: Option<luc_state::Revision>,
}

impl Session<'_> {
    async fn run(&mut self) -> Result<(), Ended> {
        let mut admissions = self.shared.admissions.seen();
        let mut wanted = self.shared.wanted.seen();
        let first = self.asked(wanted.read(Interests::clone));
        self.follower.want(first.projects, first.domains);
        let hello = self.follower.hello();
        self.show();
        self.say(&Said::Hello(hello)).await?;
        lock(&self.followed.counts).streams += 1;
        let mut save = interval(self.shared.pacing.sweep);
        save.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Nobody waits to be allowed to forget, and each word costs both sides a packet.
        let mut acknowledge = interval(self.shared.pacing.heartbeat);
        acknowledge.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let silence = self.shared.pacing.silence;
            tokio::select! {
                biased;
                () = wanted.changed() => {
                    let now = wanted.read(Interests::clone);
                    self.ask_for(now).await?;
                }
                () = admissions.changed() => {
                    admissions.read(|()| ());
                    let now = wanted.read(Interests::clone);
                    self.ask_for(now).await?;
                }
                _ = save.tick() => {
                    let saved = self.follower.save(&self.shared.store).await;
                    saved.map_err(Ended::NotTaken)?;
                }
                _ = acknowledge.tick() => self.acknowledge().await?,
                frame = timeout(silence, self.recv.recv()) => {
                    let frame = frame.map_err(|_| WireError::Silence)?;
                    let frame = frame.map_err(WireError::from)?.ok_or(WireError::Ended)?;
                    self.followed.heard(frame.len());
                    if let Some(message) = self.joiner.push(&frame)? {
                        self.hear(&message).await?;
                    }
                }
            }
        }
    }

    /// What this site asks for of what it wants.
    fn asked(&self, wanted: Interests) -> Interests {
        let home = self.followed.site;
        self.shared.directory.may_bring(home, wanted)
    }

    /// Says so, if that is news.
    async fn ask_for(&mut self, wanted: Interests) -> Result<(), Ended> {
        let now = self.asked(wanted);
        if let Some(filter) = self.follower.want(now.projects, now.domains) {
            self.say(&Said::Filter(filter)).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, message: &[u8]) -> Result<(), Ended> {
        let batch = match self.unpacker.unpack(message)? {
            Told::Batch(batch) => batch,
            Told::Refused(reason) => return Err(Ended::Refused(reason)),
        };
        self.told(batch.to);
        let trusted = Expectations {
            trusted: self.trusted,
        };
        let applied = self
            .follower
            .apply(&self.shared.store, &batch, trusted)
            .await;
        let applied = applied.map_err(|error| match error {
            ApplyError::Refused(
                refused @ (BatchRefused::OutOfTurn { .. } | BatchRefused::Target { .. }),
            ) => Ended::NotTaken(refused.into()),
            ApplyError::Refused(refused) => Ended::Forbidden(refused),
            other => Ended::NotTaken(other),
        })?;
        self.count(&batch, applied.entries);
        self.show();
        Ok(())
    }

    /// The home has spoken of a state.
    fn told(&self, to: Token) {
        let mut counts = lock(&self.followed.counts);
        counts.told = to.revision;
        if to.revision > self.follower.at().revision {
            counts.behind.get_or_insert_with(Instant::now);
        }
    }

    fn count(&self, batch: &Batch, entries: usize) {
        let mut counts = lock(&self.followed.counts);
        counts.batches += 1;
        counts.entries += entries as u64;
        counts.resets += u64::from(batch.reset && batch.part == 0);
        counts.whole = self.follower.is_whole();
        if self.follower.at().revision >= counts.told {
            counts.behind = None;
        }
        counts.ended = None;
    }

    /// Lets those who wait see where this is.
    fn show(&self) {
        let (at, held) = (self.follower.at(), self.follower.filter());
        self.followed.progress.modify(|progress: &mut Progress| {
            progress.at = at;
            progress.connected = true;
            if *progress.held != *held {
                progress.held = Arc::new(held.clone());
            }
            true
        });
    }

    /// Tells the home what it may forget.
    async fn acknowledge(&mut self) -> Result<(), Ended> {
        let durable = self.follower.durable();
        if self.acknowledged != Some(durable) {
            self.say(&Said::Durable(durable)).await?;
            self.acknowledged = Some(durable);
        }
        Ok(())
    }

    async fn say(&mut self, said: &Said) -> Result<(), Ended> {
        for frame in said.frames()? {
            lock(&self.followed.counts).bytes_out += frame.len() as u64;
            let sent = timeout(self.shared.pacing.stalled, self.send.send(frame));
            let sent = sent.await.map_err(|_| WireError::Stalled)?;
            sent.map_err(WireError::from)?;
        }
        Ok(())
    }
}
