//! The bodies of the actions on a server.
//!
//! Each is an object with one member that names the action; Nova takes any value where an action
//! has nothing to say. Source: Nova 30 `schemas/servers.py`, `lock_server.py`, `console_output.py`,
//! `admin_actions.py`, `admin_password.py`, `migrate_server.py`, `evacuate.py` (shapes only).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::parameter::{check_fqdn, check_length, check_metadata, check_name};
use super::reference::{FlavorRef, given};
use super::server_create::DiskConfig;
use crate::body::{InvalidField, Member, RequestBody};
use crate::value::{LooseBool, LooseInt, Secret, parse_bool};
use crate::version::Microversion;

/// Declares actions whose value says nothing.
macro_rules! plain_actions {
    ($($(#[$doc:meta])* $name:ident = $member:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                /// Taken and not read.
                #[serde(rename = $member)]
                pub value: Value,
            }

            impl RequestBody for $name {}
        )+
    };
}

plain_actions! {
    /// Switches a server on.
    Start = "os-start";
    /// Switches a server off.
    Stop = "os-stop";
    /// Freezes a server in memory.
    Pause = "pause";
    /// Lets a frozen server go on.
    Unpause = "unpause";
    /// Writes a server's memory to disk and stops it.
    Suspend = "suspend";
    /// Lets a suspended server go on.
    Resume = "resume";
    /// Lets others change a server again.
    Unlock = "unlock";
    /// Keeps the new size.
    ConfirmResize = "confirmResize";
    /// Goes back to the old size.
    RevertResize = "revertResize";
    /// Deletes a server at once.
    ForceDelete = "forceDelete";
}

/// `reboot`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reboot {
    /// How.
    pub reboot: RebootHow,
}

/// How to reboot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebootHow {
    /// Asking the guest, or cutting its power.
    #[serde(rename = "type")]
    pub kind: RebootKind,
}

/// The two ways to reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum RebootKind {
    /// The guest is asked.
    #[serde(rename = "SOFT", alias = "Soft", alias = "soft")]
    Soft,
    /// Its power is cut.
    #[serde(rename = "HARD", alias = "Hard", alias = "hard")]
    Hard,
}

impl RequestBody for Reboot {}

/// `lock`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// From 2.73 an object with the reason, or null; before, anything.
    pub lock: Value,
}

impl Lock {
    /// Why the server is locked, if that is said.
    pub fn reason(&self) -> Option<&str> {
        self.lock.get("locked_reason").and_then(Value::as_str)
    }
}

impl RequestBody for Lock {
    fn validate(&self, version: Microversion) -> Result<(), InvalidField> {
        if !version.at_least(2, 73) || self.lock.is_null() {
            return Ok(());
        }
        let Some(object) = self.lock.as_object() else {
            return Err(InvalidField::new("lock", "is not of type 'object', 'null'"));
        };
        for (name, value) in object {
            if name != "locked_reason" {
                let reason =
                    format!("Additional properties are not allowed ('{name}' was unexpected)");
                return Err(InvalidField::new("lock", reason));
            }
            let field = "lock.locked_reason";
            let Some(text) = value.as_str() else {
                return Err(InvalidField::new(field, "is not of type 'string'"));
            };
            check_length(field, text, 1, 255)?;
        }
        Ok(())
    }
}

/// `resize`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// To what.
    pub resize: ResizeTo,
}

/// The size that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeTo {
    /// The flavor.
    #[serde(rename = "flavorRef")]
    pub flavor: FlavorRef,
    /// Whether the root partition grows with the disk.
    #[serde(default, rename = "OS-DCF:diskConfig", deserialize_with = "given")]
    pub disk_config: Option<DiskConfig>,
}

impl RequestBody for Resize {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        self.resize.flavor.check("resize.flavorRef")
    }
}

/// `createImage`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateImage {
    /// What to make.
    #[serde(rename = "createImage")]
    pub create_image: NewImage,
}

/// The image to make of a server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImage {
    /// Its name.
    pub name: String,
    /// Its properties.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl RequestBody for CreateImage {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_name("createImage.name", &self.create_image.name)?;
        check_metadata("createImage.metadata", &self.create_image.metadata)
    }
}

/// `os-getConsoleOutput`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetConsoleOutput {
    /// How much.
    #[serde(rename = "os-getConsoleOutput")]
    pub get: ConsoleLength,
}

/// How much of the console is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleLength {
    /// The last so many lines; -1 or null for all.
    #[serde(default)]
    pub length: Option<LooseInt>,
}

impl ConsoleLength {
    /// The last so many lines, or all that is kept.
    pub fn lines(&self) -> Option<u64> {
        self.length
            .and_then(|LooseInt(length)| u64::try_from(length).ok())
    }
}

impl RequestBody for GetConsoleOutput {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        match self.get.length {
            Some(LooseInt(length)) if length < -1 => {
                let reason = format!("{length} is less than the minimum of -1");
                Err(InvalidField::new("os-getConsoleOutput.length", reason))
            }
            _ => Ok(()),
        }
    }
}

