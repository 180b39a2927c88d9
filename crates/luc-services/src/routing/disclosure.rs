//! To which sites a client's token may be shown.
//!
//! Whoever has a token may use it anywhere until it ends, and exchange it for one of another scope.
//! A site that is not trusted may be in the wrong hands; so it sees the tokens of those alone whose
//! domains live there, and for others it could do nothing anyway, for it holds nothing of them. Nor
//! does it see a token of anybody who holds a role of the whole cloud somewhere: it would be worth
//! more elsewhere than what that site may do itself with its own key. State contract, "Trust
//! between sites"; docs/decisions/0034.

use http::{HeaderMap, HeaderName};
use luc_core::SitePrefix;
use luc_core::id::DomainId;
use luc_state::Snapshot;

use crate::Services;
use crate::caller::{Caller, Scope};
use crate::identity::model::{Domain, DomainPresence};
use crate::identity::opens_cloud;

/// The headers in which tokens travel.
static TOKENS: [HeaderName; 2] = [
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-subject-token"),
];

/// Whether a request with these headers may be handed on to `site`.
pub fn may_show(services: &Services, site: SitePrefix, headers: &HeaderMap) -> bool {
    let mut tokens = TOKENS
        .iter()
        .flat_map(|name| headers.get_all(name))
        .peekable();
    if tokens.peek().is_none() {
        return true;
    }
    let all = services.sites.all();
    if all.iter().any(|view| view.site == site && view.trusted) {
        return true;
    }
    let snapshot = services.store.snapshot();
    tokens.all(|token| {
        let token = token.to_str().unwrap_or_default();
        let caller = crate::identity::authenticate(services, token);
        caller.is_ok_and(|caller| {
            is_at_home(&snapshot, site, &caller) && !opens_cloud(services, &caller.user_id)
        })
    })
}

/// Whether all that `caller` may use its token for lives at `site`.
fn is_at_home(snapshot: &Snapshot, site: SitePrefix, caller: &Caller) -> bool {
    let lives = |domain: &DomainId| {
        let presence = DomainPresence::id_of(domain.as_str(), site);
        let allowed = snapshot.get::<DomainPresence>(presence);
        let allowed = allowed.filter(|presence| presence.allowed);
        let home = snapshot.get::<Domain>(domain).map(|domain| domain.home());
        home.is_some_and(|home| {
            home == site || allowed.is_some_and(|presence| presence.home() == home)
        })
    };
    lives(&caller.user_domain.id)
        && match &caller.scope {
            Scope::Unscoped => true,
            Scope::Project { domain, .. } | Scope::Domain(domain) => lives(&domain.id),
            Scope::System => false,
        }
}
