//! Projects: `/v3/projects`.
//!
//! A domain is also a project of the same id that acts as one; what is asked of it here is done to
//! the domain. Projects may stand below others of their domain, a few levels deep.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::identity::requests::{CreateProject, NewProject, ProjectChange, UpdateProject};
use luc_api::policy::Attributes;
use luc_api::value::parse_bool;
use luc_core::id::{DomainId, ProjectId};
use luc_state::{Snapshot, Stored, Tx, key};
use serde_json::{Map, Value, json};

use super::auth::projects_of;
use super::domains::{self, Draft};
use super::listing::{Field, Listing, root};
use super::model::{DEFAULT_DOMAIN, Domain, Extra, Project, is_immutable};
use super::places::{PlaceChange, flag, new_extra};
use super::refusal::{Refusal, check_id_kept, immutable, not_found, taken, transact};
use super::residency::Nameable;
use super::trust::{Confined, Trust};
use super::{removal, views};
use crate::Services;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// How many projects may stand in one line below a domain (Keystone's `max_project_tree_depth`).
const DEPTH_MAX: usize = 5;

/// The filters of a list.
const FILTERS: [&str; 5] = ["domain_id", "enabled", "name", "parent_id", "is_domain"];

/// Lists projects; with a token for a domain, those of that domain.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &FILTERS)?;
    let own = request.caller()?.domain_id();
    let target = own.map_or(Attributes::new(), |id| {
        Attributes::new().with("target.domain_id", id.as_str())
    });
    request.authorize(&target)?;
    let snapshot = services.store.snapshot();
    let root = root(request);
    let acting = request.query.get("is_domain");
    let domains = acting.is_some_and(|word| parse_bool(word).unwrap_or(true));
    if domains {
        // Domains belong to no domain, so a token for one shows none of them.
        let items = if own.is_some() {
            Vec::new()
        } else {
            acting_domains(&snapshot, &listing)
        };
        return listing.reply(request, "projects", items, |domain| {
            views::domain_as_project(&root, domain)
        });
    }
    let keeps = |project: &Project| {
        own.is_none_or(|own| *own == project.domain_id)
            && listing.keeps(|name| field(project, name))
            && has_tags(&project.tags, request)
    };
    let items = candidates(&snapshot, own, &listing);
    let items = items
        .into_iter()
        .filter(|project| keeps(project.value()))
        .collect();
    listing.reply(request, "projects", items, |project| {
        views::project(&root, project)
    })
}

/// The projects among which a list looks: those of one domain where the filters say so.
fn candidates(
    snapshot: &Snapshot,
    own: Option<&DomainId>,
    listing: &Listing,
) -> Vec<Arc<Stored<Project>>> {
    match own
        .map(DomainId::as_str)
        .or_else(|| listing.exactly("domain_id"))
    {
        Some(domain) => snapshot
            .find(&Project::BY_DOMAIN, &key(&[domain]))
            .collect(),
        None => snapshot.all::<Project>().collect(),
    }
}

fn acting_domains(snapshot: &Snapshot, listing: &Listing) -> Vec<Arc<Stored<Domain>>> {
    let keeps = |domain: &Domain| {
        listing.keeps(|name| match name {
            "name" => Field::Text(&domain.name),
            "enabled" => Field::Flag(domain.enabled),
            "is_domain" => Field::Flag(true),
            _ => Field::Null,
        })
    };
    snapshot
        .all::<Domain>()
        .filter(|domain| keeps(domain.value()))
        .collect()
}

pub(super) fn field<'p>(project: &'p Project, name: &str) -> Field<'p> {
    match name {
        "domain_id" => Field::Text(project.domain_id.as_str()),
        "enabled" => Field::Flag(project.enabled),
        "name" => Field::Text(&project.name),
        "parent_id" => Field::Text(project.parent_id()),
        "is_domain" => Field::Flag(false),
        _ => Field::Null,
    }
}

/// The four tag filters, each a list separated by commas.
fn has_tags(tags: &[String], request: &Request) -> bool {
    let named = |name: &str| {
        request
            .query
            .get(name)
            .map(|list| list.split(',').collect::<Vec<_>>())
    };
    let has = |tag: &&str| tags.iter().any(|own| own == tag);
    named("tags").is_none_or(|list| list.iter().all(has))
        && named("tags-any").is_none_or(|list| list.iter().any(has))
        && named("not-tags").is_none_or(|list| !list.iter().all(has))
        && named("not-tags-any").is_none_or(|list| !list.iter().any(has))
}

