//! One site under the load of one client machine: 500 servers, then the calls people make all day.
//!
//! The release build of `luc` runs as its own process with the fake driver and its real store on
//! disk; this process is the client. The figures to hold beside it are those of a vanilla OpenStack
//! (Zed, same cores): 500 servers 989 s, list of 500 in detail 565 to 1070 ms, flavors 13 ms, token
//! 230 ms, 3.3 GB resident.

mod cloud;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Bench;
use super::figure::{Figure, Table};
use super::release;
use crate::workspace::Workspace;
use cloud::Cloud;

/// How many servers.
const SERVERS: usize = 500;
/// How many clients create at once.
const CLIENTS: usize = 25;
/// How many clouds are founded and measured.
const RUNS: usize = 5;

/// The measurement.
pub(super) struct SiteBench;

impl Bench for SiteBench {
    fn name(&self) -> &'static str {
        "site"
    }

    fn question(&self) -> &'static str {
        "How fast and how small is one site with 6 compute nodes and 500 servers?"
    }

    fn protocol(&self) -> String {
        format!(
            "release build, one process, store on disk with fsync, fake driver, 6 nodes; {RUNS} \
             new clouds; {SERVERS} POST /servers by {CLIENTS} clients at once, until the last is \
             ACTIVE (polled every 10 ms); then one client, one connection, one request after \
             the other; \
             CPU = user + system time of the cloud's process per request, its background work \
             included; `× healthz` = the time relative to GET /healthz in the same run"
        )
    }

    fn run(&self, workspace: &Workspace) -> Result<Vec<Figure>> {
        release::build(workspace)?;
        let mut table = Table::default();
        for run in 1..=RUNS {
            println!("run        {run} of {RUNS}");
            measure(&Cloud::start(workspace)?, &mut table)?;
        }
        Ok(table.figures())
    }
}

fn measure(cloud: &Cloud, table: &mut Table) -> Result<()> {
    let floor = calls(cloud, table, "GET /healthz", 500, None, |cloud| {
        cloud.get_plain("/healthz")
    })?;
    let mut call = |name: &str, count: usize, path: &str| -> Result<()> {
        calls(cloud, table, name, count, Some(floor), |cloud| {
            cloud.get(path).map(drop)
        })
        .map(drop)
    };
    call(
        "GET /servers/detail, 0 servers",
        300,
        "/compute/v2.1/servers/detail",
    )?;
    call("GET /flavors", 500, "/compute/v2.1/flavors")?;
    create_all(cloud, table)?;
    let mut call = |name: &str, count: usize, path: &str| -> Result<()> {
        calls(cloud, table, name, count, Some(floor), |cloud| {
            cloud.get(path).map(drop)
        })
        .map(drop)
    };
    call(
        "GET /servers/detail, 500 servers",
        100,
        "/compute/v2.1/servers/detail",
    )?;
    call("GET /servers, 500 servers", 100, "/compute/v2.1/servers")?;
    let ids = cloud.server_ids()?;
    let one = format!(
        "/compute/v2.1/servers/{}",
        ids.first().context("there is a server")?
    );
    call("GET /servers/{id}", 500, &one)?;
    calls(
        cloud,
        table,
        "POST /auth/tokens",
        50,
        Some(floor),
        Cloud::issue_token,
    )?;
    table.add("resident memory, 500 servers", "MiB", cloud.resident_mib()?);
    for id in &ids[100..] {
        cloud.delete(&format!("/compute/v2.1/servers/{id}"))?;
    }
    wait_until(|| Ok(cloud.server_ids()?.len() == 100))?;
    let path = "/compute/v2.1/servers/detail";
    calls(
        cloud,
        table,
        "GET /servers/detail, 100 servers",
        100,
        Some(floor),
        |cloud| cloud.get(path).map(drop),
    )?;
    Ok(())
}

/// Sends `count` requests one after the other and notes p50, p99 and CPU per request.
fn calls(
    cloud: &Cloud,
    table: &mut Table,
    name: &str,
    count: usize,
    floor: Option<f64>,
    call: impl Fn(&Cloud) -> Result<()>,
) -> Result<f64> {
    for _ in 0..count / 10 {
        call(cloud)?;
    }
    let cpu = cloud.cpu_secs()?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        call(cloud)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let cpu = (cloud.cpu_secs()? - cpu) * 1e3 / count as f64;
    times.sort_by(f64::total_cmp);
    let p50 = times[count / 2];
    table.add(&format!("{name}, p50"), "ms", p50);
    table.add(&format!("{name}, p99"), "ms", times[count * 99 / 100]);
    table.add(&format!("{name}, CPU"), "ms", cpu);
    if let Some(floor) = floor {
        table.add(&format!("{name}, × healthz"), "ratio", p50 / floor);
    }
    Ok(p50)
}

/// Creates the servers by parallel calls and waits until the last is ACTIVE.
fn create_all(cloud: &Cloud, table: &mut Table) -> Result<()> {
    let cpu = cloud.cpu_secs()?;
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let times: Vec<f64> = std::thread::scope(|scope| -> Result<Vec<f64>> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| create_some(cloud, &next)))
            .collect();
        let mut times = Vec::new();
        for client in clients {
            let some = client
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))??;
            times.extend(some);
        }
        Ok(times)
    })?;
    let accepted = started.elapsed();
    wait_until(|| {
        Ok(cloud
            .ids_of("/compute/v2.1/servers?status=BUILD")?
            .is_empty())
    })?;
    let active = started.elapsed();
    let there = cloud.ids_of("/compute/v2.1/servers?status=ACTIVE")?.len();
    ensure!(there == SERVERS, "{there} of {SERVERS} servers are ACTIVE");
    let cpu = cloud.cpu_secs()? - cpu;
    let mut sorted = times;
    sorted.sort_by(f64::total_cmp);
    table.add("500 servers accepted", "s", accepted.as_secs_f64());
    table.add("500 servers ACTIVE", "s", active.as_secs_f64());
    table.add("POST /servers under load, p50", "ms", sorted[SERVERS / 2]);
    table.add(
        "POST /servers under load, p99",
        "ms",
        sorted[SERVERS * 99 / 100],
    );
    table.add("CPU per server created", "ms", cpu * 1e3 / SERVERS as f64);
    Ok(())
}

fn create_some(cloud: &Cloud, next: &AtomicUsize) -> Result<Vec<f64>> {
    let client = cloud.another_client();
    let mut times = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= SERVERS {
            return Ok(times);
        }
        let body = json!({"server": {
            "name": format!("server-{number}"),
            "imageRef": cloud.image,
            "flavorRef": cloud.flavor,
            "networks": "none",
        }});
        let started = Instant::now();
        client.post(cloud, "/compute/v2.1/servers", &body)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
}

fn wait_until(done: impl Fn() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !done()? {
        ensure!(
            started.elapsed() < Duration::from_secs(120),
            "it takes more than 120 s"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
