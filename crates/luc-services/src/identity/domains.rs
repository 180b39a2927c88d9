//! Domains: `/v3/domains`.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::identity::requests::{CreateDomain, UpdateDomain};
use luc_api::policy::Attributes;
use luc_core::Uuid;
use luc_core::id::DomainId;
use luc_state::{Stored, Tx, key};

use super::listing::{Field, Listing, root};
use super::model::{Domain, Extra, is_immutable};
use super::places::{PlaceChange, flag, new_extra};
use super::refusal::{Refusal, conflict, immutable, not_found, taken, transact};
use super::trust::Confined;
use super::{removal, views};
use crate::Services;
use crate::ports::Drawn;
use crate::reply::Reply;
use crate::request::Request;

/// The name that Keystone keeps for users that come from elsewhere, in any case of letters.
const FEDERATED: &str = "federated";

/// Lists domains; with a token for a domain, that one.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let listing = Listing::of(&request.query, &["name", "enabled"])?;
    let own = request.caller()?.domain_id();
    let target = own.map_or(Attributes::new(), |id| {
        Attributes::new().with("target.domain.id", id.as_str())
    });
    request.authorize(&target)?;
    let snapshot = services.store.snapshot();
    let items = snapshot
        .all::<Domain>()
        .filter(|domain| own.is_none_or(|own| *own == domain.id))
        .filter(|domain| listing.keeps(|name| field(domain.value(), name)))
        .collect();
    let root = root(request);
    listing.reply(request, "domains", items, |domain| {
        views::domain(&root, domain)
    })
}

fn field<'d>(domain: &'d Domain, name: &str) -> Field<'d> {
    match name {
        "name" => Field::Text(&domain.name),
        "enabled" => Field::Flag(domain.enabled),
        _ => Field::Null,
    }
}

/// A domain that is to be made.
pub(super) struct Draft {
    pub(super) id: Option<DomainId>,
    pub(super) name: String,
    pub(super) attributes: PlaceChange,
}

/// Makes a domain.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let CreateDomain { domain } = request.body()?;
    request.authorize(&Attributes::new())?;
    let id = domain
        .explicit_domain_id
        .as_deref()
        .map(explicit_id)
        .transpose()?;
    let attributes = PlaceChange {
        description: domain.description,
        enabled: flag(domain.enabled),
        tags: domain.tags,
        options: domain.options,
        extra: new_extra(domain.extra),
        name: None,
    };
    let made = insert(
        services,
        Draft {
            id,
            name: domain.name,
            attributes,
        },
    )
    .await?;
    Reply::json(&serde_json::json!({"domain": views::domain(&root(request), made.value())}))
}

/// A chosen id is a UUID in the form that Keystone writes.
fn explicit_id(text: &str) -> Result<DomainId, ApiError> {
    let canonical = Uuid::parse(text).is_ok_and(|uuid| uuid.simple() == text);
    let id = DomainId::parse(text).ok().filter(|_| canonical);
    id.ok_or_else(|| ApiError::bad_request("Domain ID does not conform to required UUID format."))
}

/// Stores a new domain.
pub(super) async fn insert(
    services: &Services,
    draft: Draft,
) -> Result<Arc<Stored<Domain>>, ApiError> {
    check_name(&draft.name)?;
    if let Some(confined) = Confined::own(services) {
        confined.check(services.site, &draft.name)?;
    }
    let mut domain = Domain {
        id: draft
            .id
            .unwrap_or_else(|| DomainId::born_at(services.site, &mut Drawn(&*services.random))),
        name: draft.name.trim().to_owned(),
        description: Some(String::new()),
        enabled: true,
        token_epoch: 0,
        tags: Vec::new(),
        options: Extra::new(),
        extra: Extra::new(),
    };
    draft.attributes.apply(&mut domain);
    transact(services, |tx| {
        tx.insert(domain.clone())
            .map_err(|error| name_taken(error, &domain.name))
    })
    .await
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if name.trim().to_lowercase() == FEDERATED {
        return Err(ApiError::invalid(
            "domain.name",
            format!("Domain cannot be named {name}"),
        ));
    }
    Ok(())
}

