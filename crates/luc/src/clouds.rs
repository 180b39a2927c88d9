//! Ready client configuration: `clouds.yaml` and an `openrc` for the admin of a new cloud.
//!
//! Source: openstacksdk, "Configuring OpenStack SDK Applications". Both files hold the password
//! and are therefore readable by their owner only.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use luc_api::value::Secret;

/// What a client needs to know.
#[derive(Clone, Debug)]
pub struct Access {
    /// `http://host:port/identity/v3`.
    pub auth_url: String,
    /// The user, in the domain `Default`.
    pub user: String,
    /// The user's password.
    pub password: Secret,
    /// The project, in the domain `Default`.
    pub project: String,
    /// The region.
    pub region: String,
}

impl Access {
    /// The text of a `clouds.yaml` with one cloud named `luc`.
    pub fn clouds_yaml(&self) -> String {
        format!("clouds:\n{}", self.clouds_entry("luc"))
    }

    /// The entry of a `clouds.yaml` for a cloud called `name`.
    pub fn clouds_entry(&self, name: &str) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            "  {name}:\n    auth:\n      auth_url: {}\n      username: {}\n      \
             password: {}\n      project_name: {}\n      user_domain_name: Default\n      \
             project_domain_name: Default\n    region_name: {}\n    identity_api_version: 3\n    \
             interface: public\n",
            quoted(&self.auth_url),
            quoted(&self.user),
            quoted(self.password.reveal()),
            quoted(&self.project),
            quoted(&self.region),
        )
    }

    /// The cloud called `name` of a `clouds.yaml` in block style with a password, as this program
    /// writes it.
    pub fn from_clouds(text: &str, name: &str) -> anyhow::Result<Self> {
        let mut inside = None;
        let mut found = BTreeMap::new();
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
        {
            let depth = line.len() - line.trim_start().len();
            let Some((key, value)) = line.trim().split_once(':') else {
                continue;
            };
            match inside {
                Some(above) if depth > above => {
                    found.insert(key.trim().to_owned(), unquoted(value.trim()));
                }
                _ => inside = (depth > 0 && unquoted(key.trim()) == name).then_some(depth),
            }
        }
        let member = |key: &str| {
            let value = found.get(key).cloned();
            value.with_context(|| format!("the cloud '{name}' has no `{key}`"))
        };
        Ok(Self {
            auth_url: member("auth_url")?,
            user: member("username")?,
            password: Secret::new(member("password")?),
            project: member("project_name")?,
            region: found.get("region_name").cloned().unwrap_or_default(),
        })
    }

    /// The text of a file for `source`.
    pub fn openrc(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        [
            ("OS_AUTH_URL", self.auth_url.as_str()),
            ("OS_USERNAME", &self.user),
            ("OS_PASSWORD", self.password.reveal()),
            ("OS_PROJECT_NAME", &self.project),
            ("OS_USER_DOMAIN_NAME", "Default"),
            ("OS_PROJECT_DOMAIN_NAME", "Default"),
            ("OS_REGION_NAME", &self.region),
            ("OS_IDENTITY_API_VERSION", "3"),
        ]
        .map(|(name, value)| format!("export {name}={}\n", quoted(value)))
        .concat()
    }

    /// Writes both files into `directory` and returns the path of `clouds.yaml`.
    pub fn write(&self, directory: &Path) -> anyhow::Result<PathBuf> {
        let clouds = directory.join("clouds.yaml");
        write_private(&clouds, self.clouds_yaml().as_bytes())?;
        write_private(&directory.join("openrc"), self.openrc().as_bytes())?;
        Ok(clouds)
    }
}

/// A scalar of YAML: plain, or quoted as JSON does.
fn unquoted(value: &str) -> String {
    serde_json::from_str(value).unwrap_or_else(|_| value.trim_matches('\'').to_owned())
}

/// Writes a file that only its owner can read, replacing an older one whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    // A left-over of an interrupted write may have another mode.
    let _ = std::fs::remove_file(&partial);
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn access() -> Access {
        Access {
            auth_url: "http://127.0.0.1:9000/identity/v3".to_owned(),
            user: "admin".to_owned(),
            password: Secret::new("it's \"quoted\": yes"),
            project: "admin".to_owned(),
            region: "RegionOne".to_owned(),
        }
    }

    #[test]
    fn a_difficult_password_survives_both_forms() {
        let yaml = access().clouds_yaml();
        assert!(
            yaml.contains(r#"password: "it's \"quoted\": yes""#),
            "{yaml}"
        );
        let openrc = access().openrc();
        assert!(
            openrc.contains(r#"OS_PASSWORD='it'\''s "quoted": yes'"#),
            "{openrc}"
        );
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let mut other = access();
        other.user = "somebody".to_owned();
        let text = format!(
            "clouds:\n{}{}",
            other.clouds_entry("nancy"),
            access().clouds_entry("rennes")
        );
        let read = Access::from_clouds(&text, "rennes").unwrap();
        assert_eq!(read.user, "admin");
        assert_eq!(read.password.reveal(), access().password.reveal());
        assert_eq!(
            Access::from_clouds(&text, "nancy").unwrap().user,
            "somebody"
        );
        assert!(Access::from_clouds(&text, "lyon").is_err());
    }

    #[test]
    fn nobody_else_can_read_the_password() {
        let directory = tempfile::tempdir().unwrap();
        let path = access().write(directory.path()).unwrap();
        access().write(directory.path()).unwrap();
        assert_eq!(
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
