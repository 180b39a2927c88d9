//! Brains in whole clouds: an overload, from the demand of guests to the words of
//! `luc dvms explain`; brains of several sites, asked together; and a node that fails, missed
//! before its heartbeats are.

mod failure;
mod overload;
mod sites;

use std::path::Path;
use std::time::{Duration, Instant};

use luc::client::{Client, Target};
use reqwest::Method;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < limit, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What brains of the site say.
async fn brains(client: &Client, all: bool) -> Value {
    let path = format!("/luc/v1/dvms?all={all}");
    let answer = client.ask_node(Method::GET, &path, None).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Servers that ask for a fourth of a host's 64 processors each, all on `host`.
async fn crowd(client: &Client, zone: &str, host: &str, count: usize) {
    let project = client.project();
    let unlimited = json!({"quota_set": {"cores": -1, "ram": -1, "instances": -1}});
    let path = format!("/os-quota-sets/{project}");
    let set = client
        .ask(Method::PUT, Target::Compute, &path, Some(unlimited))
        .await;
    assert_eq!(set.expect("an answer").status, 200);
    let flavor = json!({"flavor": {"name": "quarter", "vcpus": 16, "ram": 512, "disk": 1}});
    let made = client.post(Target::Compute, "/flavors", flavor).await;
    let flavor = made.expect("a flavor")["flavor"]["id"].clone();
    let image = json!({"name": "empty", "disk_format": "raw", "container_format": "bare"});
    let made = client.post(Target::Image, "/images", image).await;
    let image = made.expect("an image")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), [0u8; 1024]).expect("it is written");
    client.upload(&image, file.path()).await.expect("uploaded");
    for number in 1..=count {
        let body = json!({"server": {"name": format!("busy-{number}"), "imageRef": image,
            "flavorRef": flavor, "networks": "none", "metadata": {"luc:load": "16"},
            "availability_zone": format!("{zone}:{host}")}});
        client
            .post(Target::Compute, "/servers", body)
            .await
            .expect("a server is made");
    }
    until("all of them run", LIMIT, async || {
        let hosts = hosts(client).await;
        let running = hosts.iter().filter(|(_, at)| at == host).count();
        (running == count).then_some(())
    })
    .await;
}

/// Name and host of every active server.
async fn hosts(client: &Client) -> Vec<(String, String)> {
    let answer = client.get(Target::Compute, "/servers/detail").await;
    let answer = answer.expect("servers are listed");
    let servers = answer["servers"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut hosts: Vec<_> = servers
        .iter()
        .filter(|server| server["status"] == "ACTIVE")
        .map(|server| (text(&server["name"]), text(&server["OS-EXT-SRV-ATTR:host"])))
        .collect();
    hosts.sort();
    hosts
}

/// The partitions with a plan that `luc dvms explain` tells of.
async fn plans(clouds_yaml: &Path, cloud: &str) -> Vec<Value> {
    let (done, text) = luc(clouds_yaml, cloud, &["dvms", "explain", "--json"]).await;
    assert!(done, "{text}");
    let told: Value = serde_json::from_str(&text).expect("JSON");
    let mut partitions = told["partitions"].as_array().expect("a list").clone();
    partitions.retain(|told| {
        told["moves"]
            .as_array()
            .is_some_and(|moves| !moves.is_empty())
    });
    partitions
}

/// What the program prints, and whether it succeeded.
async fn luc(clouds_yaml: &Path, cloud: &str, arguments: &[&str]) -> (bool, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_luc"))
        .args(arguments)
        .env_remove("LUC_LOG")
        .env("OS_CLIENT_CONFIG_FILE", clouds_yaml)
        .env("OS_CLOUD", cloud)
        .output()
        .await
        .expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.success(), text)
}
