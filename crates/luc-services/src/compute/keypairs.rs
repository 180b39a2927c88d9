//! Key pairs of users, whose public half servers let in.
//!
//! Pairs that are generated here are Ed25519 (Nova's are RSA of 2 048 bits; every SSH server that
//! is still maintained takes both). The private half is answered once and never stored. X.509
//! certificates, which Nova takes for guests with WinRM, are refused.

mod key;
mod view;

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::compute::keypair::{CreateKeypair, KeyKind};
use luc_api::paging::Page;
use luc_api::policy::Attributes;
use luc_core::id::{DomainId, UserId};
use luc_state::{Snapshot, Stored, Tx, key as index_key};

use super::model::keypair::{Keypair, KeypairType};
use super::model::quota::Resource;
use super::page::{LIMIT_MAX, check_parameters, next_links};
use super::projects;
use super::quota::Held;
use super::write::{WriteError, transact};
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// Whose key pairs are meant: the caller's, or those of a user that is named (from 2.10).
fn owner(request: &Request) -> Result<UserId, ApiError> {
    let named = request.query.get("user_id").filter(|id| !id.is_empty());
    match named.filter(|_| request.version.at_least(2, 10)) {
        Some(id) => {
            UserId::parse(id).map_err(|error| ApiError::invalid("user_id", error.to_string()))
        }
        None => Ok(request.caller()?.user_id.clone()),
    }
}

fn authorize(request: &Request, user: &UserId) -> Result<(), ApiError> {
    request.authorize(&Attributes::new().with("user_id", user.as_str()))
}

fn not_found(user: &UserId, name: &str) -> ApiError {
    ApiError::not_found(format!("Keypair {name} not found for user {user}"))
}

/// The key pair `name` of `user`.
pub(super) fn find(
    snapshot: &Snapshot,
    user: &UserId,
    name: &str,
) -> Result<Arc<Stored<Keypair>>, ApiError> {
    let found = snapshot.get::<Keypair>(Keypair::record_id(user, name));
    found.ok_or_else(|| not_found(user, name))
}

/// Lists the key pairs of a user, by name.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let user = owner(request)?;
    authorize(request, &user)?;
    check_parameters(request, &["user_id", "limit", "marker"])?;
    let snapshot = services.store.snapshot();
    let mut pairs: Vec<_> = snapshot
        .find(&Keypair::BY_USER, &index_key(&[user.as_str()]))
        .collect();
    pairs.sort_by(|left, right| left.name.cmp(&right.name));
    if !request.version.at_least(2, 35) {
        return Reply::json(&view::list(request, &pairs));
    }
    let page = Page::of(&request.query, LIMIT_MAX)?;
    let (pairs, _) = page.cut(pairs, |pair| pair.name.as_str())?;
    let mut shown = view::list(request, &pairs);
    let last = pairs.last().map(|pair| pair.name.as_str());
    if let Some(links) = next_links(request, page.limit, pairs.len(), last) {
        shown["keypairs_links"] = links;
    }
    Reply::json(&shown)
}

/// Shows a key pair.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let user = owner(request)?;
    authorize(request, &user)?;
    check_parameters(request, &["user_id"])?;
    let pair = find(&services.store.snapshot(), &user, request.param("name"))?;
    Reply::json(&view::whole(request, &pair))
}

/// Makes a key pair, or takes a public key over.
pub(super) async fn create(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    // The body says whose key pair it is to be, so it is read before the rule is checked.
    let wish = request.body::<CreateKeypair>()?.keypair;
    let user = match &wish.user_id {
        Some(id) => UserId::parse(id)
            .map_err(|error| ApiError::invalid("keypair.user_id", error.to_string()))?,
        None => request.caller()?.user_id.clone(),
    };
    authorize(request, &user)?;
    if wish.kind == Some(KeyKind::X509) {
        let reason = "'x509' is not served; use 'ssh'";
        return Err(ApiError::invalid("keypair.type", reason));
    }
    let domain = domain_of(services, request, &user)?;
    let (public_key, fingerprint, private_key) = if let Some(given) = wish.public_key {
        let fingerprint = key::fingerprint(&given)?;
        (given, fingerprint, None)
    } else {
        let pair = key::generate(&*services.random)?;
        (pair.public_key, pair.fingerprint, Some(pair.private_key))
    };
    let pair = Keypair {
        id: Keypair::record_id(&user, &wish.name),
        user,
        domain,
        name: wish.name,
        kind: KeypairType::Ssh,
        public_key,
        fingerprint,
        created_at: request.now,
    };
    transact(&services.store, |tx| store(tx, request, &pair)).await?;
    let reply = Reply::json(&view::made(request, &pair, private_key.as_ref()))?;
    Ok(if request.version.at_least(2, 2) {
        reply
    } else {
        reply.status(http::StatusCode::OK)
    })
}

/// The domain of `user`, who need not be the caller.
fn domain_of(services: &Services, request: &Request, user: &UserId) -> Result<DomainId, ApiError> {
    let caller = request.caller()?;
    if *user == caller.user_id {
        return Ok(caller.user_domain.id.clone());
    }
    let domain = projects::domain_of_user(&services.store.snapshot(), user.as_str());
    domain.ok_or_else(|| ApiError::invalid("keypair.user_id", format!("there is no user {user}")))
}

/// Adds `pair`, unless its owner has that name or as many key pairs as allowed.
fn store(tx: &mut Tx<'_>, request: &Request, pair: &Keypair) -> Result<(), WriteError> {
    if tx.get::<Keypair>(&pair.id).is_some() {
        let message = format!("Key pair '{}' already exists.", pair.name);
        return Err(ApiError::conflict(message).into());
    }
    let project = request.caller()?.project_id();
    let held = Held::within(tx, project.map_or("", |id| id.as_str()));
    let count = tx
        .find(&Keypair::BY_USER, &index_key(&[pair.user.as_str()]))
        .len() as u64;
    if !held
        .allowance(Some(&pair.user))
        .admits(Resource::KeyPairs, count + 1)
    {
        let message = "Quota exceeded, too many key pairs.".to_owned();
        return Err(ApiError::QuotaExceeded { message }.into());
    }
    tx.insert(pair.clone())?;
    Ok(())
}

/// Deletes a key pair; servers keep the public key that they were made with.
pub(super) async fn delete(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let user = owner(request)?;
    authorize(request, &user)?;
    check_parameters(request, &["user_id"])?;
    let name = request.param("name");
    let id = Keypair::record_id(&user, name);
    transact(&services.store, |tx| {
        if tx.get::<Keypair>(&id).is_none() {
            return Err(not_found(&user, name).into());
        }
        tx.delete::<Keypair>(&id)?;
        Ok(())
    })
    .await?;
    let status = if request.version.at_least(2, 2) {
        http::StatusCode::NO_CONTENT
    } else {
        http::StatusCode::ACCEPTED
    };
    Ok(Reply::empty().status(status))
}
