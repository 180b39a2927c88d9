//! From a request to the servers it asks for: everything that can be checked before the
//! transaction that creates them.
//!
//! A [`Plan`] is a server without a name of its own, an id or a host, and how many of it there are
//! to be. Refusals and their order are Nova's (`servers.py`, `create`, and `compute/api.py`,
//! `_create_instance`).

mod image;
mod wish;

use luc_api::ApiError;
use luc_api::compute::parameter::decode_base64;
use luc_api::compute::server_create::{CreateServer, DestinationType, NewServer, SourceType};
use luc_api::compute::server_create::{DiskConfig, InjectedFile as WireFile, Networks};
use luc_api::policy::Attributes;
use luc_api::value::{LooseBool, LooseInt, Secret};
use luc_core::id::{ProjectId, ServerId, UserId};
use luc_state::Snapshot;

use super::password;
use crate::Services;
use crate::compute::model::flavor::Flavor;
use crate::compute::model::keypair::Keypair;
use crate::compute::model::quota::Resource;
use crate::compute::model::server::{
    Connection, FlavorCopy, ImageCopy, InjectedFile, LoginKey, Personal, Server, Wish,
};
use crate::compute::quota::Held;
use crate::image::model::Image;
use crate::ports::Drawn;
use crate::request::Request;

pub(super) use image::{check_copy_fits, check_fit, copy_of, find as find_image, usable};
pub(super) use wish::zones as open_zones;

/// The most servers of one request.
const COUNT_MAX: u32 = 2_000;

/// The servers that a request asks for.
pub(super) struct Plan {
    /// What all of them are; name, id and index are those of none.
    pub(super) template: Server,
    /// At least how many.
    pub(super) least: u32,
    /// At most how many.
    pub(super) most: u32,
    /// The password, to be told once.
    pub(super) admin_pass: String,
    /// The security groups of the request, to be told back.
    pub(super) security_groups: Vec<String>,
    /// Whether to answer with the reservation alone.
    pub(super) only_reservation: bool,
}

/// Works out what `body` asks for. Checks every rule that Nova checks.
pub(super) fn plan(
    services: &Services,
    snapshot: &Snapshot,
    request: &Request,
    body: CreateServer,
) -> Result<Plan, ApiError> {
    let project = request.project_id()?;
    let asked_zone = body.server.availability_zone.clone();
    let target = request
        .own_target()
        .with("availability_zone", asked_zone.as_deref());
    request.authorize(&target)?;
    let (least, most) = counts(&body.server)?;
    check_certificates(
        request,
        &target,
        body.server.trusted_image_certificates.as_deref(),
    )?;
    let wish = wish::of(snapshot, request, &target, &body)?;
    check_devices(request, &target, &body.server)?;
    let image = requested_image(snapshot, request, &body.server)?;
    let connection = connection(request, &target, body.server.networks.as_ref())?;
    let flavor = flavor(snapshot, request, body.server.flavor.id())?;
    let security_groups = security_groups(&body.server, project)?;
    usable(&image)?;
    check_fit(request, &target, &flavor, &copy_of(&image))?;
    let copies = Copies {
        flavor: copy_of_flavor(&flavor),
        image: copy_of(&image),
        connection,
        wish,
    };
    let only_reservation = body
        .server
        .return_reservation_id
        .is_some_and(|LooseBool(wanted)| wanted);
    let (template, admin_pass) = template(services, snapshot, request, body.server, copies)?;
    Ok(Plan {
        template,
        least,
        most,
        admin_pass,
        security_groups,
        only_reservation,
    })
}

/// What a server keeps of the things its request names.
struct Copies {
    flavor: FlavorCopy,
    image: ImageCopy,
    connection: Connection,
    wish: Wish,
}

/// The server that all servers of the request are like, and the password it gets.
fn template(
    services: &Services,
    snapshot: &Snapshot,
    request: &Request,
    server: NewServer,
    copies: Copies,
) -> Result<(Server, String), ApiError> {
    let user = &request.caller()?.user_id;
    let project = request.project_id()?.clone();
    let held = Held::of(snapshot, project.as_str());
    check_metadata_quota(&held, user, server.metadata.len())?;
    let files = injected_files(&held, user, &server.personality)?;
    let key = server.key_name.as_deref();
    let key = key
        .map(|name| login_key(snapshot, user, name))
        .transpose()?;
    let mut drawn = Drawn(&*services.random);
    let admin_pass = match server.admin_pass {
        Some(given) => given.reveal().to_owned(),
        None => password::generate(&mut drawn),
    };
    let named_description = !request.version.at_least(2, 19);
    let personal = Personal {
        hostname: String::new(),
        key,
        user_data: server.user_data,
        files,
        config_drive: server.config_drive.is_some_and(|LooseBool(wanted)| wanted),
        admin_pass: Some(Secret::new(admin_pass.clone())),
    };
    let template = Server {
        description: if named_description {
            Some(server.name.clone())
        } else {
            server.description
        },
        name: server.name,
        reservation: password::reservation_id(&mut drawn),
        auto_disk_config: server.disk_config == Some(DiskConfig::Auto),
        access_ipv4: server.access_ipv4,
        access_ipv6: server.access_ipv6,
        metadata: server.metadata,
        tags: server.tags.into_iter().collect(),
        connection: copies.connection,
        wish: copies.wish,
        ..Server::unborn(
            // Replaced for each server.
            ServerId::born_at(services.site, &mut drawn),
            (project, user.clone()),
            (copies.flavor, copies.image),
            personal,
            request.now,
        )
    };
    Ok((template, admin_pass))
}

