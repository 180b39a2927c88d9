//! The bodies that change a compute service: before 2.53 by host and action, since then by id.
//!
//! Source: Nova 30 `schemas/services.py` (shapes only).

use serde::Deserialize;

use super::parameter::{check_fqdn, check_length};
use super::reference::given;
use crate::body::{InvalidField, Member, RequestBody};
use crate::value::LooseBool;
use crate::version::Microversion;

/// `PUT /os-services/{action}` (until 2.52).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActOnService {
    /// The host of the service.
    pub host: String,
    /// The program, `nova-compute`.
    pub binary: String,
    /// Why it is disabled.
    #[serde(default, deserialize_with = "given")]
    pub disabled_reason: Option<String>,
    /// Whether it is declared down (from 2.11).
    #[serde(default, deserialize_with = "given")]
    pub forced_down: Option<LooseBool>,
}

impl RequestBody for ActOnService {
    const MEMBERS: &'static [Member] = &[Member::since("forced_down", 2, 11)];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_fqdn("host", &self.host)?;
        check_length("binary", &self.binary, 1, 255)?;
        match &self.disabled_reason {
            Some(reason) => check_length("disabled_reason", reason, 1, 255),
            None => Ok(()),
        }
    }
}

/// `PUT /os-services/{id}` (from 2.53).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateService {
    /// Whether new servers may come.
    #[serde(default, deserialize_with = "given")]
    pub status: Option<ServiceStatus>,
    /// Why it is disabled.
    #[serde(default, deserialize_with = "given")]
    pub disabled_reason: Option<String>,
    /// Whether it is declared down.
    #[serde(default, deserialize_with = "given")]
    pub forced_down: Option<LooseBool>,
}

/// Whether new servers may come to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceStatus {
    /// They may.
    Enabled,
    /// They may not.
    Disabled,
}

impl RequestBody for UpdateService {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        if self.status.is_none() && self.forced_down.is_none() {
            let reason = "No updates were requested. Fields 'status' or 'forced_down' should be \
                          specified.";
            return Err(InvalidField::new("body", reason));
        }
        let Some(reason) = &self.disabled_reason else {
            return Ok(());
        };
        check_length("disabled_reason", reason, 1, 255)?;
        if self.status == Some(ServiceStatus::Enabled) {
            let reason = "Specifying 'disabled_reason' with status 'enabled' is invalid.";
            return Err(InvalidField::new("disabled_reason", reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn a_service_is_forced_down_since_2_11() {
        let body = br#"{"host": "n1", "binary": "nova-compute", "forced_down": true}"#;
        assert!(parse::<ActOnService>(body, Microversion::new(2, 10)).is_err());
        assert!(parse::<ActOnService>(body, Microversion::new(2, 11)).is_ok());
    }

    #[test]
    fn a_reason_goes_with_disabling_only() {
        let update = |body: &str| {
            let version = Microversion::new(2, 53);
            parse::<UpdateService>(body.as_bytes(), version).map_err(|error| error.to_string())
        };
        assert!(update(r#"{"status": "disabled", "disabled_reason": "disk"}"#).is_ok());
        let error = update(r#"{"status": "enabled", "disabled_reason": "disk"}"#).unwrap_err();
        assert!(error.contains("disabled_reason"), "{error}");
        assert!(update("{}").unwrap_err().contains("No updates"));
        assert!(
            update(r#"{"status": "on"}"#)
                .unwrap_err()
                .contains("status")
        );
    }
}
