//! `luc demo`: the main job, unattended, on real input.
//!
//! It starts a cloud, uploads a bootable image, boots real machines with the *stock* OpenStack
//! client, shows their consoles reaching user space, lists them, stops and deletes them, and says
//! how long each step took. Without QEMU it says so loudly and uses the fake driver; without the
//! stock client it says so and speaks the same API itself. Then four sites show that they are one
//! cloud, also while one is cut off.

mod sites;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::cli::DemoArgs;
use crate::client::{Client, Target};
use crate::cloud::Kept;
use crate::config::DriverKind;
use crate::console::printable;
use crate::steps::{Steps, print, say, shown};
use crate::stock::Stock;
use crate::up::{Cloud, Plan};

/// What the guest says on its serial line when user space is up.
const UP: &str = "luc-guest: user space is up";

/// The image's name in the demo's cloud.
const IMAGE: &str = "luc-guest";

/// The flavor the machines get.
const FLAVOR: &str = "m1.nano";

/// Runs the demo to its end; with `keep`, until it is interrupted.
pub async fn run(args: DemoArgs, json_wanted: bool) -> anyhow::Result<()> {
    let mut steps = Steps::new();
    let driver = driver(&args)?;
    let kept = Kept::at(args.data_dir.as_deref())?;
    let plan = Plan {
        site: "demo".to_owned(),
        nodes: 2,
        driver,
        accel: args.accel.clone(),
        listen: args.listen,
        data_dir: kept.path().to_owned(),
    };
    say("LUC OS demo: a cloud of one site, two nodes, and its main job.");
    let cloud = steps
        .run(
            "start a cloud (store, services, 2 nodes)",
            Cloud::start(plan),
        )
        .await?;
    // Programs get one JSON object; what people look at meanwhile is not part of it.
    let tell = if json_wanted { say } else { print };
    let outcome = show(&args, driver, &cloud, &mut steps, tell).await;
    if let Err(error) = &outcome {
        say(&format!("The demo failed: {error:#}"));
    }
    if args.keep {
        keep(&cloud, tell).await?;
    }
    if kept.is_temporary() && (args.keep || outcome.is_err()) {
        let limit = Duration::from_secs(args.boot_timeout);
        if let Err(error) = steps
            .run("remove the servers", clean_up(&cloud, limit))
            .await
        {
            say(&format!("Machines may be left running: {error:#}"));
        }
    }
    let stop = cloud.stop();
    steps.run("stop the cloud", stop).await?;
    let mut facts = outcome?;
    if !args.one_site {
        facts["many_sites"] = sites::show(&mut steps).await?;
    }
    if json_wanted {
        print(&json!({"steps": steps.to_json(), "facts": facts}).to_string());
    } else {
        print(&summary(&facts, &steps));
    }
    Ok(())
}

/// What runs the machines: what was asked for, else QEMU if it is there.
fn driver(args: &DemoArgs) -> anyhow::Result<DriverKind> {
    let installed = crate::up::qemu_installed();
    match args.driver {
        Some(DriverKind::Qemu) if !installed => {
            bail!("QEMU is not installed: run scripts/install-deps, or use --driver fake")
        }
        Some(driver) => Ok(driver),
        None if installed && args.image.is_file() => Ok(DriverKind::Qemu),
        None if installed => {
            say("==================================================================");
            say(&format!(
                "THERE IS NO GUEST IMAGE at {}: the FAKE driver is used and",
                args.image.display()
            ));
            say("NOTHING REALLY BOOTS. Build one with guest/make-image and try again.");
            say("==================================================================");
            Ok(DriverKind::Fake)
        }
        None => {
            say("==================================================================");
            say("QEMU IS NOT INSTALLED: the FAKE driver is used and NOTHING REALLY");
            say("BOOTS. Run scripts/install-deps and try again to see real machines.");
            say("==================================================================");
            Ok(DriverKind::Fake)
        }
    }
}

/// The main job.
async fn show(
    args: &DemoArgs,
    driver: DriverKind,
    cloud: &Cloud,
    steps: &mut Steps,
    tell: fn(&str),
) -> anyhow::Result<Value> {
    let client = Client::login(cloud.access()).await?;
    let stock = Stock::find(args.openstack.as_deref(), cloud.clouds_yaml());
    announce(cloud, stock.as_ref());
    let image = image_file(args, driver)?;
    steps
        .run(
            "upload the guest image",
            upload(stock.as_ref(), &client, &image.path),
        )
        .await?;
    let booted = Instant::now();
    let name = format!("create {} servers", args.servers);
    steps
        .run(&name, create(stock.as_ref(), &client, args.servers))
        .await?;
    let limit = Duration::from_secs(args.boot_timeout);
    steps
        .run(
            "all servers ACTIVE",
            until_status(&client, "ACTIVE", args.servers, limit),
        )
        .await?;
    let user_space = if driver == DriverKind::Qemu {
        let wait = until_user_space(&client, limit);
        steps.run("all guests in user space", wait).await?;
        Some(booted.elapsed())
    } else {
        None
    };
    consoles(stock.as_ref(), &client, driver, tell).await?;
    let list = steps
        .run("list the servers", list(stock.as_ref(), &client))
        .await?;
    tell(&list);
    if !args.keep {
        let stopped = stop(stock.as_ref(), &client, args.servers, limit);
        steps.run("stop the servers", stopped).await?;
        let deleted = delete(stock.as_ref(), &client, limit);
        steps
            .run("delete the servers and the image", deleted)
            .await?;
    }
    Ok(json!({
        "driver": match driver { DriverKind::Qemu => "qemu", DriverKind::Fake => "fake" },
        "accelerator": cloud.fact("accelerator"),
        "stock_client": stock.as_ref().map(|stock| stock.path().display().to_string()),
        "servers": args.servers,
        "create_to_user_space_seconds": user_space.map(|took| took.as_secs_f64()),
    }))
}

