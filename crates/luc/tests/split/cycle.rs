//! What a client does over and over: the life of an image, a group, a server, an aggregate, and
//! every reading that the table of endpoints knows.

use luc_api::{Service, Verb, endpoint};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::rows;
use crate::worker::Worker;

use Service::{Compute, Identity, Image};
use Verb::{Delete, Patch, Post, Put};

const SERVER: &str = "/servers/{server_id}";
const ACTION: &str = "/servers/{server_id}/action";
const AGGREGATE: &str = "/os-aggregates/{aggregate_id}/action";

/// How many servers of a client stay. Two hosts have room for some six hundred.
const STAY_MAX: usize = 200;

/// One round of everything that is the site's own business.
pub(crate) async fn round(worker: &mut Worker) {
    service(worker).await;
    let Some(()) = image(worker).await else {
        return;
    };
    let Some(()) = server(worker).await else {
        return;
    };
    read_everything(worker).await;
    aggregate(worker).await;
    token(worker).await;
    end(worker).await;
}

/// Keeps the id that an answer brings under the name of its path parameter.
fn keep(
    worker: &mut Worker,
    parameter: &'static str,
    collection: &'static str,
    answer: &Value,
) -> Option<()> {
    let id = &answer["id"];
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    if id == "null" {
        worker.fail(format!("an answer of {collection} brings no id: {answer}"));
        return None;
    }
    worker.ledger.kept.insert((collection, id.clone()));
    worker.parameters.insert(parameter, id);
    Some(())
}

fn gone(worker: &mut Worker, parameter: &'static str, collection: &'static str) {
    if let Some(id) = worker.parameters.remove(parameter) {
        worker.ledger.kept.remove(&(collection, id.clone()));
        worker.ledger.deleted.insert((collection, id));
    }
}

async fn image(worker: &mut Worker) -> Option<()> {
    let name = worker.fresh("image");
    let body = json!({"name": name, "disk_format": "raw", "container_format": "bare",
        "visibility": "shared"});
    let made = worker.ask(Image, Post, "/images", Some(body)).await?;
    keep(worker, "image_id", "/images", &made)?;
    upload(worker).await;
    // JSON Patch needs a media type of its own, which the small client does not speak.
    worker.parameters.insert("tag", "blue".to_owned());
    let tag = "/images/{image_id}/tags/{tag}";
    worker.ask(Image, Put, tag, None).await;
    worker.ask(Image, Delete, tag, None).await;
    let project = worker.parameters.get("project_id")?.clone();
    worker.parameters.insert("member_id", project.clone());
    let body = json!({"member": project});
    worker
        .ask(Image, Post, "/images/{image_id}/members", Some(body))
        .await;
    let member = "/images/{image_id}/members/{member_id}";
    worker
        .ask(Image, Put, member, Some(json!({"status": "accepted"})))
        .await;
    worker.ask(Image, Delete, member, None).await;
    worker
        .ask(Image, Post, "/images/{image_id}/actions/deactivate", None)
        .await;
    worker
        .ask(Image, Post, "/images/{image_id}/actions/reactivate", None)
        .await;
    patch(worker).await;
    Some(())
}

async fn upload(worker: &mut Worker) {
    let made = tempfile::NamedTempFile::new().expect("room for an image");
    std::fs::write(made.path(), vec![7u8; 4096]).expect("the image is written");
    let id = worker
        .parameters
        .get("image_id")
        .cloned()
        .unwrap_or_default();
    match worker.client().upload(&id, made.path()).await {
        Ok(()) => {
            let row = rows::row(Image, Put, "/images/{image_id}/file", None);
            worker.done.insert(rows::named(row));
        }
        Err(error) => worker.fail(format!("upload: {error:#}")),
    }
}

async fn patch(worker: &mut Worker) {
    let patch = json!([{"op": "replace", "path": "/min_ram", "value": 1}]);
    let one = worker.filled("/images/{image_id}").unwrap_or_default();
    match worker.client().patch_image(&one, &patch).await {
        Ok(answer) if answer.status.is_success() => {
            let row = rows::row(Image, Patch, "/images/{image_id}", None);
            worker.done.insert(rows::named(row));
        }
        Ok(answer) => worker.fail(format!("PATCH {one}: {} {}", answer.status, answer.body)),
        Err(error) => worker.fail(format!("PATCH {one}: {error:#}")),
    }
}