fn counts(server: &NewServer) -> Result<(u32, u32), ApiError> {
    let count = |count: Option<LooseInt>| count.map(|LooseInt(n)| u32::try_from(n).unwrap_or(1));
    let least = count(server.min_count).unwrap_or(1);
    let most = count(server.max_count).unwrap_or(least);
    if least > most {
        return Err(ApiError::bad_request("min_count must be <= max_count"));
    }
    if most > COUNT_MAX {
        let reason = format!("is more than the {COUNT_MAX} servers that one request may ask for");
        return Err(ApiError::invalid("server.max_count", reason));
    }
    Ok((least, most))
}

/// Nobody here verifies signatures of images, so nobody may be promised that they were verified.
pub(super) fn check_certificates(
    request: &Request,
    target: &Attributes<'_>,
    certificates: Option<&[String]>,
) -> Result<(), ApiError> {
    if certificates.is_none_or(<[String]>::is_empty) {
        return Ok(());
    }
    request.authorize_as("os_compute_api:servers:create:trusted_certs", target)?;
    Err(ApiError::bad_request(
        "Image certificate validation is not there yet: leave trusted_image_certificates out.",
    ))
}

/// Of all disks only the one that the image becomes is there yet.
fn check_devices(
    request: &Request,
    target: &Attributes<'_>,
    server: &NewServer,
) -> Result<(), ApiError> {
    let legacy = &server.block_device_mapping;
    let devices = &server.block_device_mapping_v2;
    if legacy.is_empty() && devices.is_empty() {
        return Ok(());
    }
    if !legacy.is_empty() && !devices.is_empty() {
        return Err(ApiError::bad_request(
            "Using different block_device_mapping syntaxes is not allowed in the same request.",
        ));
    }
    request.authorize_as("os_compute_api:servers:create:attach_volume", target)?;
    let invalid = |details: String| {
        Err(ApiError::bad_request(format!(
            "Block Device Mapping is Invalid: {details}"
        )))
    };
    if !legacy.is_empty() {
        return invalid("volumes are not there yet; boot from an image.".to_owned());
    }
    for (index, device) in devices.iter().enumerate() {
        let at = format!("block_device_mapping_v2.{index}");
        let Some(source) = device.source_type else {
            return invalid(format!("{at}.source_type is required."));
        };
        let local = device.destination_type.unwrap_or(DestinationType::Local);
        let boots = device.boot_index.is_some_and(|LooseInt(index)| index == 0);
        if source != SourceType::Image || local != DestinationType::Local {
            return invalid(format!(
                "{at}: volumes, snapshots and blank disks are not there yet; only an image on a \
                 local disk is accepted."
            ));
        }
        if !boots {
            return invalid(format!(
                "{at}: an image on a local disk has to have boot_index 0."
            ));
        }
        let of_image = server.image.as_deref().filter(|image| !image.is_empty());
        if device
            .uuid
            .as_deref()
            .is_none_or(|uuid| of_image.is_some_and(|image| image != uuid))
        {
            return invalid(format!("{at}.uuid has to be the image of the server."));
        }
    }
    if devices.len() > 1 {
        return invalid(
            "Boot sequence for the instance and image/block device mapping \
                        combination is not valid."
                .to_owned(),
        );
    }
    Ok(())
}

fn requested_image(
    snapshot: &Snapshot,
    request: &Request,
    server: &NewServer,
) -> Result<std::sync::Arc<luc_state::Stored<Image>>, ApiError> {
    let Some(id) = server.image_id() else {
        return Err(ApiError::bad_request("Missing imageRef attribute"));
    };
    image::find(snapshot, request, id)
        .ok_or_else(|| ApiError::bad_request("Can not find requested image"))
}