/// Says what the guests run on, and who asks for them.
fn announce(cloud: &Cloud, stock: Option<&Stock>) {
    let fact = |name: &str| cloud.fact(name).unwrap_or_default();
    if let Some(accel) = cloud.fact("accelerator") {
        let (version, reason) = (fact("qemu"), fact("accelerator reason"));
        say(&format!(
            "  Guests run under QEMU {version}, accelerator {accel}: {reason}."
        ));
    }
    match stock {
        Some(stock) => say(&format!(
            "  The stock client is {}.",
            stock.path().display()
        )),
        None => say(
            "  NO STOCK CLIENT FOUND (run scripts/install-openstackclient): the same \
                     requests are sent by a client of our own.",
        ),
    }
}

/// Removes what a demo that was kept, or failed, has left running.
async fn clean_up(cloud: &Cloud, limit: Duration) -> anyhow::Result<()> {
    let client = Client::login(cloud.access()).await?;
    delete(None, &client, limit).await
}

/// The image to upload, and the directory that holds it if it was made up for the fake driver.
struct ImageFile {
    path: PathBuf,
    _made: Option<tempfile::TempDir>,
}

fn image_file(args: &DemoArgs, driver: DriverKind) -> anyhow::Result<ImageFile> {
    if args.image.is_file() {
        return Ok(ImageFile {
            path: args.image.clone(),
            _made: None,
        });
    }
    if driver == DriverKind::Qemu {
        bail!(
            "there is no image at {}: build it with guest/make-image",
            args.image.display()
        );
    }
    let directory = tempfile::tempdir().context("making room for an image")?;
    let path = directory.path().join("nothing.raw");
    std::fs::write(&path, vec![0u8; 1 << 20]).context("writing an image")?;
    Ok(ImageFile {
        path,
        _made: Some(directory),
    })
}

async fn upload(stock: Option<&Stock>, client: &Client, file: &Path) -> anyhow::Result<()> {
    let format = if file.extension().is_some_and(|e| e == "qcow2") {
        "qcow2"
    } else {
        "raw"
    };
    if let Some(stock) = stock {
        let file = file.to_str().context("the image's path is not UTF-8")?;
        let words = [
            "image",
            "create",
            "--disk-format",
            format,
            "--container-format",
            "bare",
        ];
        stock
            .run(&[&words[..], &["--file", file, IMAGE]].concat())
            .await?;
        return Ok(());
    }
    let body = json!({"name": IMAGE, "disk_format": format, "container_format": "bare"});
    let image = client.post(Target::Image, "/images", body).await?;
    client
        .upload(image["id"].as_str().unwrap_or_default(), file)
        .await
}

async fn create(stock: Option<&Stock>, client: &Client, count: u16) -> anyhow::Result<()> {
    let number = count.to_string();
    if let Some(stock) = stock {
        let words = [
            "server", "create", "--image", IMAGE, "--flavor", FLAVOR, "--nic", "auto",
        ];
        stock
            .run(&[&words[..], &["--min", &number, "--max", &number, "demo"]].concat())
            .await?;
        return Ok(());
    }
    let images = client
        .get(Target::Image, &format!("/images?name={IMAGE}"))
        .await?;
    let flavors = client.get(Target::Compute, "/flavors").await?;
    let flavors = flavors["flavors"].as_array().cloned().unwrap_or_default();
    let flavor = flavors.iter().find(|flavor| flavor["name"] == FLAVOR);
    let flavor = flavor.with_context(|| format!("there is no flavor {FLAVOR}"))?;
    let body = json!({"server": {
        "name": "demo", "imageRef": images["images"][0]["id"], "flavorRef": flavor["id"],
        "networks": "auto", "min_count": count, "max_count": count,
    }});
    client.post(Target::Compute, "/servers", body).await?;
    Ok(())
}

/// The servers of the demo's project.
async fn servers(client: &Client) -> anyhow::Result<Vec<Value>> {
    let body = client.get(Target::Compute, "/servers/detail").await?;
    Ok(body["servers"].as_array().cloned().unwrap_or_default())
}

