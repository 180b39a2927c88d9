//! The services of the cloud: their place in the URL space and in the catalog.

use crate::version::{Microversion, VersionRange};

/// One OpenStack service behind the common port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Keystone's API, v3.
    Identity,
    /// Glance's API, v2.
    Image,
    /// Nova's API, v2.1 with microversions.
    Compute,
}

/// What the catalog and the URL space say of a service.
#[derive(Debug)]
pub struct ServiceFacts {
    /// The first path segment.
    pub prefix: &'static str,
    /// The path segment of the API version.
    pub version_segment: &'static str,
    /// The type in the service catalog.
    pub catalog_type: &'static str,
    /// The name in the service catalog.
    pub catalog_name: &'static str,
    /// The service's word in `OpenStack-API-Version`, if it has microversions.
    pub microversion_name: Option<&'static str>,
    /// The microversions that are served; advertised only as far as they are tested.
    pub microversions: VersionRange,
}

static IDENTITY: ServiceFacts = ServiceFacts {
    prefix: "/identity",
    version_segment: "/v3",
    catalog_type: "identity",
    catalog_name: "keystone",
    microversion_name: None,
    microversions: VersionRange::exactly(Microversion::new(3, 14)),
};

static IMAGE: ServiceFacts = ServiceFacts {
    prefix: "/image",
    version_segment: "/v2",
    catalog_type: "image",
    catalog_name: "glance",
    microversion_name: None,
    microversions: VersionRange::exactly(Microversion::new(2, 9)),
};

static COMPUTE: ServiceFacts = ServiceFacts {
    prefix: "/compute",
    version_segment: "/v2.1",
    catalog_type: "compute",
    catalog_name: "nova",
    microversion_name: Some("compute"),
    microversions: VersionRange::new(Microversion::new(2, 1), Microversion::new(2, 79)),
};

impl Service {
    /// All services, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Identity, Self::Image, Self::Compute];

    /// What the catalog and the URL space say of it.
    pub fn facts(self) -> &'static ServiceFacts {
        match self {
            Self::Identity => &IDENTITY,
            Self::Image => &IMAGE,
            Self::Compute => &COMPUTE,
        }
    }

    /// The service that the first segment of `path` names.
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| {
            path.strip_prefix(service.facts().prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The URL that the catalog gives for this service at a node reached as `base`.
    pub fn url(self, base: &str) -> String {
        let facts = self.facts();
        match self {
            // Glance's catalog entry carries no version; its clients discover it.
            Self::Image => format!("{base}{}", facts.prefix),
            _ => format!("{base}{}{}", facts.prefix, facts.version_segment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_service_whose_whole_prefix_it_has() {
        assert_eq!(
            Service::of_path("/compute/v2.1/servers"),
            Some(Service::Compute)
        );
        assert_eq!(Service::of_path("/identity"), Some(Service::Identity));
        assert_eq!(Service::of_path("/computer"), None);
        assert_eq!(Service::of_path("/"), None);
    }
}
