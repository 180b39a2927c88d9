//! Which site carries out a request, and how it gets there.
//!
//! Every node answers for the whole cloud. A request is carried out here unless
//!
//! 1. its path names a record that lives elsewhere and it would change it, or only the home can
//!    answer ([`prior`]);
//! 2. its path names a record that is not held here and was born elsewhere ([`prior`]);
//! 3. its handler ended in [`ApiError::Elsewhere`](luc_api::ApiError::Elsewhere): the store refused
//!    to write a record of another site, and nothing was changed;
//! 4. its project may not live here, and it reads ([`prior`], `identity::residency`);
//! 5. it lists what no site knows of another ([`gather`]).
//!
//! Then [`forward`] hands it on as it came, under an operation id if it writes. What arrives from
//! another site carries [`FromSite`] among its extensions; only the fabric's side of `luc` puts
//! that there ([`wire`]). Between sites a few headers say more; they are taken from what clients
//! send and never reach one.

mod belief;
pub(crate) mod departed;
pub mod disclosure;
pub(crate) mod forward;
pub(crate) mod gather;
mod names;
pub(crate) mod numbers;
pub(crate) mod prior;
pub(crate) mod spill;
pub(crate) mod stale;
pub mod wire;

use axum::body::Body;
use http::HeaderMap;
use http::header::HeaderName;
use luc_core::SitePrefix;
use luc_core::id::OpId;

use crate::ports::sites::OperationSeed;
use crate::request::Place;

/// Which site handed a request on. Nobody but the fabric's side may put it into the extensions of
/// a request: it opens what clients must not reach.
#[derive(Clone, Debug)]
pub struct FromSite {
    /// The site that handed it on.
    pub site: SitePrefix,
    /// Under which a write happens once.
    pub operation: Option<OperationSeed>,
}

/// Answer from what is here, and ask nobody.
pub(crate) static ALONE: HeaderName = HeaderName::from_static("luc-alone");
/// How often the request has been handed on.
pub(crate) static HOPS: HeaderName = HeaderName::from_static("luc-hops");
/// Place what is made here, or say that there is no room.
pub(crate) static PLACE: HeaderName = HeaderName::from_static("luc-place");
/// In answers: there was no room, and nothing was done.
pub(crate) static NO_ROOM: HeaderName = HeaderName::from_static("luc-no-room");
/// In answers: the site that carried it out.
pub(crate) static HOME: HeaderName = HeaderName::from_static("luc-home");
/// In answers: the revision of its store afterwards.
pub(crate) static REVISION: HeaderName = HeaderName::from_static("luc-revision");

/// Headers that only sites send each other.
static INTERNAL: [&HeaderName; 8] = [
    &ALONE,
    &PLACE,
    &HOPS,
    &HOME,
    &REVISION,
    &wire::OPERATION,
    &wire::SEED,
    &wire::SEEN,
];

/// How a request came to this site.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrival {
    /// The site that handed it on; none if a client asks here.
    pub(crate) from: Option<FromSite>,
    /// Whether it is to be answered from what is here.
    pub(crate) alone: bool,
    /// Where what it makes may be placed.
    pub(crate) place: Place,
    /// How often it has been handed on.
    pub(crate) hops: u8,
}

impl Arrival {
    /// How `request` came here. Takes the internal headers off it, and with them whatever a client
    /// may have put there.
    pub(crate) fn of(request: &mut http::Request<Body>) -> Self {
        let from = request.extensions_mut().remove::<FromSite>();
        let headers = request.headers_mut();
        let alone = headers.contains_key(&ALONE);
        let place = if headers.contains_key(&PLACE) {
            Place::Here
        } else {
            Place::Anywhere
        };
        let hops = headers.get(&HOPS).and_then(|hops| hops.to_str().ok());
        let hops = hops.and_then(|hops| hops.parse().ok()).unwrap_or_default();
        strip(headers);
        match from {
            None => Self::default(),
            from => Self {
                from,
                alone,
                place,
                hops,
            },
        }
    }

    /// The operation under which it runs.
    pub(crate) fn operation(&self) -> Option<&OperationSeed> {
        self.from.as_ref()?.operation.as_ref()
    }
}

/// Takes the internal headers away.
pub(crate) fn strip(headers: &mut HeaderMap) {
    for name in INTERNAL {
        headers.remove(name);
    }
}

/// An operation id as it stands in an answer and in `luc op show`.
pub(crate) fn shown(operation: &OpId) -> String {
    operation.as_str().to_owned()
}