fn name_taken(error: luc_state::TxError, name: &str) -> Refusal {
    let details = format!(
        "it is not permitted to have two projects acting as domains with the same name: {name}."
    );
    taken(error, "project", &details)
}

/// Shows a domain.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let id = request.param("domain_id");
    let domain = services.store.snapshot().get::<Domain>(id);
    request.authorize(&target(domain.is_some(), id))?;
    let domain = domain.ok_or_else(|| not_found("domain", id))?;
    Reply::json(&serde_json::json!({"domain": views::domain(&root(request), domain.value())}))
}

fn target(exists: bool, id: &str) -> Attributes<'_> {
    let target = Attributes::new().with("domain_id", id);
    if exists {
        target.with("target.domain.id", id)
    } else {
        target
    }
}

/// Changes a domain.
pub(super) async fn update(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let UpdateDomain { domain } = request.body()?;
    let id = request.param("domain_id");
    let exists = services.store.snapshot().get::<Domain>(id).is_some();
    request.authorize(&target(exists, id))?;
    let mut extra = domain.extra;
    extra.remove("id");
    let change = PlaceChange {
        name: domain.name,
        description: domain.description,
        enabled: flag(domain.enabled),
        tags: domain.tags,
        options: domain.options,
        extra,
    };
    let confined = Confined::own(services);
    let changed = transact(services, |tx| apply(tx, id, &change, confined.as_ref())).await?;
    Reply::json(&serde_json::json!({"domain": views::domain(&root(request), changed.value())}))
}

/// Changes the domain `id` in a running transaction, at a site that is `confined` to names.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    id: &str,
    change: &PlaceChange,
    confined: Option<&Confined>,
) -> Result<Arc<Stored<Domain>>, Refusal> {
    let domain = tx
        .get::<Domain>(id)
        .ok_or_else(|| not_found("domain", id))?;
    change.check_allowed(&domain.options, "domain", id)?;
    if let Some(name) = &change.name {
        check_name(name)?;
        if let Some(confined) = confined {
            confined.check(domain.home(), name)?;
        }
    }
    let mut changed = domain.value().clone();
    change.apply(&mut changed);
    let name = changed.name.clone();
    tx.update(changed).map_err(|error| name_taken(error, &name))
}

/// Deletes a disabled domain with everything in it.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let id = request.param("domain_id");
    let exists = services.store.snapshot().get::<Domain>(id).is_some();
    request.authorize(&target(exists, id))?;
    transact(services, |tx| remove(tx, id)).await?;
    Ok(Reply::empty())
}

/// Deletes the domain `id` in a running transaction.
pub(super) fn remove(tx: &mut Tx<'_>, id: &str) -> Result<(), Refusal> {
    let domain = tx
        .get::<Domain>(id)
        .ok_or_else(|| not_found("domain", id))?;
    if is_immutable(&domain.options) {
        return Err(immutable("delete", "domain", id).into());
    }
    if domain.enabled {
        let message = "Cannot delete a domain that is enabled, please disable it first.";
        return Err(ApiError::forbidden(message).into());
    }
    if id == super::model::DEFAULT_DOMAIN {
        // Without it there is nobody left who could make another.
        return Err(conflict("domain", "The default domain cannot be deleted.").into());
    }
    removal::domain(tx, &domain.id)
}

/// The domain of this id in a running transaction.
pub(super) fn find(tx: &Tx<'_>, id: &str) -> Result<Arc<Stored<Domain>>, ApiError> {
    tx.get::<Domain>(id).ok_or_else(|| not_found("domain", id))
}

/// The key of a domain's children in every index `BY_DOMAIN`.
pub(super) fn of_domain(id: &DomainId) -> luc_state::IndexKey {
    key(&[id.as_str()])
}
