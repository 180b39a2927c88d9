//! A controller in memory, for tests of agents and of whatever runs agents.
//!
//! It holds wishes, collects the latest report of each server and can be made to go away. It is no
//! compute service: it never changes a wish by itself, except that [`MemoryController::new`] with

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt as _;
use luc_core::id::{ImageId, ProjectId, ServerId};
use luc_core::units::{DiskGib, MemoryMib, Vcpus};
use tokio::sync::{Notify, broadcast, watch};

use crate::controller::{Change, Controller, ControllerError, ImageData, Images, Wishes};
use crate::desired::{
    BootData, Build, DesiredPower, DesiredServer, Generation, HostPlace, Nic, Presence, Shape,
};
use crate::host::Heartbeat;
use crate::observed::{Observed, Phase};

/// A controller in memory.
pub struct MemoryController {
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
    reported: Notify,
    away: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    wishes: BTreeMap<ServerId, Arc<DesiredServer>>,
    observed: BTreeMap<ServerId, Observed>,
    history: Vec<Observed>,
    images: BTreeMap<ImageId, PathBuf>,
    image_opens: u64,
    heartbeat: Option<Heartbeat>,
    place: HostPlace,
}

impl Default for MemoryController {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryController {
    /// A controller that wants nothing.
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            changes: broadcast::channel(1024).0,
            reported: Notify::new(),
            away: watch::channel(false).0,
        }
    }

    /// Wants this server so.
    pub fn want(&self, server: DesiredServer) {
        let server = Arc::new(server);
        self.lock()
            .wishes
            .insert(server.id.clone(), Arc::clone(&server));
        // Without an agent nobody listens; the next one gets the snapshot.
        let _ = self.changes.send(Change::Want(server));
    }

    /// Raises the generation of a known server after `change`.
    pub fn change(&self, id: &ServerId, change: impl FnOnce(&mut DesiredServer)) -> Generation {
        let mut server = self
            .wish(id)
            .as_deref()
            .cloned()
            .unwrap_or_else(|| server(id.as_str()));
        server.generation = Generation(server.generation.0 + 1);
        change(&mut server);
        let generation = server.generation;
        self.want(server);
        generation
    }

    /// Forgets all about a server.
    pub fn forget(&self, id: &ServerId) {
        self.lock().wishes.remove(id);
        let _ = self.changes.send(Change::Forget(id.clone()));
    }

    /// What is wanted of a server.
    pub fn wish(&self, id: &ServerId) -> Option<Arc<DesiredServer>> {
        self.lock().wishes.get(id).cloned()
    }

    /// Every wish.
    pub fn all_wishes(&self) -> Vec<Arc<DesiredServer>> {
        self.lock().wishes.values().cloned().collect()
    }

    /// Goes away (every call fails, subscriptions end), or comes back.
    pub fn set_away(&self, away: bool) {
        self.away.send_replace(away);
        if away {
            let _ = self.changes.send(Change::Reload);
        }
    }

    /// Serves the image `id` from the file `path`.
    pub fn add_image(&self, id: ImageId, path: PathBuf) {
        self.lock().images.insert(id, path);
    }

    /// How often an image was opened.
    pub fn image_opens(&self) -> u64 {
        self.lock().image_opens
    }

    /// The latest report about a server.
    pub fn observed(&self, id: &ServerId) -> Option<Observed> {
        self.lock().observed.get(id).cloned()
    }

    /// Every report in the order it came.
    pub fn history(&self) -> Vec<Observed> {
        self.lock().history.clone()
    }

    /// The latest sign of life.
    pub fn heartbeat_seen(&self) -> Option<Heartbeat> {
        self.lock().heartbeat.clone()
    }

    /// Answers heartbeats with this from now on.
    pub fn set_place(&self, place: HostPlace) {
        self.lock().place = place;
    }

    /// Waits until the latest report about a server is as asked for.
    pub async fn wait_for(
        &self,
        id: &ServerId,
        mut wanted: impl FnMut(&Observed) -> bool,
    ) -> Observed {
        loop {
            let reported = self.reported.notified();
            tokio::pin!(reported);
            reported.as_mut().enable();
            if let Some(observed) = self.observed(id)
                && wanted(&observed)
            {
                return observed;
            }
            reported.await;
        }
    }

    /// Waits until the present wish for a server came to its end, whatever that is.
    pub async fn wait_for_end(&self, id: &ServerId) -> Observed {
        let generation = self.wish(id).map_or(Generation(0), |wish| wish.generation);
        self.wait_for(id, |observed| {
            observed.generation == generation
                && matches!(observed.phase, Phase::Settled | Phase::Failed | Phase::Gone)
        })
        .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_here(&self) -> Result<(), ControllerError> {
        if *self.away.borrow() {
            return Err(ControllerError::Unavailable {
                reason: "switched off by a test".into(),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Images for MemoryController {
    async fn image(&self, id: &ImageId) -> Result<ImageData, ControllerError> {
        self.check_here()?;
        let mut state = self.lock();
        state.image_opens += 1;
        let path = state.images.get(id).cloned();
        path.map(ImageData::File)
            .ok_or_else(|| ControllerError::Refused {
                reason: format!("no image {id}"),
            })
    }
}

#[async_trait]
impl Controller for MemoryController {
    async fn wishes(&self) -> Result<Wishes, ControllerError> {
        self.check_here()?;
        let state = self.lock();
        let receiver = self.changes.subscribe();
        let changes = futures::stream::unfold(receiver, |mut receiver| async {
            let change = match receiver.recv().await {
                Ok(change) => change,
                Err(broadcast::error::RecvError::Lagged(_)) => Change::Reload,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((change, receiver))
        });
        Ok(Wishes {
            snapshot: state.wishes.values().cloned().collect(),
            changes: changes.boxed(),
        })
    }

    async fn report(&self, reports: Vec<Observed>) -> Result<(), ControllerError> {
        self.check_here()?;
        let mut state = self.lock();
        for report in reports {
            let older = state
                .observed
                .get(&report.id)
                .is_some_and(|seen| seen.sequence >= report.sequence);
            if !older {
                state.history.push(report.clone());
                state.observed.insert(report.id.clone(), report);
            }
        }
        drop(state);
        self.reported.notify_waiters();
        Ok(())
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HostPlace, ControllerError> {
        self.check_here()?;
        let mut state = self.lock();
        state.heartbeat = Some(heartbeat);
        Ok(state.place.clone())
    }
}

/// A small running server without image or NIC, named by its id.
///
/// # Panics
/// If `id` is not an id.
pub fn server(id: &str) -> DesiredServer {
    let parsed = ServerId::parse(id);
    DesiredServer {
        id: parsed.unwrap_or_else(|error| panic!("a test's server id: {error}")),
        generation: Generation(1),
        name: format!("server {id}"),
        project: ProjectId::parse("project").unwrap_or_else(|error| panic!("{error}")),
        presence: Presence::Present,
        power: DesiredPower::Running,
        hold: false,
        shape: Shape {
            vcpus: Vcpus(1),
            memory: MemoryMib(64),
            root_disk: DiskGib(1),
            ephemeral: DiskGib(0),
            swap: MemoryMib(0),
        },
        keep_previous: false,
        build: Build(0),
        seen_build: None,
        image: None,
        reboot: None,
        boot: BootData {
            hostname: "guest".into(),
            ..BootData::default()
        },
        nic: Nic::None,
        rules: None,
    }
}

/// Says that a test could not do its work here, by the convention of `cargo xtask ci`: a line in
/// the file that `LUC_SKIP_LOG` names, else on standard error.
///
/// # Panics
/// If the line cannot be written, for then the test would count as passed.
pub fn skip(reason: &str) {
    use std::io::Write as _;
    let line = format!("luc-skip: {reason}");
    let Some(path) = std::env::var_os("LUC_SKIP_LOG") else {
        eprintln!("{line}");
        return;
    };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    let written = file.and_then(|mut file| writeln!(file, "{line}"));
    assert!(written.is_ok(), "the skip could not be noted: {written:?}");
}