/// Makes a project, or a domain as a project that acts as one.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let CreateProject { project } = request.body()?;
    let asked = project.domain_id.clone().flatten();
    let target = Attributes::new().with("target.project.domain_id", asked.as_deref());
    request.authorize(&target)?;
    if flag(project.is_domain).unwrap_or(false) {
        return create_domain(services, request, project).await;
    }
    let caller = request.caller()?;
    let domain_id = match (&asked, caller.domain_id()) {
        (Some(id), _) => id.clone(),
        (None, Some(own)) => own.to_string(),
        (None, None) => DEFAULT_DOMAIN.to_owned(),
    };
    let parent = project
        .parent_id
        .flatten()
        .filter(|parent| !parent.is_empty());
    let change = PlaceChange {
        name: None,
        description: project.description,
        enabled: flag(project.enabled),
        tags: project.tags,
        options: project.options,
        extra: new_extra(project.extra),
    };
    Nameable::of(services).check(&[], change.tags.as_deref().unwrap_or_default())?;
    let id = ProjectId::born_at(services.site, &mut Drawn(&*services.random));
    let name = project.name.trim().to_owned();
    let made = transact(services, |tx| {
        let (domain_id, parent) = place_of(tx, &domain_id, parent.as_deref())?;
        let mut made = Project {
            id: id.clone(),
            domain_id,
            parent,
            name: name.clone(),
            description: Some(String::new()),
            enabled: true,
            token_epoch: 0,
            tags: Vec::new(),
            options: Extra::new(),
            extra: Extra::new(),
        };
        change.apply(&mut made);
        tx.insert(made)
            .map_err(|error| name_taken(error, &name, &id))
    })
    .await?;
    Reply::json(&json!({"project": views::project(&root(request), made.value())}))
}

async fn create_domain(
    services: &Services,
    request: &Request,
    project: NewProject,
) -> Result<Reply, ApiError> {
    if project.parent_id.flatten().is_some() || project.domain_id.flatten().is_some() {
        let message = "only root projects are allowed to act as domains.";
        return Err(ApiError::bad_request(message));
    }
    let attributes = PlaceChange {
        name: None,
        description: project.description,
        enabled: flag(project.enabled),
        tags: project.tags,
        options: project.options,
        extra: new_extra(project.extra),
    };
    let made = domains::insert(
        services,
        Draft {
            id: None,
            name: project.name,
            attributes,
        },
    )
    .await?;
    Reply::json(&json!({"project": views::domain_as_project(&root(request), made.value())}))
}

/// The domain and the parent of a new project; what does not exist is a 400 here.
fn place_of(
    tx: &Tx<'_>,
    domain_id: &str,
    parent: Option<&str>,
) -> Result<(DomainId, Option<ProjectId>), ApiError> {
    let missing =
        |what: &str, id: &str| ApiError::bad_request(format!("Could not find {what}: {id}."));
    let domain = tx
        .get::<Domain>(domain_id)
        .ok_or_else(|| missing("domain", domain_id))?;
    let parent = match parent {
        None => None,
        Some(parent) if parent == domain_id => None,
        Some(parent) if tx.get::<Domain>(parent).is_some() => {
            return Err(ApiError::bad_request(format!(
                "Cannot create project, the parent ({parent}) is acting as a domain, but this \
                 project's domain id ({domain_id}) does not match the parent's id."
            )));
        }
        Some(parent) => {
            let found = tx
                .get::<Project>(parent)
                .ok_or_else(|| missing("project", parent))?;
            if found.domain_id != domain.id {
                return Err(ApiError::bad_request(format!(
                    "Cannot create project, since it specifies its domain_id {domain_id}, but \
                     specifies a parent in a different domain ({}).",
                    found.domain_id
                )));
            }
            Some(found.id.clone())
        }
    };
    let above = parents(|id| tx.get::<Project>(id), parent.as_ref());
    let disabled = above
        .iter()
        .find(|project| !project.enabled)
        .map(|project| project.id.as_str());
    if let Some(id) = disabled.or((!domain.enabled).then_some(domain_id)) {
        let message = "cannot create a project in a branch containing a disabled project:";
        return Err(ApiError::bad_request(format!("{message} {id}")));
    }
    if above.len() >= DEPTH_MAX {
        let branch = parent.as_ref().map_or(domain_id, ProjectId::as_str);
        return Err(ApiError::forbidden(format!(
            "Max hierarchy depth reached for {branch} branch."
        )));
    }
    Ok((domain.id.clone(), parent))
}

/// The projects from `parent` up to right below the domain.
fn parents(
    get: impl Fn(&ProjectId) -> Option<Arc<Stored<Project>>>,
    parent: Option<&ProjectId>,
) -> Vec<Arc<Stored<Project>>> {
    let first = parent.and_then(&get);
    let above = std::iter::successors(first, |project| project.parent.as_ref().and_then(&get));
    // The bound is for records that a fault has bent into a ring.
    above.take(DEPTH_MAX + 1).collect()
}

