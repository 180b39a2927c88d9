//! Who has which role where: `GET /v3/role_assignments`.
//!
//! As they were made, or `effective`: groups replaced by their users, implied roles added, roles of
//! domains left out, which is what tokens are made of. As in Keystone the effective list does not
//! speak of the system. Assignments that projects inherit are not here yet, so a filter for them
//! finds none.

use luc_api::ApiError;
use luc_api::policy::Attributes;
use luc_api::query::Query;
use luc_core::id::{DomainId, GroupId, ProjectId, RoleId, UserId};
use luc_state::{Index, Snapshot, key};
use serde_json::{Value, json};

use super::listing::{self, root};
use super::model::{
    Actor, Assignment, Domain, Group, ImpliedRole, Membership, Place, Project, Role, User,
};
use super::projects::subtree;
use super::refusal::not_found;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// What is asked for.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the query")]
struct Wanted {
    user: Option<String>,
    group: Option<String>,
    role: Option<String>,
    project: Option<String>,
    domain: Option<String>,
    system: bool,
    inherited: bool,
    effective: bool,
    names: bool,
    subtree: bool,
}

/// An assignment as it is shown, with where it came from if it is not the stored one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    actor: Actor,
    place: Place,
    role: RoleId,
    /// The group through which a user has the role.
    through_group: Option<GroupId>,
    /// The role that implies it.
    prior: Option<RoleId>,
}

impl Wanted {
    fn of(query: &Query) -> Result<Self, ApiError> {
        let text = |name: &str| {
            query
                .get(name)
                .filter(|id| !id.is_empty())
                .map(str::to_owned)
        };
        // Anything but `0` sets a flag, also nothing.
        let set = |name: &str| query.get(name).is_some_and(|value| value != "0");
        let inherited = query.get("scope.OS-INHERIT:inherited_to");
        let wanted = Self {
            user: text("user.id"),
            group: text("group.id"),
            role: text("role.id"),
            project: text("scope.project.id"),
            domain: text("scope.domain.id"),
            system: text("scope.system").is_some_and(|value| value == "all"),
            inherited: inherited.is_some_and(|to| to == "projects"),
            effective: set("effective"),
            names: set("include_names"),
            subtree: set("include_subtree"),
        };
        wanted.check(query.has("scope.system"))?;
        Ok(wanted)
    }

    fn check(&self, names_system: bool) -> Result<(), ApiError> {
        let refuse = |message: &str| Err(ApiError::bad_request(message));
        if self.subtree && self.project.is_none() {
            return refuse(
                "scope.project.id must be specified if include_subtree is also specified",
            );
        }
        if self.domain.is_some() && self.project.is_some() {
            return refuse("Specify a domain or project, not both");
        }
        if self.domain.is_some() && names_system {
            return refuse("Specify system or domain, not both");
        }
        if self.project.is_some() && names_system {
            return refuse("Specify system or project, not both");
        }
        if self.user.is_some() && self.group.is_some() {
            return refuse("Specify a user or group, not both");
        }
        if self.effective && self.group.is_some() {
            return refuse(
                "Combining effective and group filter will always result in an empty list.",
            );
        }
        if self.effective && self.inherited && self.domain.is_some() {
            return refuse(
                "Combining effective, domain and inherited filters will always result in an empty \
                 list.",
            );
        }
        Ok(())
    }
}

/// Lists role assignments; with a token for a domain, those on the domain and its projects.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let wanted = Wanted::of(&request.query)?;
    let snapshot = services.store.snapshot();
    let own = request.caller()?.domain_id();
    authorize(request, &snapshot, &wanted, own)?;
    let entries = if wanted.effective {
        effective(&snapshot, &wanted)?
    } else {
        stored(&snapshot, &wanted)
    };
    let root = root(request);
    let shown: Vec<Value> = entries
        .iter()
        .filter(|entry| own.is_none_or(|own| is_of_domain(&snapshot, &entry.place, own)))
        .filter_map(|entry| view(&root, &snapshot, entry, wanted.names))
        .collect();
    listing::reply_whole(request, "role_assignments", shown)
}

