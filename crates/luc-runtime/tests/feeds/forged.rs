//! A site whose key is in the wrong hands, and what it says on streams of feeds: to those who
//! follow it (`forgeries`), and to those whom it follows (`nonsense`).
//!
//! Of each: it is refused, logged once, nothing of others changes, the feeds of honest sites go on,
//! and memory stays bounded.

mod forgeries;
mod nonsense;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use luc_runtime::feeds::Pacing;
use luc_state::feed::FeedCursor;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{Happening, Machine, Site, World};

/// Who is attacked, who is honest, and who is in the wrong hands.
const VICTIM: u8 = 1;
const HONEST: u8 = 2;
const CAPTURED: u8 = 3;

/// By how much the most memory that the process ever had may grow, in KiB: one message that was
/// read as a tree of values took more. Other tests of the process count as well.
const GROWTH_KIB_MAX: u64 = 256 << 10;

/// The same of a process without other tests.
const GROWTH_ALONE_KIB_MAX: u64 = 128 << 10;

/// Set in a process that was started for one test.
const ALONE: &str = "LUC_TEST_ALONE";

/// Short pauses, and nothing that writes now and then by itself.
fn pacing() -> Pacing {
    Pacing {
        refused: Duration::from_millis(200),
        pause_min: Duration::from_millis(20),
        pause_max: Duration::from_millis(100),
        sweep: Duration::from_secs(24 * 3600),
        ..Pacing::default()
    }
}

/// Three sites that follow a project of each other, before the third is captured.
async fn world() -> World {
    let world = World::with(&[VICTIM, HONEST, CAPTURED], pacing(), 65_536).await;
    for number in [VICTIM, HONEST, CAPTURED] {
        let site = world.site(number);
        site.put(&format!("m{number}"), "p").await;
        assert!(site.follow("p").await);
    }
    for (home, away) in [(HONEST, VICTIM), (VICTIM, HONEST), (CAPTURED, VICTIM)] {
        world.site(away).level_with(world.site(home)).await;
    }
    world
}

/// Everything that the victim holds, by home.
fn held(site: &Site, of_the_captured: bool) -> Vec<Value> {
    let snapshot = site.store.snapshot();
    let captured = crate::world::prefix(CAPTURED);
    let machines = snapshot.all::<Machine>().filter_map(|machine| {
        let wanted = (machine.home() == captured) == of_the_captured;
        wanted.then(|| serde_json::to_value(machine.value()).expect("JSON"))
    });
    let happenings = snapshot.all::<Happening>().filter_map(|one| {
        let wanted = (one.home() == captured) == of_the_captured;
        wanted.then(|| serde_json::to_value(one.value()).expect("JSON"))
    });
    machines.chain(happenings).collect()
}

/// How many bytes the victim remembers of the captured site beside its records.
fn remembered(site: &Site) -> usize {
    let cursor = crate::world::prefix(CAPTURED).to_string();
    let cursor = site.store.snapshot().get::<FeedCursor>(cursor);
    cursor.map_or(0, |cursor| {
        serde_json::to_vec(cursor.value()).expect("JSON").len()
    })
}

/// The feeds of honest sites go on, both ways.
async fn honest_goes_on(world: &World, number: u64) {
    let (victim, honest) = (world.site(VICTIM), world.site(HONEST));
    for (home, away) in [(honest, victim), (victim, honest)] {
        home.put(&format!("m{}-{number}", home.number), "p").await;
        away.level_with(home).await;
    }
}

/// The most memory that this process ever had, in KiB; nothing where that is not told.
fn most_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn assert_memory_is_bounded(before: Option<u64>) {
    let alone = std::env::var_os(ALONE).is_some();
    let most = if alone {
        GROWTH_ALONE_KIB_MAX
    } else {
        GROWTH_KIB_MAX
    };
    if let (Some(before), Some(after)) = (before, most_memory_kib()) {
        let grown = after.saturating_sub(before);
        assert!(grown < most, "{grown} KiB");
    }
}

/// Whether this process has no other tests; else `test` has passed in one of its own.
fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let itself = std::env::current_exe().expect("this program");
    let mut child = std::process::Command::new(itself);
    let ran = child.args([test, "--exact"]).env(ALONE, "1").output();
    let ran = ran.expect("it runs again");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// What is logged on this thread while it is kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let log = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(log)
    }

    /// The lines that have `text`.
    fn with(&self, text: &str) -> Vec<String> {
        let bytes = self.0.lock().expect("nobody panics meanwhile").clone();
        let all = String::from_utf8(bytes).expect("text");
        let lines = all.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .expect("nobody panics meanwhile")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
