//! The stored server: what its owner asked for, where it runs, what its host is to do, and what
//! was last seen of it.
//!
//! The record is both the API's truth and the host's orders ([`Order`]): an agent reads the servers
//! of its host, makes each so, and reports back; whatever dies in between is taken up again from
//! here. [`DeletedServer`] is what stays of a server for those who ask later.

mod order;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use luc_core::id::{ProjectId, ServerId, UserId};
use luc_core::time::Timestamp;
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

pub use order::{Attempt, Goal, Order, Reboot, RebootKind, Resizing, Task};
pub use spec::{
    Connection, FlavorCopy, ImageCopy, InjectedFile, LoginKey, Personal, Wish, footprint,
};

use crate::compute::host::Resources;
use crate::compute::server::state::{PowerState, Status, TaskState, VmState};

/// The name under which addresses of the host's user-mode network are shown.
pub const USER_NETWORK: &str = "user";

/// An address that the host saw on a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The name of the network.
    pub network: String,
    /// The address.
    pub address: IpAddr,
    /// The hardware address behind it.
    pub mac: String,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The host.
    pub host: String,
    /// The host's own name for itself.
    pub hypervisor_hostname: String,
    /// What the server claims of the host.
    pub claim: Resources,
}

/// Who locked a server, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Whether an administrator of another project did.
    pub by_admin: bool,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// An HTTP status.
    pub code: u16,
    /// For its owner.
    pub message: String,
    /// For administrators.
    #[serde(default)]
    pub details: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Its id.
    pub id: ServerId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The user who made it.
    pub user: UserId,
    /// Its name.
    pub name: String,
    /// Words for people.
    #[serde(default)]
    pub description: Option<String>,
    /// Its size.
    pub flavor: FlavorCopy,
    /// Its image.
    pub image: ImageCopy,
    /// How it is connected.
    pub connection: Connection,
    /// What the guest gets.
    pub personal: Personal,
    /// What was asked of the scheduler.
    #[serde(default)]
    pub wish: Wish,
    /// The request that made it, and others with it.
    pub reservation: String,
    /// Its place among them.
    pub launch_index: u32,
    /// Whether the root partition grows with the disk.
    #[serde(default)]
    pub auto_disk_config: bool,
    /// An address that the user knows it by.
    #[serde(default)]
    pub access_ipv4: Option<Ipv4Addr>,
    /// An address that the user knows it by.
    #[serde(default)]
    pub access_ipv6: Option<Ipv6Addr>,
    /// The user's own words about it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// What it is.
    pub vm_state: VmState,
    /// What is being done to it.
    #[serde(default)]
    pub task_state: Option<TaskState>,
    /// What its hypervisor said last.
    #[serde(default)]
    pub power_state: PowerState,
    /// How far the task is, in hundredths.
    #[serde(default)]
    pub progress: u8,
    /// What failed last.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// Whether others may change it.
    #[serde(default)]
    pub lock: Option<Lock>,
    /// Where it is.
    #[serde(default)]
    pub placement: Option<Placement>,
    /// What its host is to do.
    pub order: Order,
    /// How many actions its history has.
    #[serde(default)]
    pub history: u32,
    /// How often its disks were to be made anew: one more for each rebuild.
    #[serde(default)]
    pub rebuilds: u64,
    /// Of which of them its host has said that they are made.
    #[serde(default)]
    pub built: Option<u64>,
    /// The last reboot.
    #[serde(default)]
    pub reboot: Option<Reboot>,
    /// The hosts that could not build it.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// A change of size that is not decided.
    #[serde(default)]
    pub resizing: Option<Resizing>,
    /// What its host saw.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it first ran.
    #[serde(default)]
    pub launched_at: Option<Timestamp>,
    /// When it stopped for good.
    #[serde(default)]
    pub terminated_at: Option<Timestamp>,
}

impl Server {
    /// Finds the servers of a project.
    pub const BY_PROJECT: Index<Self> =
        Index::plain("project", |server| vec![key(&[server.project.as_str()])]);

    /// Finds the servers of a host.
    pub const BY_HOST: Index<Self> = Index::plain("host", |server| {
        server
            .placement
            .iter()
            .map(|placement| key(&[placement.host.as_str()]))
            .collect()
    });

    /// Finds the servers that were asked to be where a server is, or not to be there.
    pub const BY_HINT: Index<Self> = Index::plain("hint", |server| {
        let wish = &server.wish;
        let named: BTreeSet<&ServerId> =
            wish.different_host.iter().chain(&wish.same_host).collect();
        { named.into_iter() }
            .map(|id| key(&[id.as_str()]))
            .collect()
    });