fn authorize(
    request: &Request,
    snapshot: &Snapshot,
    wanted: &Wanted,
    own: Option<&DomainId>,
) -> Result<(), ApiError> {
    if !wanted.subtree {
        let target = own.map_or(Attributes::new(), |id| {
            Attributes::new().with("target.domain_id", id.as_str())
        });
        return request.authorize(&target);
    }
    let project = wanted.project.as_deref().unwrap_or_default();
    let found = snapshot.get::<Project>(project);
    let domain = found.as_ref().map(|project| project.domain_id.clone());
    let target = domain.as_ref().map_or(Attributes::new(), |id| {
        Attributes::new().with("target.domain_id", id.as_str())
    });
    request.authorize_as("identity:list_role_assignments_for_tree", &target)?;
    found.map(drop).ok_or_else(|| not_found("project", project))
}

fn is_of_domain(snapshot: &Snapshot, place: &Place, domain: &DomainId) -> bool {
    match place {
        Place::Domain(id) => id == domain,
        Place::Project(id) => snapshot
            .get::<Project>(id)
            .is_some_and(|project| project.domain_id == *domain),
        Place::System => false,
    }
}

/// The projects that are meant, if projects are.
fn projects_of(snapshot: &Snapshot, wanted: &Wanted) -> Option<Vec<ProjectId>> {
    let id = ProjectId::parse(wanted.project.as_deref()?).ok()?;
    let mut ids = vec![id.clone()];
    if wanted.subtree {
        let children = |id: &ProjectId| {
            snapshot
                .find(&Project::BY_PARENT, &key(&[id.as_str()]))
                .collect::<Vec<_>>()
        };
        ids.extend(
            subtree(&children, &id)
                .iter()
                .map(|project| project.id.clone()),
        );
    }
    Some(ids)
}

/// Every stored assignment that could be meant, found through the narrowest index.
fn candidates(snapshot: &Snapshot, wanted: &Wanted, by_actor: bool) -> Vec<Assignment> {
    let at = |index: &Index<Assignment>, parts: &[&str]| -> Vec<Assignment> {
        snapshot
            .find(index, &key(parts))
            .map(|found| found.value().clone())
            .collect()
    };
    if let Some(user) = wanted.user.as_deref().filter(|_| by_actor) {
        return at(&Assignment::BY_ACTOR, &["user", user]);
    }
    if let Some(group) = wanted.group.as_deref().filter(|_| by_actor) {
        return at(&Assignment::BY_ACTOR, &["group", group]);
    }
    if let Some(projects) = projects_of(snapshot, wanted) {
        let on = |id: &ProjectId| at(&Assignment::BY_PLACE, &["project", id.as_str()]);
        return projects.iter().flat_map(on).collect();
    }
    if let Some(domain) = &wanted.domain {
        return at(&Assignment::BY_PLACE, &["domain", domain]);
    }
    if wanted.system {
        return at(&Assignment::BY_PLACE, &["system", "system"]);
    }
    match wanted.role.as_deref().filter(|_| by_actor) {
        Some(role) => at(&Assignment::BY_ROLE, &[role]),
        None => snapshot
            .all::<Assignment>()
            .map(|found| found.value().clone())
            .collect(),
    }
}

/// Whether the place is one that is meant.
fn is_at(place: &Place, projects: Option<&[ProjectId]>, wanted: &Wanted) -> bool {
    match place {
        Place::Project(id) => match projects {
            Some(projects) => projects.contains(id),
            None => wanted.domain.is_none() && !wanted.system,
        },
        Place::Domain(id) => match &wanted.domain {
            Some(domain) => domain == id.as_str(),
            None => wanted.project.is_none() && !wanted.system,
        },
        Place::System => wanted.project.is_none() && wanted.domain.is_none(),
    }
}