async fn flavor(worker: &mut Worker, name: &str) -> Option<String> {
    let flavors = worker.ask(Compute, Verb::Get, "/flavors", None).await?;
    let flavors = flavors["flavors"].as_array()?.clone();
    let found = flavors.iter().find(|flavor| flavor["name"] == name)?;
    Some(found["id"].as_str()?.to_owned())
}

async fn server(worker: &mut Worker) -> Option<()> {
    let name = worker.fresh("group");
    let body = json!({"server_group": {"name": name, "policy": "soft-anti-affinity"}});
    let made = worker
        .ask(Compute, Post, "/os-server-groups", Some(body))
        .await?;
    keep(
        worker,
        "server_group_id",
        "/os-server-groups",
        &made["server_group"],
    )?;
    let tiny = flavor(worker, "m1.tiny").await?;
    let small = flavor(worker, "m1.small").await?;
    worker.parameters.insert("flavor_id", tiny.clone());
    let image = worker.parameters.get("image_id")?.clone();
    let group = worker.parameters.get("server_group_id")?.clone();
    let name = worker.fresh("server");
    let body = json!({
        "server": {"name": name, "imageRef": image, "flavorRef": tiny, "networks": "none",
            "metadata": {"made": "during"}},
        "os:scheduler_hints": {"group": group},
    });
    let made = worker.ask(Compute, Post, "/servers", Some(body)).await?;
    keep(worker, "server_id", "/servers", &made["server"])?;
    worker.settled("ACTIVE").await;
    let body = json!({"server": {"description": "still here"}});
    worker.ask(Compute, Put, SERVER, Some(body)).await;
    details(worker).await;
    for (action, status) in [
        (json!({"os-stop": null}), "SHUTOFF"),
        (json!({"os-start": null}), "ACTIVE"),
        (json!({"reboot": {"type": "SOFT"}}), "ACTIVE"),
        (json!({"pause": null}), "PAUSED"),
        (json!({"unpause": null}), "ACTIVE"),
        (json!({"suspend": null}), "SUSPENDED"),
        (json!({"resume": null}), "ACTIVE"),
        (json!({"lock": null}), "ACTIVE"),
        (json!({"unlock": null}), "ACTIVE"),
        (json!({"os-getConsoleOutput": {"length": 5}}), "ACTIVE"),
        (json!({"resize": {"flavorRef": small}}), "VERIFY_RESIZE"),
        (json!({"revertResize": null}), "ACTIVE"),
        (json!({"resize": {"flavorRef": small}}), "VERIFY_RESIZE"),
        (json!({"confirmResize": null}), "ACTIVE"),
        (json!({"rebuild": {"imageRef": image}}), "ACTIVE"),
        (json!({"os-resetState": {"state": "active"}}), "ACTIVE"),
    ] {
        worker.ask(Compute, Post, ACTION, Some(action)).await?;
        worker.settled(status).await;
    }
    Some(())
}

async fn details(worker: &mut Worker) {
    worker.parameters.insert("key", "colour".to_owned());
    let metadata = "/servers/{server_id}/metadata";
    let item = "/servers/{server_id}/metadata/{key}";
    worker
        .ask(
            Compute,
            Post,
            metadata,
            Some(json!({"metadata": {"a": "b"}})),
        )
        .await;
    worker
        .ask(Compute, Put, item, Some(json!({"meta": {"colour": "red"}})))
        .await;
    worker.ask(Compute, Delete, item, None).await;
    worker
        .ask(
            Compute,
            Put,
            metadata,
            Some(json!({"metadata": {"colour": "blue"}})),
        )
        .await;
    worker.parameters.insert("tag", "blue".to_owned());
    let tags = "/servers/{server_id}/tags";
    let tag = "/servers/{server_id}/tags/{tag}";
    worker.ask(Compute, Put, tag, None).await;
    worker.ask(Compute, Delete, tag, None).await;
    worker
        .ask(Compute, Put, tags, Some(json!({"tags": ["blue"]})))
        .await;
    worker.ask(Compute, Delete, tags, None).await;
    worker.ask(Compute, Put, tag, None).await;
    worker
        .ask(
            Compute,
            Delete,
            "/servers/{server_id}/os-server-password",
            None,
        )
        .await;
}

