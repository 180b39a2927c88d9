//! What `GET /luc/v1/dvms` answers: the brains of a site or of the cloud, and the names of the
//! servers they speak of.

use std::collections::{BTreeMap, BTreeSet};

use luc_dvms::host::Label;
use luc_runtime::brain::Story;
use luc_services::Services;
use luc_services::compute::model::server::Server;
use luc_services::compute::scheduler::labels;
use serde::{Deserialize, Serialize};

use super::Brains;
use super::port::Report;

/// What may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Every site, not only the one that is asked.
    #[serde(default)]
    pub all: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Whether plans are made and not carried out.
    pub dry_run: bool,
    /// The brains, ordered by site and node.
    pub nodes: Vec<Report>,
    /// The names of servers that plans speak of, by id, as far as they are known here.
    pub servers: BTreeMap<String, String>,
    /// What the labels say that servers of plans ask for, as far as it is known here.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Gathers the answer.
pub async fn view(brains: &Brains, services: &Services, asked: Asked) -> View {
    let nodes = if asked.all {
        brains.of_cloud().await
    } else {
        brains.of_site().await
    };
    let snapshot = services.store.snapshot();
    let statuses = nodes.iter().filter_map(|report| report.status.as_ref());
    let stories = statuses.flat_map(|status| &status.stories);
    let ids: BTreeSet<&String> = stories.flat_map(speaks_of).collect();
    let known = ids.iter().filter_map(|id| snapshot.get::<Server>(id));
    let (mut servers, mut labels) = (BTreeMap::new(), BTreeMap::new());
    for server in known {
        servers.insert(server.id.to_string(), server.name.clone());
        let asked = labels::of_server(&server).into_iter();
        labels.extend(asked.map(|text| (Label::named(&text).to_string(), text)));
    }
    View {
        dry_run: true,
        nodes,
        servers,
        labels,
    }
}

/// The ids of the servers that a story speaks of.
fn speaks_of(story: &Story) -> impl Iterator<Item = &String> {
    let passed = story.passed.iter();
    let moved = story.moves.iter().map(|one| &one.vm);
    moved.chain(passed.flat_map(|one| one.mate.iter().chain([&one.vm])))
}
