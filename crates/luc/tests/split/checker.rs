//! Compares what clients were told with what every site shows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::future::join_all;
use luc::client::{Client, Target};
use serde_json::Value;

use crate::lab::{self, Lab};
use crate::worker::Worker;

/// The collections that are compared between sites, with the member that holds the list.
const COLLECTIONS: [(&str, &str, &str); 3] = [
    ("/servers", "/servers/detail", "servers"),
    ("/os-server-groups", "/os-server-groups", "server_groups"),
    ("/images", "/images", "images"),
];

/// The greatest page of each collection.
const PAGE: usize = 1000;

async fn list(client: &Client, path: &str, member: &str) -> Vec<Value> {
    let target = if member == "images" {
        Target::Image
    } else {
        Target::Compute
    };
    let mut all: Vec<Value> = Vec::new();
    loop {
        // Nova pages server groups by number, everything else by the last thing shown.
        let from = match all.last().and_then(|last| last["id"].as_str()) {
            None => String::new(),
            Some(_) if member == "server_groups" => format!("&offset={}", all.len()),
            Some(last) => format!("&marker={last}"),
        };
        let body = client
            .get(target, &format!("{path}?limit={PAGE}{from}"))
            .await;
        let body = body.unwrap_or_else(|error| panic!("{error:#}"));
        let page = body[member].as_array().cloned().unwrap_or_default();
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return all;
        }
    }
}

/// What one site shows of everything, with what is the asked node's own taken out.
async fn shown(client: &Client) -> BTreeMap<String, Vec<Value>> {
    let mut all = BTreeMap::new();
    for (_, path, member) in COLLECTIONS {
        let mut things = list(client, path, member).await;
        for thing in &mut things {
            if let Some(object) = thing.as_object_mut() {
                // Links name the node that was asked; flavor and image carry links of their own.
                // Whether its host lives is known at the home alone.
                let own = [
                    "links",
                    "flavor",
                    "image",
                    "self",
                    "file",
                    "schema",
                    "host_status",
                ];
                for own in own {
                    object.remove(own);
                }
            }
        }
        things.sort_by_key(|thing| thing["id"].as_str().map(str::to_owned));
        all.insert(path.to_owned(), things);
    }
    all
}

/// A client at each site.
pub(crate) async fn clients(lab: &Lab) -> Vec<Client> {
    let mut clients = Vec::new();
    for site in 0..lab.sites() {
        let client = Client::login(&lab.access(site)).await;
        clients.push(client.unwrap_or_else(|error| panic!("{error:#}{}", lab.logs())));
    }
    clients
}

/// Waits until all sites show the same; fails if that takes longer than `patience`, reading all of
/// it included. Gives how long the last reading alone took.
pub(crate) async fn wait_until_agreed(
    lab: &Lab,
    clients: &[Client],
    patience: Duration,
) -> Duration {
    let started = Instant::now();
    loop {
        let read = Instant::now();
        let views = join_all(clients.iter().map(shown)).await;
        let odd = views.iter().position(|view| *view != views[0]);
        let took = started.elapsed();
        if odd.is_none() && took <= patience {
            return read.elapsed();
        }
        assert!(
            took <= patience,
            "the sites did not agree after {took:?}, {:?} of it the last reading: {}{}",
            read.elapsed(),
            odd.map_or_else(String::new, |odd| difference(lab, &views, odd)),
            lab.logs()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the first site and the one numbered `odd` show that the other does not.
fn difference(lab: &Lab, views: &[BTreeMap<String, Vec<Value>>], odd: usize) -> String {
    let (first, other) = (&views[0], &views[odd]);
    let difference = first.iter().find(|(path, things)| other[*path] != **things);
    let (path, things) = difference.expect("they differ");
    let mine: BTreeSet<String> = things.iter().map(Value::to_string).collect();
    let theirs: BTreeSet<String> = other[path].iter().map(Value::to_string).collect();
    format!(
        "{} and {} on {path}:\nonly at the first: {:#?}\nonly at the other: {:#?}",
        lab.name(0),
        lab.name(odd),
        mine.difference(&theirs).take(3).collect::<Vec<_>>(),
        theirs.difference(&mine).take(3).collect::<Vec<_>>(),
    )
}

/// Everything acknowledged is there once at every site, and everything deleted is gone everywhere.
pub(crate) async fn nothing_lost_doubled_or_resurrected(lab: &Lab, workers: &[Worker]) {
    let clients = clients(lab).await;
    for (site, client) in clients.iter().enumerate() {
        for (collection, path, member) in COLLECTIONS {
            let things = list(client, path, member).await;
            let ids: Vec<&str> = things
                .iter()
                .filter_map(|thing| thing["id"].as_str())
                .collect();
            let once: BTreeSet<&str> = ids.iter().copied().collect();
            assert_eq!(
                once.len(),
                ids.len(),
                "doubled in {path} of {}",
                lab.name(site)
            );
            for worker in workers {
                let of_it = |wanted: &'static str| move |entry: &&(&str, String)| entry.0 == wanted;
                for (_, id) in worker.ledger.kept.iter().filter(of_it(collection)) {
                    assert!(
                        once.contains(id.as_str()),
                        "{} lost {collection} {id} of {}",
                        lab.name(site),
                        worker.site
                    );
                }
                for (_, id) in worker.ledger.deleted.iter().filter(of_it(collection)) {
                    assert!(
                        !once.contains(id.as_str()),
                        "{} shows {collection} {id} again",
                        lab.name(site)
                    );
                }
            }
        }
    }
    let kept: usize = workers.iter().map(|worker| worker.ledger.kept.len()).sum();
    let deleted: usize = workers
        .iter()
        .map(|worker| worker.ledger.deleted.len())
        .sum();
    lab::say(&format!("{kept} things kept, {deleted} deleted"));
}

/// `luc op show`, asked where the client was told 504, says of each whether it was done.
pub(crate) async fn unknown_outcomes_are_told(lab: &Lab, workers: &[Worker]) {
    let mut told = Vec::new();
    for worker in workers {
        for operation in &worker.ledger.unknown {
            let shown = lab.ask(worker.index, &["op", "show", operation]).await;
            let outcome = shown["operation"]["outcome"].as_str().unwrap_or_default();
            assert!(["done", "not done"].contains(&outcome), "{shown}");
            told.push(outcome.to_owned());
        }
    }
    // The site heard of the write in doubt before it was cut off.
    assert!(told.iter().any(|outcome| outcome == "done"), "{told:?}");
    lab::say(&format!("unknown outcomes: {told:?}"));
}

/// Every site shows the server of `worker` under `name`.
pub(crate) async fn all_show(lab: &Lab, worker: &Worker, name: &str) {
    let path = worker.filled("/servers/{server_id}").expect("a server");
    for client in clients(lab).await {
        let shown = client.get(Target::Compute, &path).await;
        let shown = shown.unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!(shown["server"]["name"], name);
    }
}

/// The clients together have not got more of a collection than there was for all sites.
pub(crate) fn at_most(workers: &[Worker], collection: &str, limit: i64) {
    let kept = workers.iter().flat_map(|worker| &worker.ledger.kept);
    let count = kept.filter(|(of, _)| *of == collection).count();
    assert!(
        i64::try_from(count).is_ok_and(|count| count <= limit),
        "{count} of {collection} are kept, {limit} were allowed"
    );
}
