//! Several sites under load: how much slower does a cloud become when it is spread out?
//!
//! Real processes in network namespaces with latency between the sites (`tests/netns/lab.py`), the
//! release build, its real store, fake hypervisors. The same 500 creations as in the published
//! measurements of ROME (B5, B6, B14 of the project's table of benchmarks): split evenly, or all
//! asked at one site, with ample quota and with a quota that is just enough. Bytes are counted on
//! the line between the sites, between separate processes.

mod cloud;
mod load;

use anyhow::Result;

use super::Bench;
use super::figure::{Better, Figure};
use super::release;
use crate::workspace::Workspace;
use cloud::{Cloud, Layout};
use load::{Asked, Quota, Round};

/// Rounds in each cloud.
const ROUNDS: usize = 5;
/// Servers per round, as published.
const SERVERS: usize = 500;
/// One-way delays in ms.
const DELAYS: [f64; 3] = [0.0, 10.0, 50.0];
/// Numbers of sites.
const SITES: [usize; 4] = [2, 4, 6, 8];

/// The variable that leaves out clouds: `4x10,4x50` measures four sites at 10 and at 50 ms only.
const ONLY: &str = "LUC_BENCH_SITES";

/// Whether the cloud of so many sites at that delay is asked for.
fn is_wanted(sites: usize, delay: f64) -> bool {
    let name = format!("{sites}x{delay}");
    std::env::var(ONLY).map_or(true, |only| only.split(',').any(|wanted| wanted == name))
}

/// The measurement.
pub(super) struct SitesBench;

impl Bench for SitesBench {
    fn name(&self) -> &'static str {
        "sites"
    }

    fn question(&self) -> &'static str {
        "What does it cost to spread 500 and 2 000 servers over several sites?"
    }

    fn protocol(&self) -> String {
        format!(
            "release build; per site one controller and 6 compute nodes (fake driver), each a \
             process, a namespace per site, store on disk with fsync; one-way delay by a bridge in \
             user space; {SERVERS} POST /servers by 24 clients at once; done = ACTIVE and listed \
             by every site; {ROUNDS} rounds per cloud, all servers deleted between; `even` = \
             asked at all sites alike, `zones` = all asked at the first site with the zones in \
             turn; bytes = on the line between sites, minus what idles there in the same time; \
             published beside it: 500 VMs on one site ROME 322 s, MySQL 298 s; 4 sites at 10 ms \
             ROME 263 s, MySQL 139 s, Galera about 2 000 s; at 50 ms ROME 427 s, MySQL 203 s, \
             Galera fails; vanilla Nova on 2 cores 989 s; ROME moves 4 672 MB between sites"
        )
    }

    fn run(&self, workspace: &Workspace) -> Result<Vec<Figure>> {
        release::build(workspace)?;
        let mut table = Table::default();
        let one = one_site(workspace, &mut table)?;
        for delay in DELAYS {
            for sites in SITES {
                if is_wanted(sites, delay) {
                    spread(workspace, sites, delay, one, &mut table)?;
                }
            }
        }
        many(workspace, &mut table)?;
        Ok(table.figures())
    }
}

/// Values by figure, in the order in which the figures first came.
#[derive(Default)]
struct Table {
    rows: Vec<(String, &'static str, Vec<f64>)>,
}

impl Table {
    fn add(&mut self, name: &str, unit: &'static str, value: f64) {
        match self.rows.iter_mut().find(|(known, ..)| known == name) {
            Some((_, _, values)) => values.push(value),
            None => self.rows.push((name.to_owned(), unit, vec![value])),
        }
    }

    fn figures(&self) -> Vec<Figure> {
        let rows = self.rows.iter();
        rows.filter_map(|(name, unit, values)| Figure::of(name, unit, Better::Lower, values))
            .collect()
    }
}

/// B5a: everything on one site. Gives back the median time, to compare with.
fn one_site(workspace: &Workspace, table: &mut Table) -> Result<f64> {
    let cloud = Cloud::up(workspace, Layout::of(1, 6, 0.0))?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let before = cloud.bytes_inside(0)?;
        let round = Round::run(&cloud, SERVERS, Asked::Evenly, Quota::Ample)?;
        let moved = cloud.bytes_inside(0)? - before;
        table.add("1 site: 500 ACTIVE", "s", round.secs);
        table.add("1 site: bytes inside the site", "MB", moved as f64 / 1e6);
        table.add("1 site: POST p50", "ms", round.post_p50);
        times.push(round.secs);
        load::clear(&cloud)?;
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// B5b, B5c and B6 for one number of sites and one delay.
fn spread(
    workspace: &Workspace,
    sites: usize,
    delay: f64,
    one: f64,
    table: &mut Table,
) -> Result<()> {
    let cloud = Cloud::up(workspace, Layout::of(sites, 6, delay))?;
    let name = format!("{sites} sites, {delay} ms");
    println!("measuring  {name}");
    let mut figures = |what: &str, unit, value| table.add(&format!("{name}: {what}"), unit, value);
    for _ in 0..ROUNDS {
        let idle = cloud.idle_bytes_per_sec()?;
        let before = cloud.bytes_between()?;
        let even = Round::run(&cloud, SERVERS, Asked::Evenly, Quota::Ample)?;
        let moved = (cloud.bytes_between()? - before) as f64 - idle * even.secs;
        let followers = (sites - 1) as f64 * SERVERS as f64;
        figures("even", "s", even.secs);
        figures("even / one site", "ratio", even.secs / one);
        figures("even, POST p50", "ms", even.post_p50);
        figures("bytes per creation and follower", "B", moved / followers);
        figures("idle on the line", "B/s", idle);
        load::clear(&cloud)?;
        let zones = Round::run(&cloud, SERVERS, Asked::AtTheFirst, Quota::Ample)?;
        figures("zones", "s", zones.secs);
        figures(
            "zones, POST p50 added",
            "ms",
            zones.post_p50 - even.post_p50,
        );
        load::clear(&cloud)?;
        let named = Round::run(&cloud, SERVERS, Asked::EvenlyByName, Quota::Ample)?;
        figures("even by zone / even", "ratio", named.secs / even.secs);
        load::clear(&cloud)?;
        let exact = Round::run(&cloud, SERVERS, Asked::Evenly, Quota::Exact)?;
        figures("even, quota just enough", "s", exact.secs);
        load::clear(&cloud)?;
        if sites == 4 {
            let before = cloud.bytes_between()?;
            let bound = Round::bound(&cloud, SERVERS / 5)?;
            let moved = (cloud.bytes_between()? - before) as f64 - idle * bound.secs;
            let per = moved / (SERVERS / 5) as f64;
            figures("bytes per creation of a project on one site", "B", per);
            load::clear(&cloud)?;
        }
    }
    Ok(())
}

/// B14: 2 000 servers over 4 sites with 12 compute nodes in all.
fn many(workspace: &Workspace, table: &mut Table) -> Result<()> {
    let cloud = Cloud::up(workspace, Layout::of(4, 3, 10.0))?;
    for _ in 0..ROUNDS {
        let round = Round::run(&cloud, 2000, Asked::Evenly, Quota::Ample)?;
        table.add("4 sites, 10 ms: 2 000 ACTIVE", "s", round.secs);
        load::clear(&cloud)?;
    }
    Ok(())
}
