//! What a request names in its body and another site made a moment ago.
//!
//! Images, flavors and server groups come as copies, some tens of milliseconds after they were made
//! at their homes. A client that made one through another site would be told meanwhile that there
//! is no such thing. So whatever is missing here, or not ready, is asked for at its home, as the
//! client itself could ask there; if it is there, its copy is waited for. A home that is silent
//! costs nothing but that the request is answered from what is here.

use futures::future::join_all;
use http::Uri;
use luc_core::SitePrefix;
use luc_state::Snapshot;

use crate::Services;
use crate::compute::model::flavor::Flavor;
use crate::compute::model::server_group::ServerGroup;
use crate::identity::model::{DEFAULT_DOMAIN, Domain};
use crate::image::model::{Image, Status};
use crate::request::Request;
use crate::routing::forward::fetch;
use crate::routing::prior::foreign_birth;

/// What a body names, by id.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct References<'a> {
    pub(super) image: Option<&'a str>,
    pub(super) flavor: Option<&'a str>,
    pub(super) group: Option<&'a str>,
}

impl References<'_> {
    /// Waits for the copies of what is at its home and not yet here.
    pub(super) async fn come(&self, services: &Services, request: &Request) {
        let snapshot = services.store.snapshot();
        let wanted = self.missing(services, &snapshot);
        let asked = wanted.iter().map(async |(home, path)| {
            let Ok(uri) = path.parse::<Uri>() else {
                return;
            };
            let found = fetch(services, *home, uri, &request.headers).await;
            tracing::debug!(%home, path, found, "something that is not here yet was asked for");
        });
        join_all(asked).await;
    }

    /// What is to be asked for, and where.
    fn missing(&self, services: &Services, snapshot: &Snapshot) -> Vec<(SitePrefix, String)> {
        let mut missing = Vec::new();
        let mut add = |home: Option<SitePrefix>, collection: &str, id: &str| {
            let home = home.filter(|home| *home != services.site && is_plain(id));
            missing.extend(home.map(|home| (home, format!("{collection}/{id}"))));
        };
        if let Some(id) = self.image {
            let held = snapshot.get::<Image>(id);
            if held
                .as_ref()
                .is_none_or(|image| image.status != Status::Active)
            {
                let birth = || foreign_birth(services, id);
                let home = held.map_or_else(birth, |image| Some(image.home()));
                add(home, "/image/v2/images", id);
            }
        }
        if let Some(id) = self.group
            && snapshot.get::<ServerGroup>(id).is_none()
        {
            add(
                foreign_birth(services, id),
                "/compute/v2.1/os-server-groups",
                id,
            );
        }
        if let Some(id) = self.flavor
            && snapshot.get::<Flavor>(id).is_none()
        {
            // Flavors live where the default domain does.
            let default = snapshot.get::<Domain>(DEFAULT_DOMAIN);
            let home = default.map(|domain| domain.home());
            add(home, "/compute/v2.1/flavors", id);
        }
        missing
    }
}

/// Whether `id` may stand in a path as it is: clients choose some ids.
fn is_plain(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !id.is_empty() && id.len() <= 255 && !id.starts_with('.') && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_an_id_that_is_one_segment_of_a_path_is_asked_for() {
        for good in [
            "1",
            "m1.nano",
            "0a29bdf9-5ea7-801a-ac84-7e2f6f5f849b",
            "a_b",
        ] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "",
            "..",
            ".",
            "a/b",
            "a?b",
            "a%2fb",
            "a b",
            "ä",
            &"a".repeat(256),
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
