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
use super::figure::{Figure, Table};
use super::release;
use crate::workspace::Workspace;
use cloud::{Cloud, Layout};
use load::{Asked, Pace, Quota, Round};

/// Rounds in each cloud.
const ROUNDS: usize = 5;
/// Servers per round, as published.
const SERVERS: usize = 500;
/// Servers that one client alone creates.
const ALONE: usize = 40;
/// Creations in a second at a steady rate: a quarter of what four sites do on our two cores.
const RATE: f64 = 60.0;
/// One-way delays in ms.
const DELAYS: [f64; 3] = [0.0, 10.0, 50.0];
/// Numbers of sites.
const SITES: [usize; 4] = [2, 4, 6, 8];

/// What each site has of a processor where clouds of different sizes are compared, as the sites of
/// the published measurements had machines of their own. Eight of them leave the callers and the
/// bridge enough of two cores.
const CPUS: f64 = 0.2;

/// What others took for the same, printed beside ours: ROME + Redis, MySQL and Galera below
/// OpenStack on Grid'5000, and a vanilla OpenStack on a machine like ours.
const PUBLISHED: &str = "published for 500 VMs: one site ROME 322 s, 83 ms mean database request, \
    2 190 MB; MySQL 298 s, 37 ms, 1 794 MB; vanilla OpenStack on 2 cores 989 s, 383 MB of SQL \
    until 346 were ACTIVE; over 2 / 4 / 6 / 8 sites at 10 ms ROME 271 / 263 / 229 / 223 s, \
    MySQL 209 / 139 / 123 / 422 s, Galera about 2 000 s; at 50 ms ROME 723 / 427 / 341 / 302 s, \
    MySQL 268 / 203 / 184 / 759 s, Galera fails; with availability zones and without \
    582 / 532 s, 492 / 588 s; between the sites 4 672 of 5 326 MB; 500 VMs over \
    4 sites 300 s, 2 000 VMs under 30 min";

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
             process, a namespace per site, store on disk with fsync, B5a and 2 000 servers: \
             all on this machine's cores, else each site has {CPUS} of one; one-way delay by a \
             bridge in user space; {SERVERS} POST /servers by 24 clients at once; done = ACTIVE \
             and listed by every site; {ROUNDS} rounds per cloud, all servers deleted between; \
             `even` = asked at all sites alike, `zones` = all asked at the first site with the \
             zones in turn; one client = {ALONE} one after the other; steady rate = {RATE} \
             requests a second, times from when each was due; processor time = of all nodes, \
             without callers and bridge; bytes = on the line between sites, minus what \
             idles there in the same time; {PUBLISHED}"
        )
    }

    fn run(&self, workspace: &Workspace) -> Result<Vec<Figure>> {
        release::build(workspace)?;
        let mut table = Table::default();
        let whole = one_site(workspace, None, &mut table)?;
        let one = one_site(workspace, Some(CPUS), &mut table)?;
        for delay in DELAYS {
            for sites in SITES {
                if is_wanted(sites, delay) {
                    let layout = Layout::of(sites, 6, delay).with_cpus(CPUS);
                    spread(workspace, layout, one, &mut table)?;
                }
            }
        }
        // One of them without bounds: all sites contend for the same cores.
        spread(workspace, Layout::of(4, 6, 10.0), whole, &mut table)?;
        many(workspace, &mut table)?;
        Ok(table.figures())
    }
}

/// What one site takes, to compare with.
#[derive(Clone, Copy)]
struct OneSite {
    /// Until the last server is ACTIVE, in s.
    secs: f64,
    /// Processor time per creation, in ms.
    cpu_ms: f64,
}

/// B5a: everything on one site, which has the whole machine or as much as sites have elsewhere.
fn one_site(workspace: &Workspace, cpus: Option<f64>, table: &mut Table) -> Result<OneSite> {
    let layout = Layout::of(1, 6, 0.0);
    let layout = cpus.map_or(layout, |cpus| layout.with_cpus(cpus));
    let cloud = Cloud::up(workspace, layout)?;
    let name = layout.to_string();
    println!("measuring  {name}");
    let mut figures = |what: &str, unit, value| table.add(&format!("{name}: {what}"), unit, value);
    let (secs, cpu) = ("500 ACTIVE", "processor time per creation");
    for _ in 0..ROUNDS {
        let (bytes, used) = (cloud.bytes_inside(0)?, cloud.cpu_secs()?);
        let round = Round::run(&cloud, SERVERS, Asked::Evenly, Quota::Ample)?;
        let moved = cloud.bytes_inside(0)? - bytes;
        let cpu_ms = (cloud.cpu_secs()? - used) * 1e3 / SERVERS as f64;
        figures(secs, "s", round.secs);
        figures("bytes inside the site", "MB", moved as f64 / 1e6);
        figures("POST p50", "ms", round.post_p50);
        figures(cpu, "ms", cpu_ms);
        load::clear(&cloud)?;
        let alone = Round::alone(&cloud, ALONE, 0)?;
        figures("one client, POST p50", "ms", alone.post_p50);
        load::clear(&cloud)?;
    }
    let median = |what: &str| table.median(&format!("{name}: {what}"));
    Ok(OneSite {
        secs: median(secs),
        cpu_ms: median(cpu),
    })
}

