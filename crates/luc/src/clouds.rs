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
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: Secret,
    /// The project.
    pub project: String,
    /// The region.
    pub region: String,
    /// The domains of user and project.
    pub domains: Domains,
}

/// A domain, as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainRef {
    /// By its name.
    Name(String),
    /// By its id.
    Id(String),
}

/// The domains of a user and of the project that it works in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains {
    /// The user's.
    pub user: DomainRef,
    /// The project's.
    pub project: DomainRef,
}

impl Default for DomainRef {
    fn default() -> Self {
        Self::Name("Default".to_owned())
    }
}

impl DomainRef {
    /// The domain that clients are told; an id is preferred, as stock clients do, and nothing at
    /// all is the domain `Default`.
    pub fn of(id: Option<String>, name: Option<String>) -> Self {
        match (id, name) {
            (Some(id), _) => Self::Id(id),
            (None, Some(name)) => Self::Name(name),
            (None, None) => Self::default(),
        }
    }

    /// As it stands in a request to the identity service.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Name(name) => serde_json::json!({ "name": name }),
            Self::Id(id) => serde_json::json!({ "id": id }),
        }
    }

    /// The ending of the settings that hold it, and its text.
    fn setting(&self) -> (&'static str, &str) {
        match self {
            Self::Name(name) => ("name", name),
            Self::Id(id) => ("id", id),
        }
    }
}

/// The root of the node that `url` names: without a service's path and a slash at the end, with
/// `http://` if no scheme is named.
pub fn node_url(url: &str) -> String {
    let facts = luc_api::Service::Identity.facts();
    let url = url.trim().trim_end_matches('/');
    let url = url.strip_suffix(facts.version_segment).unwrap_or(url);
    let url = url.strip_suffix(facts.prefix).unwrap_or(url);
    let url = url.trim_end_matches('/');
    if url.contains("://") {
        return url.to_owned();
    }
    format!("http://{url}")
}

/// The URL of the identity service that `url` names, or of that at the node that it names.
pub fn identity_url(url: &str) -> String {
    luc_api::Service::Identity.url(&node_url(url))
}

impl Access {
    /// The text of a `clouds.yaml` with one cloud named `luc`.
    pub fn clouds_yaml(&self) -> String {
        format!("clouds:\n{}", self.clouds_entry("luc"))
    }

    /// The entry of a `clouds.yaml` for a cloud called `name`.
    pub fn clouds_entry(&self, name: &str) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let (by, user_domain) = self.domains.user.setting();
        let user_domain = format!("user_domain_{by}: {}", quoted(user_domain));
        let (by, project_domain) = self.domains.project.setting();
        let project_domain = format!("project_domain_{by}: {}", quoted(project_domain));
        format!(
            "  {name}:\n    auth:\n      auth_url: {}\n      username: {}\n      \
             password: {}\n      project_name: {}\n      {user_domain}\n      \
             {project_domain}\n    region_name: {}\n    identity_api_version: 3\n    \
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
        let domain = |of: &str| {
            let setting = |by: &str| found.get(&format!("{of}_domain_{by}")).cloned();
            DomainRef::of(setting("id"), setting("name"))
        };
        Ok(Self {
            auth_url: member("auth_url")?,
            user: member("username")?,
            password: Secret::new(member("password")?),
            project: member("project_name")?,
            region: found.get("region_name").cloned().unwrap_or_default(),
            domains: Domains {
                user: domain("user"),
                project: domain("project"),
            },
        })
    }

    /// The text of a file for `source`.
    pub fn openrc(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        let (by, user_domain) = self.domains.user.setting();
        let user = format!("OS_USER_DOMAIN_{}", by.to_uppercase());
        let (by, project_domain) = self.domains.project.setting();
        let project = format!("OS_PROJECT_DOMAIN_{}", by.to_uppercase());
        [
            ("OS_AUTH_URL", self.auth_url.as_str()),
            ("OS_USERNAME", &self.user),
            ("OS_PASSWORD", self.password.reveal()),
            ("OS_PROJECT_NAME", &self.project),
            (&user, user_domain),
            (&project, project_domain),
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

    /// Writes both files as [`Self::write`] does, but over none that is there, which may be that of
    /// another cloud; the path of `clouds.yaml` if it did.
    pub fn write_new(&self, directory: &Path) -> anyhow::Result<Option<PathBuf>> {
        let there = ["clouds.yaml", "openrc"].map(|name| directory.join(name).exists());
        if there.contains(&true) {
            return Ok(None);
        }
        self.write(directory).map(Some)
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
            domains: Domains::default(),
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
    fn domains_are_read_by_id_and_by_name() {
        let mut other = access();
        other.domains = Domains {
            user: DomainRef::Id("0a1b".to_owned()),
            project: DomainRef::Name("lyon: \"east\"".to_owned()),
        };
        let read = Access::from_clouds(&other.clouds_yaml(), "luc").unwrap();
        assert_eq!(read.domains, other.domains);
        assert!(other.openrc().contains("OS_USER_DOMAIN_ID='0a1b'"));
        let read = Access::from_clouds(&access().clouds_yaml(), "luc").unwrap();
        assert_eq!(read.domains, Domains::default());
        let (id, name) = (Some("1".to_owned()), Some("n".to_owned()));
        assert_eq!(DomainRef::of(id, name), DomainRef::Id("1".to_owned()));
    }

    #[test]
    fn a_node_is_named_by_any_form_of_its_url() {
        for url in [
            "http://a:1",
            "http://a:1/",
            "a:1",
            "http://a:1/identity",
            "http://a:1/identity/v3",
            "http://a:1/identity/v3/",
            "a:1/identity/v3",
        ] {
            assert_eq!(node_url(url), "http://a:1", "{url}");
            assert_eq!(identity_url(url), "http://a:1/identity/v3", "{url}");
        }
        let named = "https://identity.example.org/identity/v3";
        assert_eq!(node_url(named), "https://identity.example.org");
    }

    #[test]
    fn the_files_of_another_cloud_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let written = access().write_new(directory.path()).unwrap();
        assert_eq!(written, Some(directory.path().join("clouds.yaml")));
        let mut other = access();
        other.user = "somebody".to_owned();
        assert_eq!(other.write_new(directory.path()).unwrap(), None);
        let text = std::fs::read_to_string(directory.path().join("clouds.yaml")).unwrap();
        assert!(!text.contains("somebody"), "{text}");
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