fn connection(
    request: &Request,
    target: &Attributes<'_>,
    networks: Option<&Networks>,
) -> Result<Connection, ApiError> {
    let attach = || request.authorize_as("os_compute_api:servers:create:attach_network", target);
    match networks {
        None => Ok(Connection::Auto),
        Some(Networks::Word(word)) if word == "none" => Ok(Connection::None),
        Some(Networks::Word(_)) => attach().map(|()| Connection::Auto),
        Some(Networks::List(list)) if list.is_empty() => Ok(Connection::Auto),
        Some(Networks::List(list)) => {
            attach()?;
            for network in list {
                if network.port.is_none() && network.uuid.is_none() {
                    return Err(ApiError::bad_request("Bad network format: missing 'uuid'"));
                }
            }
            Err(ApiError::invalid(
                "server.networks",
                "Tenant networks are not there yet: use 'auto' (outbound access through the host) \
                 or 'none', both from microversion 2.37 on, or leave it out before.",
            ))
        }
    }
}

/// The flavor `id`, if the caller may use it.
pub(super) fn flavor(
    snapshot: &Snapshot,
    request: &Request,
    id: &str,
) -> Result<std::sync::Arc<luc_state::Stored<Flavor>>, ApiError> {
    let project = request.caller()?.project_id();
    snapshot
        .get::<Flavor>(id)
        .filter(|flavor| {
            let open = project.is_some_and(|project| flavor.is_open_to(project));
            !flavor.disabled && (open || super::access::is_admin(request))
        })
        .ok_or_else(|| ApiError::bad_request(format!("Flavor {id} could not be found.")))
}

/// What a server keeps of its flavor.
pub(super) fn copy_of_flavor(flavor: &Flavor) -> FlavorCopy {
    FlavorCopy {
        id: flavor.id.clone(),
        name: flavor.name.clone(),
        vcpus: flavor.vcpus,
        ram: flavor.ram,
        disk: flavor.disk,
        ephemeral: flavor.ephemeral,
        swap: flavor.swap,
        extra_specs: flavor.extra_specs.clone(),
    }
}

fn security_groups(server: &NewServer, project: &ProjectId) -> Result<Vec<String>, ApiError> {
    let Some(groups) = &server.security_groups else {
        return Ok(vec!["default".to_owned()]);
    };
    let names: Vec<String> = groups
        .iter()
        .filter_map(|group| group.name.clone())
        .collect();
    match names.iter().find(|name| *name != "default") {
        None => Ok(names),
        Some(name) => Err(ApiError::bad_request(format!(
            "Security group {name} not found for project {project}. (Security groups come with \
             tenant networks, which are not there yet.)"
        ))),
    }
}

/// Refuses more metadata items than the quota admits.
pub(super) fn check_metadata_quota(
    held: &Held,
    user: &UserId,
    count: usize,
) -> Result<(), ApiError> {
    let allowance = held.allowance(Some(user));
    if allowance.admits(Resource::MetadataItems, count as u64) {
        return Ok(());
    }
    let limit = allowance.limit(Resource::MetadataItems);
    let message = format!("Maximum number of metadata items exceeds {limit}");
    Err(ApiError::QuotaExceeded { message })
}

/// The files to write into a server, within the quota.
pub(super) fn injected_files(
    held: &Held,
    user: &UserId,
    files: &[WireFile],
) -> Result<Vec<InjectedFile>, ApiError> {
    let allowance = held.allowance(Some(user));
    let over = |message: String| Err(ApiError::QuotaExceeded { message });
    if !allowance.admits(Resource::InjectedFiles, files.len() as u64) {
        return over("Personality file limit exceeded".to_owned());
    }
    for file in files {
        if !allowance.admits(Resource::InjectedFilePathBytes, file.path.len() as u64) {
            let limit = allowance.limit(Resource::InjectedFilePathBytes);
            return over(format!("Personality file path exceeds maximum {limit}"));
        }
        let length = decode_base64(&file.contents).map_or(0, |bytes| bytes.len());
        if !allowance.admits(Resource::InjectedFileContentBytes, length as u64) {
            let limit = allowance.limit(Resource::InjectedFileContentBytes);
            return over(format!("Personality file content exceeds maximum {limit}"));
        }
    }
    let copy = |file: &WireFile| InjectedFile {
        path: file.path.clone(),
        contents: file.contents.clone(),
    };
    Ok(files.iter().map(copy).collect())
}

/// The public half of `user`'s key pair `name`.
pub(super) fn login_key(
    snapshot: &Snapshot,
    user: &UserId,
    name: &str,
) -> Result<LoginKey, ApiError> {
    let pair = snapshot
        .get::<Keypair>(Keypair::record_id(user, name))
        .ok_or_else(|| ApiError::bad_request("Invalid key_name provided."))?;
    Ok(LoginKey {
        name: pair.name.clone(),
        kind: pair.kind,
        public_key: pair.public_key.clone(),
    })
}
