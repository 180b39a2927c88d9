//! What is known of each feed: for those who wait, and for metrics.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use luc_core::SitePrefix;
use luc_state::Revision;
use luc_state::feed::{Filter, Token};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::latest::Latest;
use super::{Interest, lock};

/// The most characters of a reason that are kept, shown and logged.
const REASON_CHARS_MAX: usize = 300;

/// No more than one line in so long is logged of why feeds of one site end.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// How far this site follows another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedStatus {
    /// The other site.
    pub site: SitePrefix,
    /// Whether a stream is open and something was heard lately.
    pub connected: bool,
    /// How long nothing was heard, by this node's monotonic clock; since the start if never.
    pub age: Duration,
    /// The state of which copies are held.
    pub at: Token,
    /// Whether no step is half applied.
    pub whole: bool,
    /// How many revisions the home has said to be ahead.
    pub behind: u64,
    /// For how long the home has been ahead without a break.
    pub lag: Duration,
    /// Bytes that came, compressed.
    pub bytes_in: u64,
    /// Bytes that went.
    pub bytes_out: u64,
    /// Batches that were applied.
    pub batches: u64,
    /// Records that were written or removed.
    pub entries: u64,
    /// How often everything was sent anew.
    pub resets: u64,
    /// Streams that were opened.
    pub streams: u64,
    /// Why the last stream ended, if none is open.
    pub ended: Option<String>,
}

/// How far another site follows this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedStatus {
    /// The other site.
    pub site: SitePrefix,
    /// How many streams it has open.
    pub streams: u32,
    /// What it has in writing, as far as it said so since this node started.
    pub durable: Revision,
    /// Bytes that went, compressed.
    pub bytes_out: u64,
    /// Batches that went, heartbeats among them.
    pub batches: u64,
}

/// What those who wait look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) at: Token,
    pub(super) connected: bool,
    pub(super) held: Arc<Filter>,
}

impl Progress {
    pub(super) fn holds(&self, interest: &Interest) -> bool {
        match interest {
            Interest::Project(project) => self.held.projects.contains(project),
            Interest::Domain(domain) => self.held.domains.contains(domain),
        }
    }
}

/// What is counted of a feed that comes in.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) heard: Option<Instant>,
    /// The newest revision that the home spoke of.
    pub(super) told: Revision,
    /// Since when that is more than is held.
    pub(super) behind: Option<Instant>,
    pub(super) whole: bool,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) batches: u64,
    pub(super) entries: u64,
    pub(super) resets: u64,
    pub(super) streams: u64,
    pub(super) ended: Option<String>,
    /// What was logged of the ends: of streams, and of what a site may not say.
    pub(super) logged: [Logged; 2],
}

/// What was logged last.
#[derive(Clone, Debug, Default)]
pub(super) struct Logged(Option<(Instant, String)>);

impl Logged {
    /// Whether `said` is logged now: a reason once until the feed `went_on`, and not too often
    /// whatever the other site does.
    pub(super) fn is_due(&mut self, said: &str, went_on: bool) -> bool {
        if let Some((at, last)) = &self.0
            && (at.elapsed() < LOG_PAUSE || (last == said && !went_on))
        {
            return false;
        }
        self.0 = Some((Instant::now(), said.to_owned()));
        true
    }
}

/// A text that another site may have chosen, as it is shown: one line of bounded length.
pub(super) fn in_a_line(text: &str) -> String {
    let shown = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    let mut chars = text.chars().map(shown);
    let mut line: String = chars.by_ref().take(REASON_CHARS_MAX).collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

/// A site that is followed.
pub(super) struct Followed {
    pub(super) site: SitePrefix,
    pub(super) started: Instant,
    pub(super) progress: Arc<Latest<Progress>>,
    pub(super) counts: Mutex<Counts>,
    pub(super) stop: CancellationToken,
}

impl Followed {
    pub(super) fn new(site: SitePrefix, stop: CancellationToken) -> Self {
        Self {
            site,
            started: Instant::now(),
            progress: Arc::default(),
            counts: Mutex::default(),
            stop,
        }
    }

    pub(super) fn age(&self) -> Duration {
        lock(&self.counts).heard.unwrap_or(self.started).elapsed()
    }

    /// Something was heard.
    pub(super) fn heard(&self, bytes: usize) {
        let mut counts = lock(&self.counts);
        counts.heard = Some(Instant::now());
        counts.bytes_in += bytes as u64;
    }

    pub(super) fn status(&self, silence: Duration) -> FeedStatus {
        let (age, progress) = (self.age(), self.progress.read(Progress::clone));
        let counts = lock(&self.counts).clone();
        let held = progress.at.revision.number();
        FeedStatus {
            site: self.site,
            connected: progress.connected && age < silence,
            age,
            at: progress.at,
            whole: counts.whole,
            behind: counts.told.number().saturating_sub(held),
            lag: counts
                .behind
                .map_or(Duration::ZERO, |since| since.elapsed()),
            bytes_in: counts.bytes_in,
            bytes_out: counts.bytes_out,
            batches: counts.batches,
            entries: counts.entries,
            resets: counts.resets,
            streams: counts.streams,
            ended: counts.ended,
        }
    }
}

/// A site that follows this one.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    pub(super) streams: u32,
    /// Whether it was logged that it says what no release says.
    pub(super) complained: bool,
    pub(super) durable: Revision,
    pub(super) bytes_out: u64,
    pub(super) batches: u64,
}

impl Served {
    pub(super) fn status(&self, site: SitePrefix) -> ServedStatus {
        ServedStatus {
            site,
            streams: self.streams,
            durable: self.durable,
            bytes_out: self.bytes_out,
            batches: self.batches,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_reasons_are_one_line_a_minute_and_one_reason_is_one_line() {
        let mut logged = Logged::default();
        assert!(logged.is_due("a", true));
        assert!(!logged.is_due("b", false) && !logged.is_due("b", true));
        tokio::time::advance(LOG_PAUSE).await;
        assert!(!logged.is_due("a", false), "it still is why");
        assert!(logged.is_due("b", false));
        tokio::time::advance(LOG_PAUSE).await;
        assert!(logged.is_due("b", true), "it is so again");
    }

    #[test]
    fn a_reason_is_shown_in_one_short_line() {
        assert_eq!(
            in_a_line("the id 'a\nb' is wrong"),
            "the id 'a\u{fffd}b' is wrong"
        );
        let long = in_a_line(&"é".repeat(100_000));
        assert_eq!(long.chars().count(), REASON_CHARS_MAX + 1);
    }
}
