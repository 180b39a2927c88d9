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

/// When requests are sent.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// By each of 24 clients as soon as its last one is answered.
    Clients,
    /// So many a second, whether or not others are answered; times count from when each was due.
    PerSec(f64),
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
        Self::at(cloud, count, asked, quota, Pace::Clients)
    }

    /// The same at that pace.
    pub(super) fn at(
        cloud: &Cloud,
        count: usize,
        asked: Asked,
        quota: Quota,
        pace: Pace,
    ) -> Result<Self> {
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
        let order = Order::new(count, pace);
        let times = create(cloud, &askers, &order, &zone)?;
        let watchers: Vec<&Site> = cloud.sites.iter().collect();
        done(&watchers, count)?;
        Ok(Self::of(started, times))
    }

    /// Creates `count` servers as `site` alone, whose project no other site has heard of.
    pub(super) fn bound(cloud: &Cloud, site: &Site, count: usize) -> Result<Self> {
        let started = Instant::now();
        let order = Order::new(count, Pace::Clients);
        let times = create(cloud, &[site], &order, &|_| None)?;
        done(&[site], count)?;
        Ok(Self::of(started, times))
    }

    /// One client alone creates `count` servers one after the other at the first site, each in the
    /// zone of site `zone`: what a request takes when it waits for nobody.
    pub(super) fn alone(cloud: &Cloud, count: usize, zone: usize) -> Result<Self> {
        let first = cloud.sites.first().context("there is a site")?;
        let started = Instant::now();
        let name = |_| Some(cloud.sites[zone].name.clone());
        let order = Order::new(count, Pace::Clients);
        let times = create_some(cloud, &[first], &order, &name)?;
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

/// The requests of a round, in order.
struct Order {
    count: usize,
    pace: Pace,
    started: Instant,
    next: AtomicUsize,
}

impl Order {
    fn new(count: usize, pace: Pace) -> Self {
        let (started, next) = (Instant::now(), AtomicUsize::new(0));
        Self {
            count,
            pace,
            started,
            next,
        }
    }

    /// The number of the next request, which is due now, and since when; none if all were sent.
    fn next(&self) -> Option<(usize, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.count {
            return None;
        }
        let Pace::PerSec(rate) = self.pace else {
            return Some((number, Instant::now()));
        };
        let due = self.started + Duration::from_secs_f64(number as f64 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        Some((number, due))
    }
}

/// Creates by parallel clients; gives back the time of each request in ms.
fn create(
    cloud: &Cloud,
    askers: &[&Site],
    order: &Order,
    zone: &(dyn Fn(usize) -> Option<String> + Sync),
) -> Result<Vec<f64>> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| create_some(cloud, askers, order, zone)))
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
    order: &Order,
    zone: &(dyn Fn(usize) -> Option<String> + Sync),
) -> Result<Vec<f64>> {
    let clients: Vec<Site> = askers.iter().map(|site| site.another()).collect();
    let mut times = Vec::new();
    while let Some((number, due)) = order.next() {
        let mut body = json!({"server": {
            "name": format!("server-{number}"),
            "imageRef": cloud.image,
            "flavorRef": cloud.flavor,
            "networks": "none",
        }});
        if let Some(zone) = zone(number) {
            body["server"]["availability_zone"] = zone.into();
        }
        clients[number % clients.len()].post("/compute/v2.1/servers", &body)?;
        times.push(due.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
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
