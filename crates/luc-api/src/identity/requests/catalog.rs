//! Bodies about the service catalog: services, endpoints, regions.

use serde::Deserialize;

use super::{check_not_empty, open_object};
use crate::body::{InvalidField, RequestBody};
use crate::version::Microversion;

/// The interfaces that an endpoint can have.
const INTERFACES: [&str; 3] = ["admin", "internal", "public"];

/// The longest URL of an endpoint, in characters.
const URL_LENGTH_MAX: usize = 225;

/// The longest type or name of a service and id of a region, in characters.
const TEXT_LENGTH_MAX: usize = 255;

open_object! {
    /// A service to be made.
    pub struct NewService {
        /// What it is, such as `compute`.
        required "type" kind: String,
        /// What it is called.
        optional "name" name: String,
        /// Whether it is in the catalog.
        optional "enabled" enabled: bool,
    }
}

open_object! {
    /// What is to change about a service.
    pub struct ServiceChange {
        /// Must be the service's own id.
        nullable "id" id: String,
        /// What it is.
        optional "type" kind: String,
        /// What it is called.
        optional "name" name: String,
        /// Whether it is in the catalog.
        optional "enabled" enabled: bool,
    }
}

/// `POST /v3/services`.
#[derive(Clone, Debug, Deserialize)]
pub struct CreateService {
    /// The service.
    pub service: NewService,
}

/// `PATCH /v3/services/{service_id}`.
#[derive(Clone, Debug, Deserialize)]
pub struct UpdateService {
    /// The changes.
    pub service: ServiceChange,
}

open_object! {
    /// An endpoint to be made.
    pub struct NewEndpoint {
        /// The service that it leads to.
        required "service_id" service_id: String,
        /// For whom: `public`, `internal` or `admin`.
        required "interface" interface: String,
        /// Where; may hold `$(project_id)s` and the like.
        required "url" url: String,
        /// The region, which must exist.
        nullable "region_id" region_id: String,
        /// The region in the old spelling; made if it does not exist.
        nullable "region" region: String,
        /// Whether it is in the catalog.
        optional "enabled" enabled: bool,
        /// What it is called.
        optional "name" name: String,
        /// What it is for.
        nullable "description" description: String,
    }
}

open_object! {
    /// What is to change about an endpoint.
    pub struct EndpointChange {
        /// Must be the endpoint's own id.
        nullable "id" id: String,
        /// The service that it leads to.
        optional "service_id" service_id: String,
        /// For whom.
        optional "interface" interface: String,
        /// Where.
        optional "url" url: String,
        /// The region, which must exist.
        nullable "region_id" region_id: String,
        /// The region in the old spelling; made if it does not exist.
        nullable "region" region: String,
        /// Whether it is in the catalog.
        optional "enabled" enabled: bool,
        /// What it is called.
        optional "name" name: String,
        /// What it is for.
        nullable "description" description: String,
    }
}

/// `POST /v3/endpoints`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEndpoint {
    /// The endpoint.
    pub endpoint: NewEndpoint,
}

/// `PATCH /v3/endpoints/{endpoint_id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateEndpoint {
    /// The changes.
    pub endpoint: EndpointChange,
}

open_object! {
    /// A region to be made.
    pub struct NewRegion {
        /// The id; none or empty means that it is chosen here.
        nullable "id" id: String,
        /// The region above.
        nullable "parent_region_id" parent_region_id: String,
        /// What the region is.
        nullable "description" description: String,
    }
}

open_object! {
    /// What is to change about a region.
    pub struct RegionChange {
        /// Must be the region's own id.
        nullable "id" id: String,
        /// The region above.
        nullable "parent_region_id" parent_region_id: String,
        /// What the region is.
        nullable "description" description: String,
    }
}

/// `POST /v3/regions` and `PUT /v3/regions/{region_id}`.
#[derive(Clone, Debug, Deserialize)]
pub struct CreateRegion {
    /// The region.
    pub region: NewRegion,
}