/// B5b, B5c and B6 for one number of sites and one delay.
fn spread(workspace: &Workspace, layout: Layout, one: OneSite, table: &mut Table) -> Result<()> {
    let cloud = Cloud::up(workspace, layout)?;
    let name = layout.to_string();
    for round in 1..=ROUNDS {
        println!("measuring  {name}: round {round} of {ROUNDS}");
        let mut figures =
            |what: &str, unit, value| table.add(&format!("{name}: {what}"), unit, value);
        evenly(&cloud, one, &mut figures)?;
        elsewhere(&cloud, &mut figures)?;
        let exact = Round::run(&cloud, SERVERS, Asked::Evenly, Quota::Exact)?;
        figures("even, quota just enough", "s", exact.secs);
        load::clear(&cloud)?;
        if cloud.sites.len() == 4 {
            alone(&cloud, &mut figures)?;
            if layout.cpus.is_none() {
                paced(&cloud, &mut figures)?;
            }
            bound(&cloud, round, &mut figures)?;
        }
    }
    Ok(())
}

/// Creations split evenly: their time, their bytes, and by zone beside without.
fn evenly(
    cloud: &Cloud,
    one: OneSite,
    figures: &mut impl FnMut(&str, &'static str, f64),
) -> Result<()> {
    cloud.settle()?;
    let idle = cloud.idle_bytes_per_sec()?;
    let (bytes, cpu) = (cloud.bytes_between()?, cloud.cpu_secs()?);
    let even = Round::run(cloud, SERVERS, Asked::Evenly, Quota::Ample)?;
    let cpu_ms = (cloud.cpu_secs()? - cpu) * 1e3 / SERVERS as f64;
    let moved = (cloud.bytes_between()? - bytes) as f64 - idle * even.secs;
    let followers = (cloud.sites.len() - 1) as f64 * SERVERS as f64;
    figures("even", "s", even.secs);
    figures("even / one site", "ratio", even.secs / one.secs);
    figures("even, POST p50", "ms", even.post_p50);
    figures("even, processor time per creation", "ms", cpu_ms);
    figures(
        "even, processor time / one site",
        "ratio",
        cpu_ms / one.cpu_ms,
    );
    figures("bytes per creation and follower", "B", moved / followers);
    figures("idle on the line", "B/s", idle);
    load::clear(cloud)?;
    if cloud.sites.len() != 4 {
        return Ok(());
    }
    let named = Round::run(cloud, SERVERS, Asked::EvenlyByName, Quota::Ample)?;
    figures("even by zone / even", "ratio", named.secs / even.secs);
    load::clear(cloud)
}

/// Creations asked at the first site for others.
fn elsewhere(cloud: &Cloud, figures: &mut impl FnMut(&str, &'static str, f64)) -> Result<()> {
    let zones = Round::run(cloud, SERVERS, Asked::AtTheFirst, Quota::Ample)?;
    figures("zones", "s", zones.secs);
    figures("zones, POST p50", "ms", zones.post_p50);
    load::clear(cloud)
}

/// One client alone, which waits for nobody else: at its own site, and for another.
fn alone(cloud: &Cloud, figures: &mut impl FnMut(&str, &'static str, f64)) -> Result<()> {
    let here = Round::alone(cloud, ALONE, 0)?;
    figures("one client, POST p50, own site", "ms", here.post_p50);
    load::clear(cloud)?;
    let there = Round::alone(cloud, ALONE, 1)?;
    let added = there.post_p50 - here.post_p50;
    figures("one client, POST p50 added, other site", "ms", added);
    load::clear(cloud)
}

/// The same creations so many a second, which leaves the processors idle half of the time: asked at
/// each server's own site, and all at the first.
fn paced(cloud: &Cloud, figures: &mut impl FnMut(&str, &'static str, f64)) -> Result<()> {
    let p50 = |asked: Asked| -> Result<f64> {
        let round = Round::at(cloud, SERVERS, asked, Quota::Ample, Pace::PerSec(RATE))?;
        load::clear(cloud)?;
        Ok(round.post_p50)
    };
    let here = p50(Asked::EvenlyByName)?;
    let added = p50(Asked::AtTheFirst)? - here;
    figures("at a steady rate, POST p50, own site", "ms", here);
    figures("at a steady rate, POST p50 added, zones", "ms", added);
    Ok(())
}

/// Creations in a project that no other site has heard of.
fn bound(
    cloud: &Cloud,
    round: usize,
    figures: &mut impl FnMut(&str, &'static str, f64),
) -> Result<()> {
    let site = cloud.bound_project(&format!("bound-{round}"))?;
    cloud.settle()?;
    let idle = cloud.idle_bytes_per_sec()?;
    let bytes = cloud.bytes_between()?;
    let round = Round::bound(cloud, &site, SERVERS)?;
    let moved = (cloud.bytes_between()? - bytes) as f64 - idle * round.secs;
    let per = moved / SERVERS as f64;
    figures("bytes per creation of a project on one site", "B", per);
    load::remove(&site, &site.servers(None)?)
}

/// B14: 2 000 servers over 4 sites with 12 compute nodes in all.
fn many(workspace: &Workspace, table: &mut Table) -> Result<()> {
    let cloud = Cloud::up(workspace, Layout::of(4, 3, 10.0))?;
    for round in 1..=ROUNDS {
        println!("measuring  2 000 servers: round {round} of {ROUNDS}");
        let round = Round::run(&cloud, 2000, Asked::Evenly, Quota::Ample)?;
        table.add("4 sites, 10 ms: 2 000 ACTIVE", "s", round.secs);
        load::clear(&cloud)?;
    }
    Ok(())
}
