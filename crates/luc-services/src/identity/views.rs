//! The JSON of the identity service: the only place that knows it.
//!
//! `root` is where links begin: `http://host:port/identity/v3`. Unknown attributes come first and
//! cannot hide a known one.

use luc_api::Service;
use luc_core::id::{DomainId, ProjectId, RegionId};
use luc_core::time::Timestamp;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::model::{
    AccessRule, AppCred, CatalogEndpoint, CatalogService, Domain, Extra, Group, Project, Region,
    Role, User,
};
use crate::caller::{AccessRuleRef, Caller, DomainRef, Scope};

/// Where links begin at a node reached as `base_url`.
pub(super) fn root(base_url: &str) -> String {
    Service::Identity.url(base_url)
}

/// A time as Keystone writes it, with microseconds and `Z`.
pub(super) fn time_text(time: Timestamp) -> String {
    format!("{}Z", time_text_bare(time))
}

/// A time as Keystone writes it where it leaves out the zone.
pub(super) fn time_text_bare(time: Timestamp) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");
    let nanos = i128::from(time.unix_micros()) * 1000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos);
    // Times beyond the year 9999 cannot be told; none of ours comes near.
    moment
        .ok()
        .and_then(|moment| moment.format(&format).ok())
        .unwrap_or_default()
}

/// `known` over `extra`, with a link to itself.
fn object(extra: &Extra, known: Value, link: &str) -> Value {
    let mut members = extra.clone();
    if let Value::Object(known) = known {
        members.extend(known);
    }
    members.insert("links".to_owned(), json!({"self": link}));
    Value::Object(members)
}

/// The same with the unknown attributes once more, as Keystone shows them after a change.
pub(super) fn with_extra(mut shown: Value, extra: &Extra) -> Value {
    shown["extra"] = Value::Object(extra.clone());
    shown
}

/// A domain.
pub(super) fn domain(root: &str, domain: &Domain) -> Value {
    let known = json!({
        "id": domain.id,
        "name": domain.name,
        "description": domain.description,
        "enabled": domain.enabled,
        "tags": domain.tags,
        "options": domain.options,
    });
    object(
        &domain.extra,
        known,
        &format!("{root}/domains/{}", domain.id),
    )
}

/// A domain as the project that acts as it.
pub(super) fn domain_as_project(root: &str, domain: &Domain) -> Value {
    let known = json!({
        "id": domain.id,
        "name": domain.name,
        "domain_id": null,
        "description": domain.description,
        "enabled": domain.enabled,
        "parent_id": null,
        "is_domain": true,
        "tags": domain.tags,
        "options": domain.options,
    });
    object(
        &domain.extra,
        known,
        &format!("{root}/projects/{}", domain.id),
    )
}

/// A project.
pub(super) fn project(root: &str, project: &Project) -> Value {
    let known = json!({
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "description": project.description,
        "enabled": project.enabled,
        "parent_id": project.parent_id(),
        "is_domain": false,
        "tags": project.tags,
        "options": project.options,
    });
    object(
        &project.extra,
        known,
        &format!("{root}/projects/{}", project.id),
    )
}

/// A user. Passwords never expire here, which `password_expires_at` says.
pub(super) fn user(root: &str, user: &User) -> Value {
    let mut known = json!({
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled,
        "password_expires_at": null,
        "options": user.options,
    });
    if let Some(project) = &user.default_project_id {
        known["default_project_id"] = json!(project);
    }
    object(&user.extra, known, &format!("{root}/users/{}", user.id))
}

/// A group.
pub(super) fn group(root: &str, group: &Group) -> Value {
    let known = json!({
        "id": group.id,
        "name": group.name,
        "domain_id": group.domain_id,
        "description": group.description,
    });
    object(&group.extra, known, &format!("{root}/groups/{}", group.id))
}

/// A group of a user; memberships here do not expire.
pub(super) fn group_of_user(root: &str, of: &Group) -> Value {
    let mut shown = group(root, of);
    shown["membership_expires_at"] = Value::Null;
    shown
}

/// A role.
pub(super) fn role(root: &str, role: &Role) -> Value {
    let known = json!({
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id.as_ref().map(DomainId::as_str),
        "description": role.description,
        "options": role.options,
    });
    object(&role.extra, known, &format!("{root}/roles/{}", role.id))
}

/// A role as it stands in an inference.
pub(super) fn role_in_inference(root: &str, role: &Role) -> Value {
    let link = format!("{root}/roles/{}", role.id);
    json!({"id": role.id, "name": role.name, "links": {"self": link}})
}

