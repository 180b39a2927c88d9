//! The exchange of a site's signing key, and the removal of what no token needs any more.
//!
//! A token names its key by `kid`, so several keys of a site count side by side: the new one is
//! made known before it signs, the old one stays known until the last token that it signed is over.
//! Not here: the file of the private half, which `luc` writes ([`super::signing`]).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::time::Timestamp;
use luc_state::Tx;

use super::auth::{EXPIRED_WINDOW, forget_expired};
use super::model::PublicKey;
use super::refusal::{Refusal, transact};
use super::signing::SigningKey;
use crate::Services;

/// How long the other sites have to learn of a key before it signs: a hundred times the usual lag
/// of a feed.
const ANNOUNCED_FOR: Duration = Duration::from_secs(2);

/// What becomes of the key that signs no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldKey {
    /// Tokens that it signed count until they end: nobody is logged out.
    Keep,
    /// Somebody else may have it: every token that it signed ends, at this site at once, elsewhere
    /// within the lag of the feeds.
    Void,
}

/// Signs with `fresh` from now on. The caller has written its private half to the node's disk
/// before, so that a crash at any point leaves a key that is known or will be enlisted.
pub async fn rotate_key(
    services: &Services,
    fresh: SigningKey,
    old: OldKey,
) -> Result<(), ApiError> {
    let identity = &services.identity;
    let (former, public) = (identity.key(), fresh.public());
    if former.id() == fresh.id() || fresh.site() != services.site {
        return Err(ApiError::bad_request(
            "The new key must be another key of this site.",
        ));
    }
    let now = services.clock.now();
    let last = now
        .plus(ANNOUNCED_FOR)
        .plus(identity.token_lifetime)
        .plus(EXPIRED_WINDOW);
    transact(services, |tx| {
        tx.put(public.clone())?;
        match (tx.get::<PublicKey>(former.id()), old) {
            (Some(record), OldKey::Keep) => {
                let mut record = record.value().clone();
                record.retired_until = Some(last);
                tx.update(record)?;
            }
            (Some(_), OldKey::Void) => drop(tx.delete::<PublicKey>(former.id())?),
            (None, _) => {}
        }
        Ok(())
    })
    .await?;
    if old == OldKey::Keep && services.sites.all().len() > 1 {
        tokio::time::sleep(ANNOUNCED_FOR).await;
    }
    let mut key = identity.key.write().unwrap_or_else(PoisonError::into_inner);
    *key = Arc::new(fresh);
    Ok(())
}

/// Removes this site's keys and revocations that no token can need any more, and says how many.
/// `luc` calls it from time to time.
pub async fn forget_ended(services: &Services) -> Result<usize, ApiError> {
    let now = services.clock.now();
    let site = services.site;
    transact(services, |tx| {
        let revocations = forget_expired(tx, site, now)?;
        Ok(revocations + forget_retired(tx, site, now)?)
    })
    .await
}

fn forget_retired(tx: &mut Tx<'_>, site: SitePrefix, now: Timestamp) -> Result<usize, Refusal> {
    let mut forgotten = 0;
    for key in tx.all::<PublicKey>() {
        if key.home() == site && key.retired_until.is_some_and(|until| until <= now) {
            tx.delete::<PublicKey>(&key.id)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}