async fn until_status(
    client: &Client,
    status: &str,
    count: u16,
    limit: Duration,
) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let servers = servers(client).await?;
        if let Some(failed) = servers.iter().find(|server| server["status"] == "ERROR") {
            bail!(
                "server {} failed: {}",
                failed["name"],
                failed["fault"]["message"]
            );
        }
        let there = servers
            .iter()
            .filter(|server| server["status"] == status)
            .count();
        if there >= usize::from(count) {
            return Ok(());
        }
        if started.elapsed() > limit {
            bail!(
                "{there} of {count} servers are {status} after {}",
                shown(limit)
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn until_user_space(client: &Client, limit: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    for server in servers(client).await? {
        let id = server["id"].as_str().unwrap_or_default().to_owned();
        while !console(client, &id).await?.contains(UP) {
            if started.elapsed() > limit {
                let log = console(client, &id).await?;
                bail!(
                    "server {id} did not reach user space in {}:\n{log}",
                    shown(limit)
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

async fn console(client: &Client, id: &str) -> anyhow::Result<String> {
    let body = json!({"os-getConsoleOutput": {"length": 40}});
    let answer = client
        .post(Target::Compute, &format!("/servers/{id}/action"), body)
        .await?;
    Ok(answer["output"].as_str().unwrap_or_default().to_owned())
}

/// Shows the end of each console, by the stock client where there is one.
async fn consoles(
    stock: Option<&Stock>,
    client: &Client,
    driver: DriverKind,
    tell: fn(&str),
) -> anyhow::Result<()> {
    for server in servers(client).await? {
        let id = server["id"].as_str().unwrap_or_default();
        let log = match stock {
            Some(stock) => {
                stock
                    .run(&["console", "log", "show", "--lines", "12", id])
                    .await?
            }
            None => console(client, id).await?,
        };
        tell(&format!(
            "--- console of {} ---",
            server["name"].as_str().unwrap_or(id)
        ));
        let log = printable(&log);
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let from = lines.len().saturating_sub(8);
        tell(&lines[from..].join("\n"));
        if driver == DriverKind::Qemu && !log.contains(UP) {
            bail!("the console of {id} does not show that user space is up");
        }
    }
    Ok(())
}

async fn list(stock: Option<&Stock>, client: &Client) -> anyhow::Result<String> {
    if let Some(stock) = stock {
        return stock.run(&["server", "list"]).await;
    }
    let rows = servers(client).await?.into_iter().map(|server| {
        let text = |name: &str| server[name].as_str().unwrap_or_default().to_owned();
        format!("{}  {:<10}  {}", text("id"), text("status"), text("name"))
    });
    Ok(rows.collect::<Vec<_>>().join("\n"))
}

async fn ids(client: &Client) -> anyhow::Result<Vec<String>> {
    let servers = servers(client).await?;
    Ok(servers
        .iter()
        .filter_map(|s| s["id"].as_str().map(str::to_owned))
        .collect())
}

async fn stop(
    stock: Option<&Stock>,
    client: &Client,
    count: u16,
    limit: Duration,
) -> anyhow::Result<()> {
    let ids = ids(client).await?;
    if let Some(stock) = stock {
        let words: Vec<&str> = ids.iter().map(String::as_str).collect();
        stock
            .run(&[&["server", "stop"], &words[..]].concat())
            .await?;
    } else {
        for id in &ids {
            let path = format!("/servers/{id}/action");
            client
                .post(Target::Compute, &path, json!({"os-stop": null}))
                .await?;
        }
    }
    until_status(client, "SHUTOFF", count, limit).await
}

async fn delete(stock: Option<&Stock>, client: &Client, limit: Duration) -> anyhow::Result<()> {
    let ids = ids(client).await?;
    if let Some(stock) = stock {
        let words: Vec<&str> = ids.iter().map(String::as_str).collect();
        stock
            .run(&[&["server", "delete", "--wait"], &words[..]].concat())
            .await?;
        stock.run(&["image", "delete", IMAGE]).await?;
    } else {
        for id in &ids {
            client
                .delete(Target::Compute, &format!("/servers/{id}"))
                .await?;
        }
    }
    let started = Instant::now();
    while !servers(client).await?.is_empty() {
        if started.elapsed() > limit {
            bail!(
                "servers are still there {} after they were deleted",
                shown(limit)
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Leaves the cloud to the person until they interrupt it.
async fn keep(cloud: &Cloud, tell: fn(&str)) -> anyhow::Result<()> {
    tell(&cloud.welcome());
    say("The cloud goes on running; Ctrl-C ends it.");
    crate::signals::interrupted().await
}

fn summary(facts: &Value, steps: &Steps) -> String {
    let what = match (facts["driver"].as_str(), facts["accelerator"].as_str()) {
        (Some("qemu"), Some(accel)) => format!("real guests under QEMU, accelerator {accel}"),
        _ => "the FAKE driver: nothing really booted".to_owned(),
    };
    let client = match facts["stock_client"].as_str() {
        Some(_) => "the stock openstack client",
        None => "a client of our own (no stock client was found)",
    };
    let mut text = format!(
        "\nDone with {what}, asked by {client}.\n\n{}",
        steps.table()
    );
    if let Some(secs) = facts["create_to_user_space_seconds"].as_f64() {
        let servers = &facts["servers"];
        let line = format!("\n  {secs:.1} s from `server create` to user space of all {servers}.");
        text.push_str(&line);
    }
    text
}
