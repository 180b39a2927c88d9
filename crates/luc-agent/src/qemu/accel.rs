//! Which accelerator, proved by running something on it.
//!
//! `/dev/kvm` that opens proves nothing: there are hosts where it interprets a guest's kernel at a
//! million instructions per second, and nothing boots. So `auto` boots [`super::probe_rom`] with a
//! time-out and falls back to TCG. The same run proves that QEMU starts under the seccomp filter
//! and as an unprivileged user. The answer is cached for one boot of the host and one QEMU.
//! Who calls it: the driver when it is opened.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use luc_core::time::Duration;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::binary::{Binaries, QemuVersion};
use super::isolation::{self, Account, DeviceAccess, SANDBOX};
use super::probe_rom;
use super::process;
use crate::record;

/// How long the probe may take on an accelerator worth its name: 30 times what it needs.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it may take where there is nothing to fall back to.
const PATIENCE_LAST: Duration = Duration::from_secs(60);
const VERSION: u64 = 1;
const KVM_DEVICE: &str = "/dev/kvm";

/// What the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accelerator {
    /// KVM if it boots something in time, else TCG.
    #[default]
    Auto,
    /// KVM, whatever it takes.
    Kvm,
    /// TCG: QEMU's own translation, without help of the processor.
    Tcg,
}

/// What guests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvenAccelerator {
    /// The processor's own virtualization.
    Kvm,
    /// QEMU's translation.
    Tcg,
}

impl std::fmt::Display for ProvenAccelerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

/// What was proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proof {
    pub(crate) accelerator: ProvenAccelerator,
    /// The processor model that goes with it.
    pub(crate) cpu: String,
    /// Why this one, for people.
    pub(crate) reason: String,
    /// Whether the seccomp filter works.
    pub(crate) sandbox: bool,
    /// Whether QEMU runs as a user of its own, and why not if so.
    pub(crate) unprivileged: Result<(), String>,
    /// The group that opens `/dev/kvm`.
    pub(crate) group: Option<u32>,
}

/// The cached answer and what it holds for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Cached {
    version: u64,
    boot_id: String,
    /// The agent's user: what it may open.
    user: u32,
    qemu: PathBuf,
    qemu_version: QemuVersion,
    wanted: Accelerator,
    unprivileged_wanted: bool,
    proof: Proof,
}

/// QEMU runs nothing at all.
#[derive(Debug, thiserror::Error)]
#[error("QEMU does not run even the smallest guest: {output}")]
pub struct ProbeError {
    output: String,
}

/// Finds out on what and as whom guests run.
pub(crate) struct Prober<'a> {
    pub(crate) binaries: &'a Binaries,
    pub(crate) wanted: Accelerator,
    /// An account to run as, or why not.
    pub(crate) account: Result<Account, String>,
    pub(crate) cache: &'a Path,
}