/// The assignments as they were made.
fn stored(snapshot: &Snapshot, wanted: &Wanted) -> Vec<Entry> {
    let projects = projects_of(snapshot, wanted);
    candidates(snapshot, wanted, true)
        .into_iter()
        .filter(|found| is_at(&found.place, projects.as_deref(), wanted))
        .filter(|found| {
            wanted
                .role
                .as_deref()
                .is_none_or(|role| role == found.role_id.as_str())
        })
        // Nothing is inherited; what is on the system Keystone shows all the same.
        .filter(|found| !wanted.inherited || found.place == Place::System)
        .map(|found| Entry {
            actor: found.actor,
            place: found.place,
            role: found.role_id,
            through_group: None,
            prior: None,
        })
        .collect()
}

/// The assignments that users have in effect.
fn effective(snapshot: &Snapshot, wanted: &Wanted) -> Result<Vec<Entry>, ApiError> {
    if let Some(project) = &wanted.project {
        snapshot
            .get::<Project>(project)
            .ok_or_else(|| not_found("project", project))?;
    }
    if wanted.inherited {
        return Ok(Vec::new());
    }
    let projects = projects_of(snapshot, wanted);
    let entries = of_users(snapshot, wanted)?
        .into_iter()
        .filter(|entry| entry.place != Place::System)
        .filter(|entry| is_at(&entry.place, projects.as_deref(), wanted));
    let entries = with_implied(snapshot, entries.collect());
    let is_global = |role: &RoleId| {
        snapshot
            .get::<Role>(role)
            .is_some_and(|role| role.domain_id.is_none())
    };
    Ok(entries
        .into_iter()
        .filter(|entry| is_global(&entry.role))
        .filter(|entry| {
            wanted
                .role
                .as_deref()
                .is_none_or(|role| role == entry.role.as_str())
        })
        .collect())
}

/// The assignments with groups replaced by their users, or by the one that is meant.
fn of_users(snapshot: &Snapshot, wanted: &Wanted) -> Result<Vec<Entry>, ApiError> {
    let mut found = Vec::new();
    if let Some(user) = &wanted.user {
        snapshot
            .get::<User>(user)
            .ok_or_else(|| not_found("user", user))?;
        found.extend(candidates(snapshot, wanted, true));
        for membership in snapshot.find(&Membership::BY_USER, &key(&[user])) {
            let of_group = key(&["group", membership.group_id.as_str()]);
            let of_group = snapshot.find(&Assignment::BY_ACTOR, &of_group);
            found.extend(of_group.map(|assignment| assignment.value().clone()));
        }
    } else {
        // By place only: a role may be implied, so the filter for it comes last.
        let everyone = Wanted {
            role: None,
            system: false,
            ..of_place(wanted)
        };
        found.extend(candidates(snapshot, &everyone, false));
    }
    let mut entries = Vec::new();
    for assignment in found {
        let entry = |user: UserId, group: Option<GroupId>| Entry {
            actor: Actor::User(user),
            place: assignment.place.clone(),
            role: assignment.role_id.clone(),
            through_group: group,
            prior: None,
        };
        match (&assignment.actor, &wanted.user) {
            (Actor::User(user), _) => entries.push(entry(user.clone(), None)),
            (Actor::Group(group), Some(user)) => {
                let user = UserId::parse(user).map_err(|_| not_found("user", user))?;
                entries.push(entry(user, Some(group.clone())));
            }
            (Actor::Group(group), None) => {
                let members = snapshot.find(&Membership::BY_GROUP, &key(&[group.as_str()]));
                entries.extend(members.map(|m| entry(m.user_id.clone(), Some(group.clone()))));
            }
        }
    }
    Ok(entries)
}

/// Only what a filter says of the place.
fn of_place(wanted: &Wanted) -> Wanted {
    Wanted {
        project: wanted.project.clone(),
        domain: wanted.domain.clone(),
        subtree: wanted.subtree,
        ..Wanted::default()
    }
}

