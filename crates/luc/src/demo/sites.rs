//! The second half of the demo: four sites with the round trips of Grenoble, Luxembourg, Nancy and
//! Rennes are one cloud. Created anywhere, listed everywhere; one is cut off, both sides go on;
//! healed, everything is everywhere. Nothing boots here: the machines are the fake driver's.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Client, Target};
use crate::cloud::Kept;
use crate::many::{Cloud, PUBLISHED, Plan};
use crate::steps::{Steps, say, shown};

/// How long anything may take to be seen.
const LIMIT: Duration = Duration::from_secs(60);

/// The site that is cut off.
const CUT: &str = PUBLISHED[3];

/// Shows it, and says what was measured.
pub(super) async fn show(steps: &mut Steps) -> anyhow::Result<Value> {
    let kept = Kept::at(None)?;
    let plan = Plan::fake(&PUBLISHED, 2, kept.path());
    say("\nNow four sites, with the round trips between Grenoble, Luxembourg, Nancy and Rennes.");
    let started = steps.run(
        "start four sites; three join by ticket",
        Cloud::start(&plan),
    );
    let cloud = started.await?;
    let told = tell(&cloud, steps).await;
    steps.run("stop the four sites", cloud.stop()).await?;
    told
}

async fn tell(cloud: &Cloud, steps: &mut Steps) -> anyhow::Result<Value> {
    let mut clients = Vec::new();
    for site in &cloud.sites {
        clients.push(Client::login(&site.access).await?);
    }
    let image = image(&clients[0]).await?;
    let name = "create a server at each site, asked there";
    let accepted = steps.run(name, create_everywhere(&clients, &image)).await?;
    let listed = steps.run("list all four at every site", listed(&clients, 4));
    listed.await?;
    let name = format!("cut {CUT} off, until both sides know");
    steps.run(&name, cut(cloud)).await?;
    let (inside, outside) = (&clients[3], &clients[0]);
    let both = async {
        create(inside, "inside", &image, CUT).await?;
        create(outside, "outside", &image, PUBLISHED[1]).await?;
        active(inside, "inside").await?;
        active(outside, "outside").await
    };
    steps
        .run("create and start servers on both sides", both)
        .await?;
    let refusal = refused(inside).await?;
    say(&format!(
        "        {CUT} must ask {}: {refusal}",
        PUBLISHED[0]
    ));
    cloud.heal();
    let healed = Instant::now();
    let name = "heal, until every site lists all six";
    steps.run(name, self::listed(&clients, 6)).await?;
    Ok(json!({
        "sites": PUBLISHED,
        "accepted_ms": accepted.as_secs_f64() * 1e3,
        "converged_after_heal_ms": healed.elapsed().as_secs_f64() * 1e3,
        "refusal": refusal,
    }))
}

/// Creates a server at each site; the longest wait until one was accepted.
async fn create_everywhere(clients: &[Client], image: &str) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    for (client, site) in clients.iter().zip(PUBLISHED) {
        let asked = Instant::now();
        create(client, &format!("in-{site}"), image, site).await?;
        longest = longest.max(asked.elapsed());
    }
    Ok(longest)
}

async fn create(client: &Client, name: &str, image: &str, zone: &str) -> anyhow::Result<()> {
    let flavors = client.get(Target::Compute, "/flavors").await?;
    let flavor = flavors["flavors"][0]["id"].clone();
    let server = json!({"name": name, "imageRef": image, "flavorRef": flavor, "networks": "none",
        "availability_zone": zone});
    client
        .post(Target::Compute, "/servers", json!({ "server": server }))
        .await
        .map(drop)
}

async fn image(client: &Client) -> anyhow::Result<String> {
    let body = json!({"name": "empty", "disk_format": "raw", "container_format": "bare",
        "visibility": "public"});
    let made = client.post(Target::Image, "/images", body).await?;
    let id = made["id"].as_str().context("an image has an id")?;
    let file = tempfile::NamedTempFile::new().context("creating a file")?;
    std::fs::write(file.path(), [0u8; 1024]).context("writing a file")?;
    client.upload(id, file.path()).await?;
    Ok(id.to_owned())
}

async fn until(
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while !look().await? {
        if started.elapsed() > LIMIT {
            bail!("not within {}: {what}", shown(LIMIT));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn servers(client: &Client) -> anyhow::Result<Vec<Value>> {
    let answer = client.get(Target::Compute, "/servers/detail").await?;
    Ok(answer["servers"].as_array().cloned().unwrap_or_default())
}

/// Waits until every site lists `count` servers, all of them running.
async fn listed(clients: &[Client], count: usize) -> anyhow::Result<()> {
    for client in clients {
        until("all servers at every site", async || {
            let servers = servers(client).await?;
            let running = servers.iter().filter(|server| server["status"] == "ACTIVE");
            Ok(running.count() == count)
        })
        .await?;
    }
    Ok(())
}

async fn active(client: &Client, name: &str) -> anyhow::Result<()> {
    until(&format!("{name} runs"), async || {
        let servers = servers(client).await?;
        let found = servers.iter().find(|server| server["name"] == name);
        Ok(found.is_some_and(|server| server["status"] == "ACTIVE"))
    })
    .await
}

async fn cut(cloud: &Cloud) -> anyhow::Result<()> {
    cloud.split(CUT)?;
    for name in [PUBLISHED[0], CUT] {
        let site = cloud.site(name)?;
        until("the cut is noticed", async || Ok(!cloud.sees_all(site))).await?;
    }
    Ok(())
}

/// What the cut-off site says about a write that the founder must do.
async fn refused(client: &Client) -> anyhow::Result<String> {
    let user = json!({"name": "ada", "domain_id": "default", "password": "a long secret"});
    let body = Some(json!({ "user": user }));
    let answer = client
        .ask(Method::POST, Target::Identity, "/users", body)
        .await?;
    if answer.status != StatusCode::SERVICE_UNAVAILABLE {
        bail!("a write for the other side was answered {}", answer.status);
    }
    let message = answer.body["error"]["message"].as_str();
    Ok(format!("{} {}", answer.status, message.unwrap_or_default()))
}
