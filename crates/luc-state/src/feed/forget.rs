//! Copies of a site that is no longer of the cloud are removed, a bounded number in each commit.
//!
//! Kinds that say who is or was of the cloud stay, and what ends tokens: others still depend on
//! them. What is removed leaves no tombstone, for nobody follows copies.

use luc_core::SitePrefix;

use super::Withheld;
use super::collect::CollectError;
use super::records::{FeedCursor, FeedFilter};
use crate::driver::describe;
use crate::kinds::Kind;
use crate::store::Store;
use crate::tx::Tx;

/// The most copies that one commit removes.
const AT_ONCE: usize = 1000;

/// What is kept of a site that has gone: whom it let in, which of its keys were revoked, and which
/// tokens it ended.
fn stays(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Site | Kind::Node | Kind::Admission | Kind::Removal | Kind::RevocationEvent
    )
}

/// Removes the copies of `home`'s records and forgets how far it was followed; how many went. To
/// be called when nobody follows it any more; a batch that is just being applied is refused then.
pub async fn forget(store: &Store, home: SitePrefix) -> Result<usize, CollectError> {
    if home == store.site() {
        return Ok(0);
    }
    let site = home.to_string();
    let mut removed = 0;
    loop {
        let done = store.transact(|tx| {
            // The place first, so that nobody goes on there; the filter last, for whoever is
            // interrupted.
            drop_note(tx, Kind::FeedCursor, &site);
            let copies = tx.of_home(home).into_iter();
            let aside = tx.all::<Withheld>().into_iter();
            let aside = aside.filter(|aside| aside.home == home);
            let aside = aside.map(|aside| (Kind::Withheld, aside.id.as_str().into()));
            let copies = copies.filter(|(kind, _)| !stays(*kind));
            let copies: Vec<_> = aside.chain(copies).collect();
            let going = copies.len().min(AT_ONCE);
            for (kind, id) in copies.into_iter().take(going) {
                tx.set(kind, &id, None);
            }
            if going < AT_ONCE {
                drop_note(tx, Kind::FeedFilter, &site);
            }
            Ok::<_, std::convert::Infallible>(going)
        });
        let going = done.await.map_err(|error| CollectError {
            reason: describe(&error),
        })?;
        removed += going.value;
        if going.value < AT_ONCE {
            return Ok(removed);
        }
    }
}

fn drop_note(tx: &mut Tx<'_>, kind: Kind, site: &str) {
    if tx.erased(kind, site).is_some() {
        tx.set(kind, &site.into(), None);
    }
}

/// Whether anything is left of `home` that [`forget`] would remove.
pub fn remembers(store: &Store, home: SitePrefix) -> bool {
    let (snapshot, site) = (store.snapshot(), home.to_string());
    let followed = snapshot.get::<FeedCursor>(&site).is_some();
    home != store.site() && (followed || snapshot.get::<FeedFilter>(&site).is_some())
}