/// `os-resetState`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetState {
    /// To what.
    #[serde(rename = "os-resetState")]
    pub reset: StateWanted,
}

/// The state that is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateWanted {
    /// The state.
    pub state: ResettableState,
}

/// The states that an administrator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResettableState {
    /// As if it ran.
    Active,
    /// As if it had failed.
    Error,
}

impl RequestBody for ResetState {}

/// `changePassword`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// To what.
    #[serde(rename = "changePassword")]
    pub change: NewPassword,
}

/// The password that is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The password.
    #[serde(rename = "adminPass")]
    pub admin_pass: Secret,
}

impl RequestBody for ChangePassword {}

/// `addSecurityGroup` and `removeSecurityGroup`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupAction {
    /// The group to add.
    #[serde(default, rename = "addSecurityGroup", deserialize_with = "given")]
    pub add: Option<SecurityGroupRef>,
    /// The group to remove.
    #[serde(default, rename = "removeSecurityGroup", deserialize_with = "given")]
    pub remove: Option<SecurityGroupRef>,
}

/// A security group by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupRef {
    /// The name or the id.
    pub name: String,
}

impl RequestBody for SecurityGroupAction {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        match (&self.add, &self.remove) {
            (Some(group), None) => check_name("addSecurityGroup.name", &group.name),
            (None, Some(group)) => check_name("removeSecurityGroup.name", &group.name),
            _ => Err(InvalidField::new("body", "has to name exactly one action")),
        }
    }
}

/// `migrate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migrate {
    /// From 2.56 an object with the host, or null; before, anything.
    pub migrate: Value,
}

impl RequestBody for Migrate {
    fn validate(&self, version: Microversion) -> Result<(), InvalidField> {
        if !version.at_least(2, 56) || self.migrate.is_null() {
            return Ok(());
        }
        let Some(object) = self.migrate.as_object() else {
            return Err(InvalidField::new(
                "migrate",
                "is not of type 'object', 'null'",
            ));
        };
        for (name, value) in object {
            match (name.as_str(), value) {
                ("host", Value::Null) => {}
                ("host", Value::String(host)) => check_fqdn("migrate.host", host)?,
                ("host", _) => {
                    return Err(InvalidField::new("migrate.host", "is not of type 'string'"));
                }
                _ => {
                    let reason =
                        format!("Additional properties are not allowed ('{name}' was unexpected)");
                    return Err(InvalidField::new("migrate", reason));
                }
            }
        }
        Ok(())
    }
}

/// `os-migrateLive`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrateLive {
    /// How.
    #[serde(rename = "os-migrateLive")]
    pub migrate: LiveMigration,
}

/// How to migrate live.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveMigration {
    /// The host to go to; null for any.
    pub host: Option<String>,
    /// Whether disks go along: a boolean, or from 2.25 `auto`.
    pub block_migration: Value,
    /// Whether more disk may be promised than there is (until 2.24).
    #[serde(default, deserialize_with = "given")]
    pub disk_over_commit: Option<LooseBool>,
    /// Whether the scheduler is passed over (2.30 to 2.67).
    #[serde(default, deserialize_with = "given")]
    pub force: Option<LooseBool>,
}

impl RequestBody for MigrateLive {
    const MEMBERS: &'static [Member] = &[
        Member::since("os-migrateLive.host", 2, 1).required(),
        Member::until("os-migrateLive.disk_over_commit", 2, 24).required(),
        Member::between("os-migrateLive.force", (2, 30), (2, 67)),
    ];

    fn validate(&self, version: Microversion) -> Result<(), InvalidField> {
        if let Some(host) = &self.migrate.host {
            check_fqdn("os-migrateLive.host", host)?;
        }
        let fits = match &self.migrate.block_migration {
            Value::Bool(_) => true,
            Value::String(word) => {
                parse_bool(word).is_some() || (version.at_least(2, 25) && word == "auto")
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        Err(InvalidField::new(
            "os-migrateLive.block_migration",
            "is not a boolean",
        ))
    }
}

/// `evacuate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evacuate {
    /// How.
    pub evacuate: Evacuation,
}

/// How to rebuild a server elsewhere.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evacuation {
    /// The host to go to.
    #[serde(default, deserialize_with = "given")]
    pub host: Option<String>,
    /// Whether its disk can be reached from there (until 2.13).
    #[serde(default, rename = "onSharedStorage", deserialize_with = "given")]
    pub on_shared_storage: Option<LooseBool>,
    /// The password of its administrator.
    #[serde(default, rename = "adminPass", deserialize_with = "given")]
    pub admin_pass: Option<Secret>,
    /// Whether the scheduler is passed over (2.29 to 2.67).
    #[serde(default, deserialize_with = "given")]
    pub force: Option<LooseBool>,
}

impl RequestBody for Evacuate {
    const MEMBERS: &'static [Member] = &[
        Member::until("evacuate.onSharedStorage", 2, 13).required(),
        Member::between("evacuate.force", (2, 29), (2, 67)),
    ];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        self.evacuate
            .host
            .as_deref()
            .map_or(Ok(()), |host| check_fqdn("evacuate.host", host))
    }
}

#[cfg(test)]
mod tests;