/// Asks every reading of the table whose parameters are known.
async fn read_everything(worker: &mut Worker) {
    // What these named is gone again.
    for gone in ["tag", "key", "member_id"] {
        worker.parameters.remove(gone);
    }
    let reads = endpoint::all().filter(|row| rows::is_asked(row) && row.verb == Verb::Get);
    for row in reads {
        // A token is read by a header of its own, data are no JSON, a public flavor has no list.
        let left_out = [
            "/auth/tokens",
            "/images/{image_id}/file",
            "/flavors/{flavor_id}/os-flavor-access",
        ]
        .contains(&row.path);
        if !left_out && worker.filled(row.path).is_some() {
            worker.ask(row.service(), row.verb, row.path, None).await;
        }
    }
}

async fn aggregate(worker: &mut Worker) -> Option<()> {
    let name = worker.fresh("aggregate");
    let body = json!({"aggregate": {"name": name}});
    let made = worker
        .ask(Compute, Post, "/os-aggregates", Some(body))
        .await?;
    keep(worker, "aggregate_id", "/os-aggregates", &made["aggregate"])?;
    let one = "/os-aggregates/{aggregate_id}";
    let name = worker.fresh("aggregate");
    worker
        .ask(
            Compute,
            Put,
            one,
            Some(json!({"aggregate": {"name": name}})),
        )
        .await;
    let host = worker.hosts.first()?.clone();
    for action in [
        json!({"add_host": {"host": host}}),
        json!({"set_metadata": {"metadata": {"ssd": "true"}}}),
        json!({"remove_host": {"host": host}}),
    ] {
        worker.ask(Compute, Post, AGGREGATE, Some(action)).await;
    }
    worker.ask(Compute, Delete, one, None).await;
    gone(worker, "aggregate_id", "/os-aggregates");
    Some(())
}

/// Disables, enables and forgets the compute service of a host without servers; the host's next
/// sign of life brings it back. Where all have servers by now each says so, and the last is freed.
async fn service(worker: &mut Worker) -> Option<()> {
    if !worker.keeps_hosts && !services(worker).await? {
        let host = worker.hosts.last()?.clone();
        free(worker, &host).await?;
        services(worker).await?;
    }
    Some(())
}

