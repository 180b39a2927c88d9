//! One site's word that a joining site shall have its name and prefix.
//!
//! A promise is durable before it is given. It lasts until the admission has arrived, the inviting
//! site gives it back, or a day has passed; the same site asking again gets the same promise.
//!
//! With its word a site says which sites it knows, and which may have been admitted for all it
//! knows ([`Known`]). Inviting sites learn of each other's admissions one after the other, and the
//! majorities of two lists that differ by two sites or more need not share a site. With the lists
//! of those who promise they do: each admission was promised by a majority of the list before it,
//! which shares a site with any majority of a list at most one shorter; that site tells of the
//! admission, and so on to the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use luc_core::SitePrefix;
use luc_state::{Tx, key};
use serde::{Deserialize, Serialize};

use super::admit::{check_site_name, same_name};
use super::members::{Members, removed, transact};
use super::model::{Admission, Promise};
use super::refusal::Refusal;
use crate::Services;

/// A site that is of the cloud, or may be: the prefix and the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The prefix.
    pub site: SitePrefix,
    /// The name.
    pub name: String,
}

/// How long a promise is kept if nobody gives it back.
const KEPT: Duration = Duration::from_secs(86_400);

/// For whom a promise is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseWish {
    /// The prefix of the joining site.
    pub site: SitePrefix,
    /// The name it wants.
    pub name: String,
    /// Its founding public key, 64 hexadecimal digits.
    pub founding_key: String,
    /// Which attempt it is: what one leaves on its way takes back no promise of another.
    #[serde(default)]
    pub attempt: String,
}

/// The most attempts that one promise is kept for.
const ATTEMPTS_MAX: usize = 16;

/// The most promises that are kept at a time: joins are rare, and each lasts a day at most.
const KEPT_MAX: usize = 64;

/// Whether the site `asker` may let others in, and so ask for promises and give them back.
pub fn may_invite(services: &Services, asker: SitePrefix) -> Result<(), Refusal> {
    let members = Members::of(&services.store.snapshot(), services.site);
    if members.trusts(asker) {
        Ok(())
    } else {
        Err(Refusal::NotTrusted)
    }
}

/// Promises to the inviting site `by`, and says which other sites there are or may be; or says why
/// not.
pub async fn promise(
    services: &Services,
    by: SitePrefix,
    wish: &PromiseWish,
) -> Result<Vec<Known>, Refusal> {
    check_site_name("name", &wish.name)?;
    let mut founding = [0u8; 32];
    hex::decode_to_slice(&wish.founding_key, &mut founding).map_err(|_| Refusal::Proof)?;
    if SitePrefix::of_key(&founding) != wish.site {
        return Err(Refusal::Proof);
    }
    let now = services.clock.now();
    transact(services, |tx| {
        free(tx, &removed(tx, services.site), wish)?;
        let mut attempts = BTreeMap::from([(wish.attempt.clone(), by)]);
        for held in tx.all::<Promise>() {
            let same = held.founding_key == wish.founding_key;
            // Once the admission has arrived it says all that the promise did.
            let kept = !tx.find(&Admission::BY_SITE, &key(&[&held.site])).is_empty();
            if same && held.name == wish.name && held.until > now {
                // Attempts may overlap, and overtake each other on their way.
                let others = held.attempts.iter().take(ATTEMPTS_MAX);
                attempts.extend(others.map(|(attempt, by)| (attempt.clone(), *by)));
            }
            if held.until <= now || same || kept {
                tx.delete::<Promise>(&held.site)?;
            } else if same_name(&held.name, &wish.name) {
                let name = wish.name.clone();
                return Err(Refusal::NameTaken { name });
            } else if held.site == wish.site.to_string() {
                return Err(Refusal::PrefixKnown { site: wish.site });
            }
        }
        if tx.all::<Promise>().len() >= KEPT_MAX {
            let reason = format!("{KEPT_MAX} other sites were promised a name today");
            return Err(Refusal::Impossible { reason });
        }
        tx.insert(Promise {
            site: wish.site.to_string(),
            name: wish.name.clone(),
            founding_key: wish.founding_key.clone(),
            attempts: attempts.clone(),
            until: now.plus(KEPT),
        })?;
        Ok(())
    })
    .await?;
    Ok(known(services, by, wish))
}

/// The registered sites, and those that were promised a name; the latter only as far as somebody
/// else than `by` asked for it, who knows best whom it has admitted.
fn known(services: &Services, by: SitePrefix, wish: &PromiseWish) -> Vec<Known> {
    let snapshot = services.store.snapshot();
    let members = Members::of(&snapshot, services.site);
    let promised = snapshot.all::<Promise>();
    let promised = promised.filter(|held| held.attempts.values().any(|asked| *asked != by));
    let promised = promised.filter_map(|held| {
        let site = held.site.parse().ok()?;
        let name = held.name.clone();
        Some(Known { site, name })
    });
    let promised: Vec<_> = promised
        .filter(|held| members.site(held.site).is_none() && !members.removed.contains(&held.site))
        .collect();
    let registered = members.sites.into_iter().map(|member| Known {
        site: member.site,
        name: member.name,
    });
    let all = registered.chain(promised);
    all.filter(|known| known.site != wish.site).collect()
}

/// Takes back what was promised for the attempt in `wish`; the promise goes with the last one.
pub async fn release(services: &Services, wish: &PromiseWish) -> Result<(), Refusal> {
    transact(services, |tx| {
        let held = tx.get::<Promise>(wish.site.to_string());
        let held = held.filter(|held| held.founding_key == wish.founding_key);
        let Some(mut held) = held.map(|held| held.value().clone()) else {
            return Ok(());
        };
        if held.attempts.remove(&wish.attempt).is_none() {
            return Ok(());
        }
        if held.attempts.is_empty() {
            tx.delete::<Promise>(wish.site.to_string())?;
        } else {
            tx.update(held)?;
        }
        Ok(())
    })
    .await
}

/// Whether no site but those that are `gone` has the name, and none at all the prefix, as far as is
/// known here.
pub(super) fn free(
    tx: &Tx<'_>,
    gone: &BTreeSet<SitePrefix>,
    wish: &PromiseWish,
) -> Result<(), Refusal> {
    if !tx
        .find(&Admission::BY_SITE, &key(&[&wish.site.to_string()]))
        .is_empty()
    {
        return Err(Refusal::PrefixKnown { site: wish.site });
    }
    let admissions = tx.all::<Admission>();
    let mut named = { admissions.iter() }.filter(|one| same_name(&one.name, &wish.name));
    if named.any(|admission| !gone.contains(&admission.site)) {
        let name = wish.name.clone();
        return Err(Refusal::NameTaken { name });
    }
    Ok(())
}