fn with_implied(snapshot: &Snapshot, mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut at = 0;
    while let Some(entry) = entries.get(at).cloned() {
        let implied = snapshot.find(&ImpliedRole::BY_PRIOR, &key(&[entry.role.as_str()]));
        for inference in implied {
            let next = Entry {
                role: inference.implied.clone(),
                prior: Some(entry.role.clone()),
                ..entry.clone()
            };
            if inference.implied != entry.role && !entries.contains(&next) {
                entries.push(next);
            }
        }
        at += 1;
    }
    entries
}

/// An entry on the wire; `None` if what it names is gone.
fn view(root: &str, snapshot: &Snapshot, entry: &Entry, names: bool) -> Option<Value> {
    let mut shown = json!({});
    let place = match &entry.place {
        Place::Project(id) => {
            shown["scope"] = json!({"project": named_project(snapshot, id, names)?});
            format!("projects/{id}")
        }
        Place::Domain(id) => {
            shown["scope"] = json!({"domain": named_domain(snapshot, id, names)?});
            format!("domains/{id}")
        }
        Place::System => {
            shown["scope"] = json!({"system": {"all": true}});
            "system".to_owned()
        }
    };
    let mut links = json!({});
    let actor = match (&entry.actor, &entry.through_group) {
        (Actor::User(id), through) => {
            shown["user"] = named_user(snapshot, id, names)?;
            if let Some(group) = through {
                links["membership"] = json!(format!("{root}/groups/{group}/users/{id}"));
            }
            through
                .as_ref()
                .map_or(format!("users/{id}"), |group| format!("groups/{group}"))
        }
        (Actor::Group(id), _) => {
            shown["group"] = named_group(snapshot, id, names)?;
            format!("groups/{id}")
        }
    };
    shown["role"] = named_role(snapshot, &entry.role, names)?;
    let assigned = entry.prior.as_ref().unwrap_or(&entry.role);
    links["assignment"] = json!(format!("{root}/{place}/{actor}/roles/{assigned}"));
    if let Some(prior) = &entry.prior {
        // Keystone has the two the wrong way round.
        links["prior_role"] = json!(format!("{root}/prior_role/{}/implies/{prior}", entry.role));
    }
    shown["links"] = links;
    Some(shown)
}

fn named_domain(snapshot: &Snapshot, id: &DomainId, names: bool) -> Option<Value> {
    if !names {
        return Some(json!({"id": id}));
    }
    let domain = snapshot.get::<Domain>(id)?;
    Some(json!({"id": id, "name": domain.name}))
}

fn named_project(snapshot: &Snapshot, id: &ProjectId, names: bool) -> Option<Value> {
    if !names {
        return Some(json!({"id": id}));
    }
    let project = snapshot.get::<Project>(id)?;
    let domain = named_domain(snapshot, &project.domain_id, true)?;
    Some(json!({"id": id, "name": project.name, "domain": domain}))
}

fn named_user(snapshot: &Snapshot, id: &UserId, names: bool) -> Option<Value> {
    if !names {
        return Some(json!({"id": id}));
    }
    let user = snapshot.get::<User>(id)?;
    let domain = named_domain(snapshot, &user.domain_id, true)?;
    Some(json!({"id": id, "name": user.name, "domain": domain}))
}

fn named_group(snapshot: &Snapshot, id: &GroupId, names: bool) -> Option<Value> {
    if !names {
        return Some(json!({"id": id}));
    }
    let group = snapshot.get::<Group>(id)?;
    let domain = named_domain(snapshot, &group.domain_id, true)?;
    Some(json!({"id": id, "name": group.name, "domain": domain}))
}

fn named_role(snapshot: &Snapshot, id: &RoleId, names: bool) -> Option<Value> {
    if !names {
        return Some(json!({"id": id}));
    }
    let role = snapshot.get::<Role>(id)?;
    let mut shown = json!({"id": id, "name": role.name});
    if let Some(domain) = &role.domain_id {
        shown["domain"] = named_domain(snapshot, domain, true)?;
    }
    Some(shown)
}