/// `PATCH /v3/regions/{region_id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateRegion {
    /// The changes.
    pub region: RegionChange,
}

impl RequestBody for CreateService {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_text("service.type", Some(&self.service.kind))?;
        check_text("service.name", self.service.name.as_deref())
    }
}

impl RequestBody for UpdateService {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_not_empty("service", self.service.is_empty())?;
        check_text("service.type", self.service.kind.as_deref())?;
        check_text("service.name", self.service.name.as_deref())
    }
}

impl RequestBody for CreateEndpoint {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_interface(Some(&self.endpoint.interface))?;
        check_url(Some(&self.endpoint.url))?;
        let region = self.endpoint.region.as_ref().and_then(Option::as_deref);
        check_text("endpoint.region", region)
    }
}

impl RequestBody for UpdateEndpoint {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_not_empty("endpoint", self.endpoint.is_empty())?;
        check_interface(self.endpoint.interface.as_deref())?;
        check_url(self.endpoint.url.as_deref())?;
        let region = self.endpoint.region.as_ref().and_then(Option::as_deref);
        check_text("endpoint.region", region)
    }
}

impl RequestBody for CreateRegion {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let id = self.region.id.as_ref().and_then(Option::as_deref);
        check_region("region.id", id.filter(|id| !id.is_empty()))?;
        let parent = self
            .region
            .parent_region_id
            .as_ref()
            .and_then(Option::as_deref);
        check_region("region.parent_region_id", parent)
    }
}

impl RequestBody for UpdateRegion {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_not_empty("region", self.region.is_empty())?;
        let parent = self
            .region
            .parent_region_id
            .as_ref()
            .and_then(Option::as_deref);
        check_region("region.parent_region_id", parent)
    }
}

fn check_text(field: &str, text: Option<&str>) -> Result<(), InvalidField> {
    let Some(text) = text else { return Ok(()) };
    if (1..=TEXT_LENGTH_MAX).contains(&text.chars().count()) {
        return Ok(());
    }
    let reason = format!("expected 1 to {TEXT_LENGTH_MAX} characters");
    Err(InvalidField::new(field, reason))
}

/// The id of a region stands in paths: no slash, no blanks, no control characters.
fn check_region(field: &str, id: Option<&str>) -> Result<(), InvalidField> {
    check_text(field, id)?;
    let odd = |c: char| c == '/' || c.is_control() || c.is_whitespace();
    if id.is_some_and(|id| id.contains(odd)) {
        return Err(InvalidField::new(
            field,
            "an id has no '/', blanks or control characters",
        ));
    }
    Ok(())
}

fn check_interface(interface: Option<&str>) -> Result<(), InvalidField> {
    let Some(interface) = interface else {
        return Ok(());
    };
    if INTERFACES.contains(&interface) {
        return Ok(());
    }
    let reason = format!("'{interface}' is not one of ['admin', 'internal', 'public']");
    Err(InvalidField::new("endpoint.interface", reason))
}

/// What stands for the address under which a caller reached a node, at the beginning of a URL.
pub const BASE_URL: &str = "$(base_url)s";

/// A scheme, a colon, something; short enough. Our own substitution may stand for the beginning.
fn check_url(url: Option<&str>) -> Result<(), InvalidField> {
    let Some(url) = url else { return Ok(()) };
    let scheme_fits = url.split_once(':').is_some_and(|(scheme, rest)| {
        let of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
        !scheme.is_empty() && scheme.bytes().all(of_scheme) && !rest.is_empty()
    });
    let fits = scheme_fits || url.starts_with(BASE_URL);
    if fits && url.chars().count() <= URL_LENGTH_MAX {
        return Ok(());
    }
    let reason = format!("expected a URL of at most {URL_LENGTH_MAX} characters");
    Err(InvalidField::new("endpoint.url", reason))
}