/// A service of the catalog.
pub(super) fn service(root: &str, service: &CatalogService) -> Value {
    let known = json!({
        "id": service.id,
        "type": service.kind,
        "name": service.name,
        "enabled": service.enabled,
    });
    object(
        &service.extra,
        known,
        &format!("{root}/services/{}", service.id),
    )
}

/// An endpoint of the catalog, with its region in the new and the old spelling.
pub(super) fn endpoint(root: &str, endpoint: &CatalogEndpoint) -> Value {
    let region = endpoint.region_id.as_ref().map(RegionId::as_str);
    let known = json!({
        "id": endpoint.id,
        "interface": endpoint.interface,
        "region_id": region,
        "region": region,
        "service_id": endpoint.service_id,
        "url": endpoint.url,
        "enabled": endpoint.enabled,
    });
    object(
        &endpoint.extra,
        known,
        &format!("{root}/endpoints/{}", endpoint.id),
    )
}

/// A region of the catalog.
pub(super) fn region(root: &str, region: &Region) -> Value {
    let known = json!({
        "id": region.id,
        "description": region.description,
        "parent_region_id": region.parent.as_ref().map(RegionId::as_str),
    });
    object(
        &region.extra,
        known,
        &format!("{root}/regions/{}", region.id),
    )
}

/// An application credential with its roles, without its rules and its secret.
pub(super) fn app_cred(root: &str, cred: &AppCred, roles: impl Iterator<Item = Value>) -> Value {
    let known = json!({
        "id": cred.id,
        "name": cred.name,
        "description": cred.description,
        "user_id": cred.user_id,
        "project_id": cred.project_id.as_ref().map(ProjectId::as_str),
        "system": null,
        "expires_at": cred.expires_at.map(time_text_bare),
        "unrestricted": cred.unrestricted,
        "roles": roles.collect::<Value>(),
    });
    // Keystone's link leaves out the user.
    let link = format!("{root}/application_credentials/{}", cred.id);
    object(&Extra::new(), known, &link)
}

/// A role inside an application credential.
pub(super) fn bare_role(role: &Role) -> Value {
    json!({
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id.as_ref().map(DomainId::as_str),
        "description": role.description,
        "options": role.options,
    })
}

/// An access rule inside an application credential.
pub(super) fn bare_access_rule(rule: &AccessRule) -> Value {
    json!({
        "id": rule.id, "service": rule.service, "path": rule.path, "method": rule.method,
    })
}

/// An access rule by itself.
pub(super) fn access_rule(root: &str, rule: &AccessRule) -> Value {
    object(
        &Extra::new(),
        bare_access_rule(rule),
        &format!("{root}/access_rules/{}", rule.id),
    )
}

/// A token: whom it means, what it is good for, and the catalog if that is wanted.
pub(super) fn token(caller: &Caller, catalog: Option<Vec<Value>>) -> Value {
    let mut token = json!({
        "methods": caller.methods,
        "user": {
            "id": caller.user_id,
            "name": caller.user_name,
            "domain": domain_ref(&caller.user_domain),
            "password_expires_at": null,
        },
        "audit_ids": caller.audit_ids,
        "expires_at": time_text(caller.expires_at),
        "issued_at": time_text(caller.issued_at),
    });
    match &caller.scope {
        Scope::Unscoped => return json!({"token": with_app_cred(token, caller)}),
        Scope::System => token["system"] = json!({"all": true}),
        Scope::Domain(domain) => token["domain"] = domain_ref(domain),
        Scope::Project { id, name, domain } => {
            token["project"] = json!({"id": id, "name": name, "domain": domain_ref(domain)});
            token["is_domain"] = Value::Bool(false);
        }
    }
    let roles = caller
        .roles
        .iter()
        .map(|role| json!({"id": role.id, "name": role.name}));
    token["roles"] = roles.collect();
    if let Some(catalog) = catalog {
        token["catalog"] = Value::Array(catalog);
    }
    json!({"token": with_app_cred(token, caller)})
}

fn with_app_cred(mut token: Value, caller: &Caller) -> Value {
    if let Some(cred) = &caller.app_cred {
        let mut shown = json!({"id": cred.id, "name": cred.name, "restricted": !cred.unrestricted});
        if let Some(rules) = &cred.access_rules {
            let rule = |rule: &AccessRuleRef| {
                json!({
                    "id": rule.id, "service": rule.service,
                    "path": rule.path, "method": rule.method,
                })
            };
            shown["access_rules"] = rules.iter().map(rule).collect();
        }
        token["application_credential"] = shown;
    }
    token
}

fn domain_ref(domain: &DomainRef) -> Value {
    json!({"id": domain.id, "name": domain.name})
}