    /// A server of which nothing is known but this: it has no host, no connection and no name.
    pub fn unborn(
        id: ServerId,
        (project, user): (ProjectId, UserId),
        (flavor, image): (FlavorCopy, ImageCopy),
        personal: Personal,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            project,
            user,
            name: String::new(),
            description: None,
            flavor,
            image,
            connection: Connection::None,
            personal,
            wish: Wish::default(),
            reservation: String::new(),
            launch_index: 0,
            auto_disk_config: false,
            access_ipv4: None,
            access_ipv6: None,
            metadata: BTreeMap::new(),
            tags: BTreeSet::new(),
            vm_state: VmState::Building,
            task_state: Some(TaskState::Scheduling),
            power_state: PowerState::NoState,
            progress: 0,
            fault: None,
            lock: None,
            placement: None,
            order: Order {
                generation: 0,
                task: None,
                action: None,
            },
            history: 0,
            rebuilds: 0,
            built: None,
            reboot: None,
            attempts: Vec::new(),
            resizing: None,
            addresses: Vec::new(),
            created_at: now,
            updated_at: now,
            launched_at: None,
            terminated_at: None,
        }
    }

    /// The host it is on.
    pub fn host(&self) -> Option<&str> {
        self.placement
            .as_ref()
            .map(|placement| placement.host.as_str())
    }

    /// What users see of its state.
    pub const fn status(&self) -> Status {
        Status::of(self.vm_state, self.task_state)
    }

    /// What the hypervisor calls it: short, and the same for the whole life of the server.
    pub fn instance_name(&self) -> String {
        let id = self.id.as_str();
        format!(
            "instance-{}",
            id.get(id.len().saturating_sub(8)..).unwrap_or(id)
        )
    }

    /// What its VM is to be once its order is carried out.
    pub fn goal(&self) -> Goal {
        let settled = |state: VmState| match state {
            VmState::Building | VmState::Active => Goal::Running,
            VmState::Stopped => Goal::Stopped,
            VmState::Paused => Goal::Paused,
            VmState::Suspended => Goal::Suspended,
            VmState::Resized | VmState::Error => Goal::AsIs,
        };
        let stays_off = self.vm_state == VmState::Stopped;
        match self.order.task {
            Some(Task::Abandon | Task::Delete) => Goal::Absent,
            Some(Task::Stop) => Goal::Stopped,
            Some(Task::Rebuild) if stays_off => Goal::Stopped,
            Some(Task::Pause) => Goal::Paused,
            Some(Task::Suspend) => Goal::Suspended,
            Some(
                Task::Build
                | Task::Start
                | Task::RebootSoft
                | Task::RebootHard
                | Task::Unpause
                | Task::Resume
                | Task::Rebuild,
            ) => Goal::Running,
            Some(Task::Resize | Task::ConfirmResize | Task::RevertResize) | None => {
                match &self.resizing {
                    Some(resizing) => settled(resizing.was),
                    None => settled(self.vm_state),
                }
            }
        }
    }

    /// The size that is shown: the old one until its host has given it the new one.
    pub fn shown_flavor(&self) -> &FlavorCopy {
        match &self.resizing {
            Some(resizing) if self.order.task == Some(Task::Resize) => &resizing.old_flavor,
            _ => &self.flavor,
        }
    }

    /// What it holds of its project's quota.
    pub fn charge(&self) -> Resources {
        self.placement.as_ref().map_or_else(
            || footprint(&self.flavor, self.image.disk),
            |placement| placement.claim,
        )
    }
}

impl Record for Server {
    const KIND: Kind = Kind::Server;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_PROJECT, Self::BY_HOST, Self::BY_HINT];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Project(self.project.clone())
    }
}

/// A server that is gone, as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeletedServer {
    /// What it was.
    pub server: Server,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// Whether its host, which could not be reached, may still have something of it. The host's
    /// resources stay claimed until it says that it has not.
    #[serde(default)]
    pub leftover: bool,
}

impl DeletedServer {
    /// Finds the deleted servers of a project.
    pub const BY_PROJECT: Index<Self> =
        Index::plain("project", |gone| vec![key(&[gone.server.project.as_str()])]);

    /// Finds what a host has to clean up.
    pub const BY_LEFTOVER_HOST: Index<Self> = Index::plain("leftover_host", |gone| {
        let host = gone.server.host().filter(|_| gone.leftover);
        host.iter().map(|host| key(&[host])).collect()
    });
}

impl Record for DeletedServer {
    const KIND: Kind = Kind::DeletedServer;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_PROJECT, Self::BY_LEFTOVER_HOST];

    fn id(&self) -> &str {
        self.server.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Project(self.server.project.clone())
    }
}
