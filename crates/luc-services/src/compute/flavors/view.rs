//! Flavors as JSON, by microversion.
//!
//! 2.55 adds the description, 2.61 the extra specs; from 2.75 no swap is 0 instead of "".

use serde_json::{Value, json};

use crate::compute::model::flavor::Flavor;
use crate::compute::page::links;
use crate::request::Request;

/// Id and name.
pub(super) fn brief(request: &Request, flavor: &Flavor) -> Value {
    let mut shown = json!({
        "id": flavor.id,
        "name": flavor.name,
        "links": links(&request.base_url, "flavors", flavor.id.as_str()),
    });
    if request.version.at_least(2, 55) {
        shown["description"] = json!(flavor.description);
    }
    shown
}

/// All of it; the extra specs only if the caller may see them.
pub(super) fn whole(request: &Request, flavor: &Flavor, extra_specs: bool) -> Value {
    let mut shown = brief(request, flavor);
    shown["ram"] = json!(flavor.ram);
    shown["disk"] = json!(flavor.disk);
    shown["swap"] = match flavor.swap.get() {
        0 if !request.version.at_least(2, 75) => json!(""),
        swap => json!(swap),
    };
    shown["OS-FLV-EXT-DATA:ephemeral"] = json!(flavor.ephemeral);
    shown["OS-FLV-DISABLED:disabled"] = json!(flavor.disabled);
    shown["vcpus"] = json!(flavor.vcpus);
    shown["os-flavor-access:is_public"] = json!(flavor.is_public);
    shown["rxtx_factor"] = json!(flavor.rxtx_factor);
    if extra_specs {
        shown["extra_specs"] = json!(flavor.extra_specs);
    }
    shown
}