/// All projects below `id`.
pub(super) fn subtree(
    children: &impl Fn(&ProjectId) -> Vec<Arc<Stored<Project>>>,
    id: &ProjectId,
) -> Vec<Arc<Stored<Project>>> {
    let mut below = children(id);
    let mut at = 0;
    while let Some(project) = below.get(at) {
        let next = children(&project.id);
        below.extend(next);
        at += 1;
    }
    below
}

fn name_taken(error: luc_state::TxError, name: &str, id: &ProjectId) -> Refusal {
    let details = format!(
        "it is not permitted to have two projects with either the same name or same id in the \
         same domain: name is {name}, project id {id}."
    );
    taken(error, "project", &details)
}

/// Shows a project, with those above and below it where the query says so.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let id = request.param("project_id");
    let snapshot = services.store.snapshot();
    let root = root(request);
    let project = snapshot.get::<Project>(id);
    request.authorize(&target(project.as_deref().map(Stored::value), id))?;
    let Some(project) = project else {
        let domain = snapshot
            .get::<Domain>(id)
            .ok_or_else(|| not_found("project", id))?;
        let shown = views::domain_as_project(&root, domain.value());
        return Reply::json(&json!({"project": shown}));
    };
    let mut shown = views::project(&root, project.value());
    let trust = Trust::of(services);
    add_relatives(&mut shown, (&snapshot, &trust), request, project.value())?;
    Reply::json(&json!({"project": shown}))
}

/// What policy may ask about the project of a path.
pub(super) fn target<'a>(project: Option<&'a Project>, id: &'a str) -> Attributes<'a> {
    let target = Attributes::new().with("project_id", id);
    match project {
        None => target,
        Some(project) => target
            .with("target.project.id", project.id.as_str())
            .with("target.project.domain_id", project.domain_id.as_str()),
    }
}

fn add_relatives(
    shown: &mut Value,
    (snapshot, trust): (&Snapshot, &Trust),
    request: &Request,
    project: &Project,
) -> Result<(), ApiError> {
    let asked = |name: &str| request.query.get(name).is_some_and(|value| value != "0");
    for kind in ["parents", "subtree"] {
        if asked(&format!("{kind}_as_list")) && asked(&format!("{kind}_as_ids")) {
            return Err(ApiError::bad_request(format!(
                "Cannot use {kind}_as_list and {kind}_as_ids query params at the same time."
            )));
        }
    }
    let above = || parents(|id| snapshot.get::<Project>(id), project.parent.as_ref());
    let children = |id: &ProjectId| -> Vec<_> {
        snapshot
            .find(&Project::BY_PARENT, &key(&[id.as_str()]))
            .collect()
    };
    // As a list only those on which the caller has a role.
    let own = |related: Vec<Arc<Stored<Project>>>| -> Result<Value, ApiError> {
        let mine = projects_of(snapshot, trust, request.caller()?.user_id.as_str());
        let related = related
            .iter()
            .filter(|one| mine.iter().any(|mine| mine.id == one.id));
        let root = root(request);
        Ok(related
            .map(|one| json!({"project": views::project(&root, one.value())}))
            .collect())
    };
    if asked("parents_as_list") {
        shown["parents"] = own(above())?;
    } else if asked("parents_as_ids") {
        let top = json!({project.domain_id.as_str(): null});
        let ids = above()
            .iter()
            .rev()
            .fold(top, |ids, one| json!({one.id.as_str(): ids}));
        shown["parents"] = ids;
    }
    if asked("subtree_as_list") {
        shown["subtree"] = own(subtree(&children, &project.id))?;
    } else if asked("subtree_as_ids") {
        shown["subtree"] = subtree_ids(&children, &project.id);
    }
    Ok(())
}

fn subtree_ids(
    children: &impl Fn(&ProjectId) -> Vec<Arc<Stored<Project>>>,
    id: &ProjectId,
) -> Value {
    let below: Map<String, Value> = children(id)
        .iter()
        .map(|child| (child.id.to_string(), subtree_ids(children, &child.id)))
        .collect();
    if below.is_empty() {
        Value::Null
    } else {
        Value::Object(below)
    }
}

/// Changes a project.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let UpdateProject { project: wanted } = request.body()?;
    let id = request.param("project_id");
    let snapshot = services.store.snapshot();
    let project = snapshot.get::<Project>(id);
    request.authorize(&target(project.as_deref().map(Stored::value), id))?;
    check_id_kept(wanted.id.as_ref(), id)?;
    let change = PlaceChange {
        name: wanted.name.clone(),
        description: wanted.description.clone(),
        enabled: flag(wanted.enabled),
        tags: wanted.tags.clone(),
        options: wanted.options.clone(),
        extra: wanted.extra.clone(),
    };
    let root = root(request);
    let shown = if project.is_none() && snapshot.get::<Domain>(id).is_some() {
        let place = Place {
            domain_id: None,
            parent_id: None,
            is_domain: true,
        };
        check_place(&wanted, &place)?;
        let confined = Confined::own(services);
        let changed = transact(services, |tx| {
            domains::apply(tx, id, &change, confined.as_ref())
        });
        let domain = changed.await?;
        let shown = views::domain_as_project(&root, domain.value());
        views::with_extra(shown, &domain.extra)
    } else {
        let nameable = Nameable::of(services);
        let changed = transact(services, |tx| apply(tx, id, &wanted, (&change, &nameable)));
        let changed = changed.await?;
        views::with_extra(views::project(&root, changed.value()), &changed.extra)
    };
    Reply::json(&json!({"project": shown}))
}

