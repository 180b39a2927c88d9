//! The image of a server: which one is meant, and whether it fits the flavor.

use std::sync::Arc;

use luc_api::ApiError;
use luc_api::policy::Attributes;
use luc_core::units::DiskGib;
use luc_state::{Snapshot, Stored};

use crate::compute::model::flavor::Flavor;
use crate::compute::model::server::{FlavorCopy, ImageCopy};
use crate::compute::server::access;
use crate::image::Images;
use crate::image::model::{Image, Status};
use crate::request::Request;

const GIB: u64 = 1 << 30;

/// What properties a server keeps: those that hypervisors and the scheduler read.
const PREFIXES: [&str; 3] = ["hw_", "img_", "os_"];
const NAMES: [&str; 4] = ["architecture", "hypervisor_type", "vm_mode", "kernel_id"];

/// The image `id`, if the caller may see it.
pub(in super::super) fn find(
    snapshot: &Snapshot,
    request: &Request,
    id: &str,
) -> Option<Arc<Stored<Image>>> {
    if access::is_admin(request) {
        return snapshot.get::<Image>(id);
    }
    let caller = request.caller().ok()?;
    Images::find(snapshot, id, caller.project_id()?)
}

/// Refuses an image without data.
pub(in super::super) fn usable(image: &Image) -> Result<(), ApiError> {
    if image.status == Status::Active {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "Image {} is not active.",
        image.id
    )))
}

/// What a server keeps of its image.
pub(in super::super) fn copy_of(image: &Image) -> ImageCopy {
    let kept = |name: &str| {
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let bytes = image
        .data
        .as_ref()
        .map_or(0, |data| data.virtual_size.unwrap_or(data.size));
    ImageCopy {
        id: image.id.clone(),
        min_disk: image.min_disk,
        min_ram: image.min_ram,
        disk: DiskGib(bytes.div_ceil(GIB)),
        properties: image
            .properties
            .iter()
            .filter(|(name, _)| kept(name))
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
            .collect(),
    }
}

/// Refuses a flavor that is too small for an image, or that has no disk of its own unless the
/// caller may use such.
pub(in super::super) fn check_fit(
    request: &Request,
    target: &Attributes<'_>,
    flavor: &Flavor,
    image: &ImageCopy,
) -> Result<(), ApiError> {
    check_copy_fits(&super::copy_of_flavor(flavor), image)?;
    let rule = "os_compute_api:servers:create:zero_disk_flavor";
    if flavor.disk == DiskGib::ZERO && !request.may(rule, target) {
        return Err(ApiError::forbidden(
            "Only volume-backed servers are allowed for flavors with zero disk.",
        ));
    }
    Ok(())
}

/// Refuses a flavor that is too small for an image.
pub(in super::super) fn check_copy_fits(
    flavor: &FlavorCopy,
    image: &ImageCopy,
) -> Result<(), ApiError> {
    if flavor.ram < image.min_ram {
        return Err(ApiError::bad_request(
            "Flavor's memory is too small for requested image.",
        ));
    }
    if flavor.disk == DiskGib::ZERO {
        return Ok(());
    }
    let flavor_size = flavor.disk.get() * GIB;
    if flavor.disk < image.disk {
        return Err(ApiError::bad_request(format!(
            "Flavor's disk is too small for requested image. Flavor disk is {flavor_size} bytes, \
             image is {} bytes.",
            image.disk.get() * GIB
        )));
    }
    if flavor.disk < image.min_disk {
        return Err(ApiError::bad_request(format!(
            "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor \
             disk is {flavor_size} bytes, minimum size is {} bytes.",
            image.min_disk.get() * GIB
        )));
    }
    Ok(())
}
