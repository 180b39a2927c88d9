//! The service catalog: services, their endpoints, and regions.

use luc_core::id::{EndpointId, RegionId, ServiceId};
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

use super::Extra;

/// A service of the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogService {
    /// The id.
    pub id: ServiceId,
    /// What it is, such as `compute`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is called.
    pub name: String,
    /// Whether it is shown in catalogs.
    pub enabled: bool,
    /// Attributes that are only kept, `description` among them.
    #[serde(default)]
    pub extra: Extra,
}

impl CatalogService {
    /// Finds services by type.
    pub const BY_TYPE: Index<Self> = Index::plain("type", |service| vec![key(&[&service.kind])]);
}

impl Record for CatalogService {
    const KIND: Kind = Kind::Service;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_TYPE];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}

/// An endpoint of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogEndpoint {
    /// The id.
    pub id: EndpointId,
    /// The service that it leads to.
    pub service_id: ServiceId,
    /// For whom: `public`, `internal` or `admin`.
    pub interface: String,
    /// Where, with substitutions such as `$(project_id)s`.
    pub url: String,
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_id: Option<RegionId>,
    /// Whether it is shown in catalogs.
    pub enabled: bool,
    /// Attributes that are only kept, `name` and `description` among them.
    #[serde(default)]
    pub extra: Extra,
}

impl CatalogEndpoint {
    /// Finds the endpoints of a service.
    pub const BY_SERVICE: Index<Self> = Index::plain("service", |endpoint| {
        vec![key(&[endpoint.service_id.as_str()])]
    });

    /// Finds the endpoints of a region.
    pub const BY_REGION: Index<Self> = Index::plain("region", |endpoint| {
        endpoint
            .region_id
            .iter()
            .map(|region| key(&[region.as_str()]))
            .collect()
    });
}

impl Record for CatalogEndpoint {
    const KIND: Kind = Kind::Endpoint;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_SERVICE, Self::BY_REGION];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}

/// A region of the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// The id, which the client may choose.
    pub id: RegionId,
    /// What the region is.
    pub description: String,
    /// The region above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RegionId>,
    /// Attributes that are only kept.
    #[serde(default)]
    pub extra: Extra,
}

impl Region {
    /// Finds the regions right below a region.
    pub const BY_PARENT: Index<Self> = Index::plain("parent", |region| {
        region
            .parent
            .iter()
            .map(|parent| key(&[parent.as_str()]))
            .collect()
    });
}

impl Record for Region {
    const KIND: Kind = Kind::Region;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_PARENT];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}
