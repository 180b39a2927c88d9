//! Brains in whole clouds: an overload, from the demand of guests to the words of
//! `luc dvms explain`; rules that plans keep; brains of several sites, asked together; a node that
//! fails, missed before its heartbeats are; and what was to be built there.

mod failure;
mod hints;
mod overload;
mod retry;
mod rules;
mod sites;

use std::path::Path;
use std::time::{Duration, Instant};

use luc::client::{Client, Target};
use luc::config::DriverKind;
use luc::up::{Cloud, Plan};
use reqwest::Method;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
/// How long an overload may last before there is a plan.
const PLANNED: Duration = Duration::from_secs(15);

/// A site of so many hosts with the fake driver.
async fn start(directory: &Path, nodes: u16) -> (Cloud, Client) {
    let cloud = Cloud::start(Plan {
        site: "nancy".to_owned(),
        nodes,
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

/// Waits until so many brains see each other.
async fn acquainted(client: &Client, count: usize) {
    until("all brains see each other", LIMIT, async || {
        let view = brains(client, false).await;
        let nodes = view["nodes"].as_array()?;
        let sees = |node: &Value| node["status"]["members"].as_array().map(Vec::len);
        let all = nodes.iter().all(|node| sees(node) == Some(count - 1));
        (nodes.len() == count && all).then_some(())
    })
    .await;
}

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

/// What servers are made of.
struct Supplies {
    flavor: Value,
    image: Value,
}

/// No quota, a flavor of a fourth of a host's 64 processors, an image.
async fn supplies(client: &Client) -> Supplies {
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
    let image = made.expect("an image")["id"].clone();
    let id = image.as_str().expect("an id");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), [0u8; 1024]).expect("it is written");
    client.upload(id, file.path()).await.expect("uploaded");
    Supplies { flavor, image }
}

/// Makes a server that asks for all of its processors, and waits until it runs; `more` are further
/// members of the request and of its server. Returns its id.
async fn boot(client: &Client, supplies: &Supplies, name: &str, more: (Value, Value)) -> String {
    let mut body = json!({"server": {"name": name, "imageRef": supplies.image,
        "flavorRef": supplies.flavor, "networks": "none", "metadata": {"luc:load": "16"}}});
    let (of_request, of_server) = more;
    for (into, from) in [("", of_request), ("/server", of_server)] {
        let into = body.pointer_mut(into).and_then(Value::as_object_mut);
        into.expect("a map")
            .extend(from.as_object().cloned().unwrap_or_default());
    }
    let made = client.post(Target::Compute, "/servers", body).await;
    let id = made.expect("a server is made")["server"]["id"].clone();
    until(&format!("{name} runs"), LIMIT, async || {
        let mut hosts = hosts(client).await.into_iter();
        hosts.find(|(running, _)| running == name)
    })
    .await;
    id.as_str().expect("an id").to_owned()
}

/// Lets new servers go to `host` alone; to every host without one. Servers are pinned nowhere.
async fn open(client: &Client, host: Option<&str>) {
    let listed = client
        .get(Target::Compute, "/os-services?binary=nova-compute")
        .await;
    let listed = listed.expect("services are listed");
    for service in listed["services"].as_array().expect("a list") {
        let is_open = host.is_none_or(|host| service["host"] == host);
        let status = if is_open { "enabled" } else { "disabled" };
        let path = format!("/os-services/{}", service["id"].as_str().expect("an id"));
        let body = Some(json!({"status": status}));
        let set = client.ask(Method::PUT, Target::Compute, &path, body).await;
        assert_eq!(set.expect("an answer").status, 200);
    }
}

/// So many servers on `host`, each of which asks for a fourth of its processors.
async fn crowd(client: &Client, host: &str, count: usize) {
    let supplies = supplies(client).await;
    open(client, Some(host)).await;
    for number in 1..=count {
        let name = format!("busy-{number}");
        boot(client, &supplies, &name, (Value::Null, Value::Null)).await;
    }
    open(client, None).await;
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
    let mut partitions = stories(clouds_yaml, cloud, &[]).await;
    partitions.retain(|told| {
        told["moves"]
            .as_array()
            .is_some_and(|moves| !moves.is_empty())
    });
    partitions
}

/// The partitions that `luc dvms explain` tells of with these `options`.
async fn stories(clouds_yaml: &Path, cloud: &str, options: &[&str]) -> Vec<Value> {
    let arguments = [&["dvms", "explain", "--json"], options].concat();
    let (done, text) = luc(clouds_yaml, cloud, &arguments).await;
    assert!(done, "{text}");
    let told: Value = serde_json::from_str(&text).expect("JSON");
    told["partitions"].as_array().expect("a list").clone()
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
