//! Rounds of creations, and clearing up between them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::cloud::{Cloud, Site};

/// How many clients create at once, over all sites.
const CLIENTS: usize = 24;
/// How long a round may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// Who is asked for what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Every site for its share, without a zone.
    Evenly,
    /// Every site for its share, in its own zone by name.
    EvenlyByName,
    /// The first site for everything, with the zones in turn.
    AtTheFirst,
}

/// How much the project may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quota {
    /// Without limit.
    Ample,
    /// Just as many servers as will be made.
    Exact,
}

/// What one round took.
pub(super) struct Round {
    /// From the first request until the last server is ACTIVE at every site.
    pub(super) secs: f64,
    /// The median of one request, in ms.
    pub(super) post_p50: f64,
}

impl Round {
    /// Creates `count` servers in the project that all sites follow.
    pub(super) fn run(cloud: &Cloud, count: usize, asked: Asked, quota: Quota) -> Result<Self> {
        let first = cloud.sites.first().context("there is a site")?;
        let instances = match quota {
            Quota::Ample => -1,
            Quota::Exact => i64::try_from(count)?,
        };
        first.quota(instances)?;
        let askers: Vec<&Site> = match asked {
            Asked::AtTheFirst => vec![first],
            Asked::Evenly | Asked::EvenlyByName => cloud.sites.iter().collect(),
        };
        let zone = |number: usize| match asked {
            Asked::Evenly => None,
            Asked::EvenlyByName => Some(askers[number % askers.len()].name.clone()),
            Asked::AtTheFirst => Some(cloud.sites[number % cloud.sites.len()].name.clone()),
        };
        let started = Instant::now();
        let times = create(cloud, &askers, count, &zone)?;
        let watchers: Vec<&Site> = cloud.sites.iter().collect();
        done(&watchers, count)?;
        Ok(Self::of(started, times))
    }

    /// Creates `count` servers as `site` alone, whose project no other site has heard of.
    pub(super) fn bound(cloud: &Cloud, site: &Site, count: usize) -> Result<Self> {
        let started = Instant::now();
        let times = create(cloud, &[site], count, &|_| None)?;
        done(&[site], count)?;
        Ok(Self::of(started, times))
    }

    /// One client alone creates `count` servers one after the other at the first site, each in the
    /// zone of site `zone`: what a request takes when it waits for nobody.
    pub(super) fn alone(cloud: &Cloud, count: usize, zone: usize) -> Result<Self> {
        let first = cloud.sites.first().context("there is a site")?;
        let (started, next) = (Instant::now(), AtomicUsize::new(0));
        let name = |_| Some(cloud.sites[zone].name.clone());
        let times = create_some(cloud, &[first], count, &name, &next)?;
        let watchers: Vec<&Site> = cloud.sites.iter().collect();
        done(&watchers, count)?;
        Ok(Self::of(started, times))
    }

    fn of(started: Instant, mut times: Vec<f64>) -> Self {
        let secs = started.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        Self {
            secs,
            post_p50: times[times.len() / 2],
        }
    }
}

/// Waits until every watcher lists all as ACTIVE.
fn done(watchers: &[&Site], count: usize) -> Result<()> {
    for site in watchers {
        wait("every server is ACTIVE everywhere", || {
            let active = site.servers(Some("ACTIVE"))?.len();
            if active < count {
                let failed = site.servers(Some("ERROR"))?;
                ensure!(failed.is_empty(), "{} servers are in ERROR", failed.len());
            }
            Ok(active == count)
        })?;
    }
    Ok(())
}

/// Creates by parallel clients; gives back the time of each request in ms.
fn create(
    cloud: &Cloud,
    askers: &[&Site],
    count: usize,
    zone: &(dyn Fn(usize) -> Option<String> + Sync),
) -> Result<Vec<f64>> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| create_some(cloud, askers, count, zone, &next)))
            .collect();
        let mut times = Vec::new();
        for client in clients {
            let some = client.join();
            times.extend(some.map_err(|_| anyhow::anyhow!("a client panicked"))??);
        }
        Ok(times)
    })
}

fn create_some(
    cloud: &Cloud,
    askers: &[&Site],
    count: usize,
    zone: &(dyn Fn(usize) -> Option<String> + Sync),
    next: &AtomicUsize,
) -> Result<Vec<f64>> {
    let clients: Vec<Site> = askers.iter().map(|site| site.another()).collect();
    let mut times = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(times);
        }
        let mut body = json!({"server": {
            "name": format!("server-{number}"),
            "imageRef": cloud.image,
            "flavorRef": cloud.flavor,
            "networks": "none",
        }});
        if let Some(zone) = zone(number) {
            body["server"]["availability_zone"] = zone.into();
        }
        let started = Instant::now();
        clients[number % clients.len()].post("/compute/v2.1/servers", &body)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
}

/// Deletes everything, and waits until no site shows anything.
pub(super) fn clear(cloud: &Cloud) -> Result<()> {
    let first = cloud.sites.first().context("there is a site")?;
    first.unlimited()?;
    let servers = first.servers_by_zone()?;
    std::thread::scope(|scope| {
        let removing: Vec<_> = cloud
            .sites
            .iter()
            .map(|site| {
                let own = servers.iter().filter(|(_, zone)| *zone == site.name);
                let own: Vec<String> = own.map(|(id, _)| id.clone()).collect();
                scope.spawn(move || remove(site, &own))
            })
            .collect();
        removing.into_iter().try_for_each(ended)
    })?;
    for site in &cloud.sites {
        wait("every server is gone everywhere", || {
            Ok(site.servers(None)?.is_empty())
        })?;
    }
    Ok(())
}

/// Deletes these servers, asked at their own site.
pub(super) fn remove(site: &Site, ids: &[String]) -> Result<()> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let site = site.another();
                    while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                        site.delete(&format!("/compute/v2.1/servers/{id}"))?;
                    }
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(ended)
    })
}

fn ended(client: std::thread::ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    let end = client.join();
    end.map_err(|_| anyhow::anyhow!("a client panicked"))?
}

/// Asks until it is so.
pub(super) fn wait(what: &str, done: impl Fn() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !done()? {
        ensure!(
            started.elapsed() < PATIENCE,
            "{what}: not after {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
