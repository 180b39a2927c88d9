//! An overload in a site of three hosts, from the demand of its guests to the words of
//! `luc dvms explain`; and a node that fails, seen by the others before its heartbeats are missed.

use std::path::Path;
use std::time::{Duration, Instant};

use luc::client::{Client, Target};
use luc::config::DriverKind;
use luc::up::{Cloud, Plan};
use reqwest::Method;
use serde_json::{Value, json};

/// How long an overload may last before there is a plan.
const PLANNED: Duration = Duration::from_secs(15);
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

async fn start(directory: &Path) -> (Cloud, Client) {
    let cloud = Cloud::start(Plan {
        site: "nancy".to_owned(),
        nodes: 3,
        driver: DriverKind::Fake,
        accel: "auto".to_owned(),
        listen: "127.0.0.1:0".parse().expect("an address"),
        data_dir: directory.to_owned(),
    })
    .await
    .expect("the cloud starts");
    let client = Client::login(cloud.access()).await.expect("admin logs in");
    (cloud, client)
}

/// What brains of the site say.
async fn brains(client: &Client) -> Value {
    let answer = client.ask_node(Method::GET, "/luc/v1/dvms", None).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Servers that ask for a fourth of a host's 64 processors each, all on `host`.
async fn crowd(client: &Client, host: &str, count: usize) {
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
            "availability_zone": format!("nancy:{host}")}});
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

/// What the program prints, and whether it succeeded.
async fn luc(cloud: &Cloud, arguments: &[&str]) -> (bool, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_luc"))
        .args(arguments)
        .env_remove("LUC_LOG")
        .env("OS_CLIENT_CONFIG_FILE", cloud.clouds_yaml())
        .env("OS_CLOUD", "luc")
        .output()
        .await
        .expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.success(), text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overload_is_explained_within_seconds_and_nothing_is_moved() {
    let directory = tempfile::tempdir().expect("room for data");
    let (cloud, client) = start(directory.path()).await;
    until("the three brains see each other", LIMIT, async || {
        let view = brains(&client).await;
        let nodes = view["nodes"].as_array()?;
        let sees = |node: &Value| node["status"]["members"].as_array().map(Vec::len);
        (nodes.len() == 3 && nodes.iter().all(|node| sees(node) == Some(2))).then_some(())
    })
    .await;
    crowd(&client, "node-1", 5).await;
    let before = hosts(&client).await;

    let story = until("a plan", PLANNED, async || {
        let (done, text) = luc(&cloud, &["dvms", "explain", "--json"]).await;
        assert!(done, "{text}");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        let partitions = told["partitions"].as_array()?.clone();
        partitions.into_iter().find(|told| {
            told["moves"]
                .as_array()
                .is_some_and(|moves| !moves.is_empty())
        })
    })
    .await;
    assert_eq!(
        (&story["leader"], &story["cause"]),
        (&json!("node-1"), &json!("overload"))
    );
    assert_eq!(story["dry_run"], json!(true));
    let one = &story["moves"][0];
    assert_eq!(one["from"], "node-1");
    assert_ne!(one["to"], "node-1");
    let name = one["name"].as_str().expect("the store knows the server");
    assert!(name.starts_with("busy-"), "{name}");
    assert!(
        one["why"]
            .as_str()
            .is_some_and(|why| why.contains("80.0 cores and has 64.0")),
        "{one}"
    );

    // The same in words, for one server.
    let (done, text) = luc(&cloud, &["dvms", "explain", name]).await;
    assert!(done, "{text}");
    for part in [
        "led partition",
        name,
        "node-1 to node-",
        "nothing was moved",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    let (done, text) = luc(&cloud, &["dvms", "explain", "nobody"]).await;
    assert!(!done && text.contains("'nobody'"), "{text}");
    let (done, text) = luc(&cloud, &["dvms", "status"]).await;
    assert!(done && text.contains("80.0 of 64.0"), "{text}");

    // Long after the plan, everything is where it was.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(hosts(&client).await, before);
    cloud.stop().await.expect("everything stops");
}