impl Prober<'_> {
    /// The cached proof, or a new one.
    pub(crate) async fn prove(&self) -> Result<Proof, ProbeError> {
        // A cache that cannot be read is only slow.
        if let Ok(Some(cached)) = record::read::<Cached>(self.cache, VERSION)
            && cached == self.cached(cached.proof.clone())
        {
            // Why machines are not isolated is as true as it is now, not as it was.
            let unprivileged = match &self.account {
                Ok(_) => cached.proof.unprivileged,
                Err(reason) => Err(reason.clone()),
            };
            return Ok(Proof {
                unprivileged,
                ..cached.proof
            });
        }
        let proof = self.probe().await?;
        tracing::info!(accelerator = %proof.accelerator, reason = proof.reason, "probed");
        if let Err(error) = record::write(self.cache, &self.cached(proof.clone())) {
            tracing::warn!(%error, "the accelerator's probe is not cached");
        }
        Ok(proof)
    }

    fn cached(&self, proof: Proof) -> Cached {
        Cached {
            version: VERSION,
            boot_id: process::boot_id(),
            user: rustix::process::geteuid().as_raw(),
            qemu: self.binaries.system.clone(),
            qemu_version: self.binaries.version,
            wanted: self.wanted,
            unprivileged_wanted: self.account.is_ok(),
            proof,
        }
    }

    async fn probe(&self) -> Result<Proof, ProbeError> {
        let (sandbox, unprivileged) = self.probe_isolation().await?;
        let mut proof = Proof {
            accelerator: ProvenAccelerator::Tcg,
            // Everything that TCG can do, so that distributions that need x86-64-v2 boot.
            cpu: "max".into(),
            reason: "asked for".into(),
            sandbox,
            unprivileged,
            group: None,
        };
        match self.wanted {
            Accelerator::Tcg => {}
            Accelerator::Auto => self.probe_kvm(&mut proof, false).await,
            Accelerator::Kvm => self.probe_kvm(&mut proof, true).await,
        }
        Ok(proof)
    }

    /// As much isolation as QEMU starts with.
    async fn probe_isolation(&self) -> Result<(bool, Result<(), String>), ProbeError> {
        let mut said = String::new();
        let accounts = match &self.account {
            Ok(account) => vec![Some(*account), None],
            Err(_) => vec![None],
        };
        for account in accounts {
            for sandbox in [true, false] {
                let run = Run {
                    accelerator: "tcg",
                    cpu: "max",
                    sandbox,
                    account,
                };
                match self.run(run, PATIENCE_LAST).await {
                    Ok(()) => {
                        let unprivileged = match (&self.account, account) {
                            (Err(reason), _) => Err(reason.clone()),
                            (Ok(_), None) => Err(format!("QEMU failed as such a user: {said}")),
                            (Ok(_), Some(_)) => Ok(()),
                        };
                        return Ok((sandbox, unprivileged));
                    }
                    Err(output) => said = output,
                }
            }
        }
        Err(ProbeError { output: said })
    }

    async fn probe_kvm(&self, proof: &mut Proof, forced: bool) {
        let account = self
            .account
            .as_ref()
            .ok()
            .filter(|_| proof.unprivileged.is_ok());
        let access = isolation::device_access(Path::new(KVM_DEVICE));
        let account = match (access, account) {
            (DeviceAccess::Absent, _) => {
                proof.reason = format!("there is no {KVM_DEVICE}");
                if forced {
                    proof.accelerator = ProvenAccelerator::Kvm;
                    proof.cpu = "host".into();
                }
                return;
            }
            (DeviceAccess::Group(group), Some(account)) => Some(Account { group, ..*account }),
            (DeviceAccess::Anybody, Some(account)) => Some(*account),
            (DeviceAccess::RootOnly, Some(_)) | (_, None) => None,
        };
        // Some hosts offer a processor feature that they do not implement.
        for cpu in ["host", "host,-arch-capabilities"] {
            let run = Run {
                accelerator: "kvm",
                cpu,
                sandbox: proof.sandbox,
                account,
            };
            let outcome = self.run(run, PATIENCE).await;
            let slow = matches!(&outcome, Err(reason) if reason.starts_with("it took more"));
            match outcome {
                Ok(()) => proof.reason = "KVM booted the probe".into(),
                Err(reason) => {
                    proof.reason = format!("KVM did not boot the probe: {reason}");
                }
            }
            let proved = !proof.reason.starts_with("KVM did not");
            if proved || forced {
                proof.accelerator = ProvenAccelerator::Kvm;
                proof.cpu = cpu.into();
                proof.group = match access {
                    DeviceAccess::Group(group) => Some(group),
                    _ => None,
                };
                if account.is_none() && proof.unprivileged.is_ok() {
                    proof.unprivileged = Err(format!("only root can open {KVM_DEVICE}"));
                }
            }
            if proved || slow {
                return;
            }
        }
    }

    /// Boots the probe once; says what went wrong if it did.
    async fn run(&self, run: Run<'_>, patience: Duration) -> Result<(), String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let rom = directory.path().join("probe.rom");
        std::fs::write(&rom, probe_rom::image()).map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.binaries.system);
        command.args(&self.binaries.system_arguments);
        command.args([
            "-accel",
            run.accelerator,
            "-cpu",
            run.cpu,
            "-machine",
            "pc",
            "-m",
            "4",
        ]);
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        command.arg("-bios").arg(&rom);
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        if run.sandbox {
            command.args(["-sandbox", SANDBOX]);
        }
        if let Some(account) = run.account {
            account
                .own(directory.path())
                .map_err(|error| error.to_string())?;
            account.own(&rom).map_err(|error| error.to_string())?;
            account.apply(&mut command);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(patience, command.output()).await {
            Err(_) => Err(format!("it took more than {patience:?}")),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(output)) if output.status.code() == Some(probe_rom::EXIT_RIGHT) => Ok(()),
            Ok(Ok(output)) => Err(failure(&output)),
        }
    }
}

/// One run of the probe.
#[derive(Clone, Copy)]
struct Run<'a> {
    accelerator: &'a str,
    cpu: &'a str,
    sandbox: bool,
    account: Option<Account>,
}

fn failure(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next_back().unwrap_or("nothing").to_owned();
    format!("{}, it said: {said}", output.status)
}