/// Deletes what this client has made and left on a host, and waits until it is gone.
async fn free(worker: &mut Worker, host: &str) -> Option<()> {
    let is_there = |server: &&Value| server["OS-EXT-SRV-ATTR:host"] == host;
    let all = worker
        .ask(Compute, Verb::Get, "/servers/detail", None)
        .await?;
    let there = all["servers"].as_array()?.iter().filter(is_there);
    let ids = there.filter_map(|server| server["id"].as_str());
    let kept = |id: &&str| worker.ledger.kept.contains(&("/servers", (*id).to_owned()));
    let ids: Vec<String> = ids.filter(kept).map(str::to_owned).collect();
    for id in &ids {
        worker.parameters.insert("server_id", id.clone());
        worker.ask(Compute, Delete, SERVER, None).await?;
        gone(worker, "server_id", "/servers");
    }
    for _ in 0..100 {
        let all = worker
            .ask(Compute, Verb::Get, "/servers/detail", None)
            .await?;
        let left = all["servers"].as_array()?.iter();
        let mut left = left.filter_map(|server| server["id"].as_str());
        if !left.any(|id| ids.iter().any(|gone| gone == id)) {
            return Some(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    worker.fail(format!("the servers of {host} do not go"));
    None
}

/// The same for a host without servers; whether there was one, or one has not come back yet and
/// the other is needed.
async fn services(worker: &mut Worker) -> Option<bool> {
    let services = worker.ask(Compute, Verb::Get, "/os-services", None).await?;
    let services = services["services"].as_array()?.clone();
    let is_up = |host: &&String| {
        let mut up = services.iter().filter(|it| it["state"] == "up");
        up.any(|it| it["host"] == host.as_str())
    };
    if worker.hosts.iter().filter(is_up).count() < worker.hosts.len() {
        return Some(true);
    }
    let one = "/os-services/{service_id}";
    for host in worker.hosts.clone().iter().rev() {
        let mut of_host = services.iter().filter(|it| it["host"] == host.as_str());
        let Some(id) = of_host.find_map(|it| it["id"].as_str()) else {
            continue;
        };
        worker.parameters.insert("service_id", id.to_owned());
        for status in ["disabled", "enabled"] {
            let body = json!({"status": status});
            worker.ask(Compute, Put, one, Some(body)).await;
        }
        if worker.forget_host(one).await {
            worker.parameters.remove("service_id");
            return Some(true);
        }
    }
    // Two services have a parameter of this name.
    worker.parameters.remove("service_id");
    Some(false)
}

async fn token(worker: &mut Worker) {
    match worker.client().issue_and_revoke().await {
        Ok(()) => {
            for verb in [Post, Delete] {
                let row = rows::row(Identity, verb, "/auth/tokens", None);
                worker.done.insert(rows::named(row));
            }
        }
        Err(error) => worker.fail(format!("issuing and revoking a token: {error:#}")),
    }
}

async fn end(worker: &mut Worker) {
    worker
        .ask(Compute, Post, ACTION, Some(json!({"forceDelete": null})))
        .await;
    gone(worker, "server_id", "/servers");
    let (image, tiny) = (
        worker
            .parameters
            .get("image_id")
            .cloned()
            .unwrap_or_default(),
        worker
            .parameters
            .get("flavor_id")
            .cloned()
            .unwrap_or_default(),
    );
    // One server of each round stays as long as hosts have room, one is deleted in the plain way.
    for stays in [false, true] {
        let name = worker.fresh("server");
        let body = json!({"server": {"name": name, "imageRef": image, "flavorRef": tiny,
            "networks": "none"}});
        let Some(made) = worker.ask(Compute, Post, "/servers", Some(body)).await else {
            return;
        };
        if keep(worker, "server_id", "/servers", &made["server"]).is_none() {
            return;
        }
        worker.settled("ACTIVE").await;
        let kept = worker.ledger.kept.iter();
        let kept = kept.filter(|(collection, _)| *collection == "/servers");
        if !stays || kept.count() > STAY_MAX {
            worker.ask(Compute, Delete, SERVER, None).await;
            gone(worker, "server_id", "/servers");
        }
    }
    worker.parameters.remove("server_id");
    worker
        .ask(Compute, Delete, "/os-server-groups/{server_group_id}", None)
        .await;
    gone(worker, "server_group_id", "/os-server-groups");
    worker.ask(Image, Delete, "/images/{image_id}", None).await;
    gone(worker, "image_id", "/images");
    worker.parameters.remove("flavor_id");
}

/// A site of the other side.
#[derive(Clone, Debug)]
pub(crate) struct Beyond {
    /// Its name.
    pub(crate) site: String,
    /// Whether people of the `default` domain are its own.
    pub(crate) is_founder: bool,
    /// A server that it has.
    pub(crate) server: String,
}

impl Beyond {
    /// The site of `worker`, which has made and kept a server there.
    pub(crate) fn at(lab: &Lab, worker: &Worker) -> Self {
        let mut kept = worker.ledger.kept.iter();
        let server = kept.find(|(of, _)| *of == "/servers");
        let (_, server) = server.expect("a round leaves a server");
        Self {
            site: lab.name(worker.index).to_owned(),
            is_founder: worker.index == 0,
            server: server.clone(),
        }
    }
}

/// What the other side decides: refused, and the refusal says whose it is.
pub(crate) async fn refused(worker: &mut Worker, beyond: &Beyond) {
    let site = &beyond.site;
    let server = format!("/servers/{}", beyond.server);
    worker
        .expect_refusal(Compute, Delete, &server, None, site)
        .await;
    let (action, body) = (format!("{server}/action"), json!({"lock": null}));
    worker
        .expect_refusal(Compute, Post, &action, Some(body), site)
        .await;
    if !beyond.is_founder {
        return;
    }
    let name = worker.fresh("user");
    let body = json!({"user": {"name": name, "password": "correct horse battery"}});
    worker
        .expect_refusal(Identity, Post, "/users", Some(body), site)
        .await;
    let body = json!({"keypair": {"name": worker.fresh("key")}});
    worker
        .expect_refusal(Compute, Post, "/os-keypairs", Some(body), site)
        .await;
}

/// Calls the server of the other side `name`, while nobody can hear whether that was done.
pub(crate) async fn rename_in_doubt(worker: &mut Worker, beyond: &Beyond, name: &'static str) {
    worker.parameters.insert("server_id", beyond.server.clone());
    let body = json!({"server": {"name": name}});
    worker
        .expect_unknown(Compute, Put, SERVER, Some(body), &beyond.site)
        .await;
}