/// Where a project stands, which does not change.
struct Place<'a> {
    domain_id: Option<&'a str>,
    parent_id: Option<&'a str>,
    is_domain: bool,
}

fn check_place(wanted: &ProjectChange, place: &Place<'_>) -> Result<(), ApiError> {
    let differs = |wanted: &Option<Option<String>>, is: Option<&str>| {
        wanted
            .as_ref()
            .is_some_and(|wanted| wanted.as_deref() != is)
    };
    if differs(&wanted.domain_id, place.domain_id) {
        return Err(ApiError::bad_request("Cannot change Domain ID"));
    }
    if differs(&wanted.parent_id, place.parent_id) {
        return Err(ApiError::forbidden("Update of `parent_id` is not allowed."));
    }
    if flag(wanted.is_domain).is_some_and(|wanted| wanted != place.is_domain) {
        return Err(ApiError::bad_request(
            "Update of `is_domain` is not allowed.",
        ));
    }
    Ok(())
}

fn apply(
    tx: &mut Tx<'_>,
    id: &str,
    wanted: &ProjectChange,
    (change, nameable): (&PlaceChange, &Nameable),
) -> Result<Arc<Stored<Project>>, Refusal> {
    let project = tx
        .get::<Project>(id)
        .ok_or_else(|| not_found("project", id))?;
    change.check_allowed(&project.options, "project", id)?;
    let place = Place {
        domain_id: Some(project.domain_id.as_str()),
        parent_id: Some(project.parent_id()),
        is_domain: false,
    };
    check_place(wanted, &place)?;
    match change.enabled {
        Some(true) if !project.enabled => check_parents_enabled(tx, &project)?,
        Some(false) if project.enabled => check_subtree_disabled(tx, &project)?,
        _ => {}
    }
    let mut changed = project.value().clone();
    change.apply(&mut changed);
    nameable.check(&project.tags, &changed.tags)?;
    let (name, id) = (changed.name.clone(), changed.id.clone());
    tx.update(changed)
        .map_err(|error| name_taken(error, &name, &id))
}

fn check_parents_enabled(tx: &Tx<'_>, project: &Project) -> Result<(), ApiError> {
    let above = parents(|id| tx.get::<Project>(id), project.parent.as_ref());
    let domain = domains::find(tx, project.domain_id.as_str())?;
    if domain.enabled && above.iter().all(|project| project.enabled) {
        return Ok(());
    }
    Err(ApiError::forbidden(format!(
        "Cannot enable project {} since it has disabled parents",
        project.id
    )))
}

fn check_subtree_disabled(tx: &Tx<'_>, project: &Project) -> Result<(), ApiError> {
    let children = |id: &ProjectId| tx.find(&Project::BY_PARENT, &key(&[id.as_str()]));
    if subtree(&children, &project.id)
        .iter()
        .any(|project| project.enabled)
    {
        return Err(ApiError::forbidden(format!(
            "Cannot disable project {} since its subtree contains enabled projects.",
            project.id
        )));
    }
    Ok(())
}

/// Deletes a project that has none below it.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let id = request.param("project_id");
    let snapshot = services.store.snapshot();
    let project = snapshot.get::<Project>(id);
    request.authorize(&target(project.as_deref().map(Stored::value), id))?;
    let is_domain = project.is_none() && snapshot.get::<Domain>(id).is_some();
    transact(services, |tx| {
        if is_domain {
            domains::remove(tx, id)
        } else {
            remove(tx, id)
        }
    })
    .await?;
    Ok(Reply::empty())
}

fn remove(tx: &mut Tx<'_>, id: &str) -> Result<(), Refusal> {
    let project = tx
        .get::<Project>(id)
        .ok_or_else(|| not_found("project", id))?;
    if is_immutable(&project.options) {
        return Err(immutable("delete", "project", id).into());
    }
    if !tx.find(&Project::BY_PARENT, &key(&[id])).is_empty() {
        return Err(ApiError::forbidden(format!(
            "Cannot delete the project {id} since it is not a leaf in the hierarchy. Use the \
             cascade option if you want to delete a whole subtree."
        ))
        .into());
    }
    removal::project(tx, &project.id)
}
