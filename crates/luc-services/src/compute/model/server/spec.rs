//! What a server's owner asked for: size, image, connection, place, and what its guest gets.

use std::collections::BTreeMap;

use luc_api::value::Secret;
use luc_core::id::{FlavorId, ImageId, ServerGroupId, ServerId};
use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use serde::{Deserialize, Serialize};

use crate::compute::host::Resources;
use crate::compute::model::keypair::KeypairType;

/// The flavor a server was made with; the flavor itself may change or go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlavorCopy {
    /// Its id.
    pub id: FlavorId,
    /// Its name.
    pub name: String,
    /// Virtual processors.
    pub vcpus: Vcpus,
    /// Memory.
    pub ram: MemoryMib,
    /// The root disk; zero means as big as the image.
    pub disk: DiskGib,
    /// The ephemeral disk beside it.
    pub ephemeral: DiskGib,
    /// The swap disk.
    pub swap: MemoryMib,
    /// What the scheduler and the hypervisor are told.
    #[serde(default)]
    pub extra_specs: BTreeMap<String, String>,
}

/// What a server knows of its image; the image itself may go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageCopy {
    /// Its id.
    pub id: ImageId,
    /// The smallest disk it boots from.
    #[serde(default)]
    pub min_disk: DiskGib,
    /// The least memory it boots with.
    #[serde(default)]
    pub min_ram: MemoryMib,
    /// The disk it unpacks to.
    #[serde(default)]
    pub disk: DiskGib,
    /// Its properties, which hypervisors and the scheduler read.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// How a server is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    /// Not at all.
    None,
    /// Through its host's user-mode network: it reaches out, nobody reaches in.
    Auto,
}

/// The public key that a server's user logs in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginKey {
    /// The name of the key pair.
    pub name: String,
    /// What kind of key it is.
    pub kind: KeypairType,
    /// The public half.
    pub public_key: String,
}

/// A file that is written into a server before its first boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedFile {
    /// Where it goes.
    pub path: String,
    /// What it holds, in base64.
    pub contents: String,
}

/// What the guest gets to configure itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Personal {
    /// Its host name.
    pub hostname: String,
    /// Its key.
    #[serde(default)]
    pub key: Option<LoginKey>,
    /// For cloud-init, in base64.
    #[serde(default)]
    pub user_data: Option<String>,
    /// Files.
    #[serde(default)]
    pub files: Vec<InjectedFile>,
    /// Whether it gets a config drive; its host may decide so without this.
    #[serde(default)]
    pub config_drive: bool,
    /// The administrator's password, kept only until the server has been built.
    #[serde(default)]
    pub admin_pass: Option<Secret>,
}

/// What was asked of the scheduler; kept for every later choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// In this availability zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// On this host.
    #[serde(default)]
    pub host: Option<String>,
    /// On the host with this hypervisor.
    #[serde(default)]
    pub hypervisor: Option<String>,
    /// Whether the host was forced, past the filters.
    #[serde(default)]
    pub forced: bool,
    /// Not where one of these runs.
    #[serde(default)]
    pub different_host: Vec<ServerId>,
    /// Where one of these runs.
    #[serde(default)]
    pub same_host: Vec<ServerId>,
    /// As the policy of this group says.
    #[serde(default)]
    pub group: Option<ServerGroupId>,
}

/// What a server of `flavor` takes of a host; `image` is the disk that its image unpacks to.
pub fn footprint(flavor: &FlavorCopy, image: DiskGib) -> Resources {
    let root = if flavor.disk == DiskGib::ZERO {
        image
    } else {
        flavor.disk
    };
    let swap = DiskGib(flavor.swap.get().div_ceil(1024));
    Resources {
        vcpus: flavor.vcpus,
        memory: flavor.ram,
        disk: root.plus(flavor.ephemeral).plus(swap),
    }
}
