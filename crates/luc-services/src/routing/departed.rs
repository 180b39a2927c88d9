//! What is said of an id that was made at a site which is no longer of the cloud: that it is not
//! found is all that one learns otherwise, and nobody is left to ask.

use luc_api::ApiError;
use luc_core::{SitePrefix, Uuid};
use luc_state::{Snapshot, key};

use crate::Services;
use crate::sites::{Admission, Members, Removal};

/// The refusal, with the name of the site where what the path names was made if that was removed.
pub(crate) fn explained(
    services: &Services,
    params: &[(&'static str, String)],
    refusal: ApiError,
) -> ApiError {
    let ApiError::NotFound { message } = &refusal else {
        return refusal;
    };
    let snapshot = services.store.snapshot();
    let mut gone = params.iter().filter_map(|(_, id)| {
        let birth = Uuid::parse(id).ok()?.birth_site()?;
        Some((id, removed(services, &snapshot, birth)?))
    });
    let Some((id, site)) = gone.next() else {
        return refusal;
    };
    ApiError::not_found(format!(
        "{message} {id} was made at site {site}, which was removed from this cloud."
    ))
}

/// The name of the site of this prefix, if it was removed.
fn removed(services: &Services, snapshot: &Snapshot, site: SitePrefix) -> Option<String> {
    let known = key(&[&site.to_string()]);
    snapshot.find(&Removal::BY_SITE, &known).next()?;
    let members = Members::of(snapshot, services.site);
    if !members.removed.contains(&site) {
        return None;
    }
    let admission = snapshot.find(&Admission::BY_SITE, &known).next();
    Some(admission.map_or_else(|| site.to_string(), |admission| admission.name.clone()))
}
