//! A limit that comes after there was none, while a site is cut off: at the end of a run, when what
//! became of it can be said exactly.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::draw::Draw;
use crate::invariant::limits_come_into_force::{self, LIMITS_COME_INTO_FORCE};
use crate::limits::{RECONNECTED, Scene};
use crate::world::World;

/// For how long the site is cut off: its home looks in the meantime whether it is there.
const CUT: Duration = Duration::from_secs(30);

/// How long after the heal a home has asked a site that is back: it looks every 20 s, and once
/// more.
const ASKED: Duration = Duration::from_secs(60);

/// Takes a limit away, lets all sites work, cuts one off, sets the limit, heals, and looks.
pub(crate) async fn open_and_close(world: &World, seed: u64) {
    if !world.without_limits {
        return;
    }
    let mut draw = Draw::new(seed, 601);
    let (mut scene, away) = Scene::drawn(world, &mut draw).await;
    scene.away = draw.chance(800).then_some(away);
    sleep(RECONNECTED).await;
    scene.tidy_up().await;
    scene.set(json!(-1)).await;
    sleep(RECONNECTED).await;
    scene.cut_off();
    for site in world.trusted() {
        for _ in 0..=draw.below(2) {
            scene.make_freely(site).await;
        }
    }
    sleep(draw.millis(0, 3_000)).await;
    let used = scene.shares().used_in_all();
    scene
        .set(json!((used + 2).saturating_sub(draw.below(5))))
        .await;
    scene.look_at_pending().await;
    for site in world.trusted() {
        if Some(site) == scene.away {
            scene.make_freely(site).await;
        } else {
            scene.make(site).await;
        }
    }
    sleep(CUT).await;
    scene.heal().await;
    scene.wait().await;
    let before = scene.shares().used_in_all();
    for site in world.trusted().into_iter().chain(world.trusted()) {
        let status = scene.make(site).await;
        scene.judge(limits_come_into_force::kept(
            status,
            before,
            &scene.shares(),
        ));
    }
}

impl Scene<'_> {
    fn judge(&self, seen: Option<String>) {
        self.accuse_of(LIMITS_COME_INTO_FORCE, seen);
    }

    /// Looks at what the home says is pending. What it has just written may be on its disk a moment
    /// before it counts.
    async fn look_at_pending(&self) {
        let mut seen = None;
        for _ in 0..10 {
            let Some(told) = self.pending() else { return };
            seen = limits_come_into_force::pending(&self.shares(), told);
            if seen.is_none() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        self.judge(seen.filter(|_| !self.world.any_lossy()));
    }

    /// Makes one at a site that knows of no limit.
    async fn make_freely(&self, site: usize) {
        let status = self.make(site).await;
        let seen = limits_come_into_force::without(status, &self.shares());
        self.judge(seen.filter(|_| !self.world.any_lossy()));
    }

    /// Waits until every site has heard.
    async fn wait(&self) {
        // Behind a poor link what is written down may be lost, and comes again much later.
        if self.world.any_lossy() {
            return self.tidy_up().await;
        }
        let healed = Instant::now();
        loop {
            let told = self.pending().unwrap_or_default();
            let seen = limits_come_into_force::settled(&self.shares(), told);
            if seen.is_none() || healed.elapsed() > ASKED {
                return self.judge(seen);
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}
