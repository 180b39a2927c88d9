//! The requests of clients, as OpenStack has them, and what stands in the answers.

use axum::body::Body;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::deeds::What;

/// A public key; whose does not matter.
const PUBLIC_KEY: &str = "ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsABgH5C9okWi0dh2l9GKJl test";

/// A request before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
    kind: &'static str,
}

impl Ask {
    /// A request with a JSON body, or none.
    pub(crate) fn new(method: Method, path: impl Into<String>, body: Value) -> Self {
        Self {
            method,
            path: path.into(),
            body,
            kind: "application/json",
        }
    }

    /// The request as it goes to a site.
    pub(crate) fn http(&self, token: &str) -> Request<Body> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header("host", "cloud")
            .header("openstack-api-version", "compute 2.60");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        let body = match &self.body {
            Value::Null => Body::empty(),
            body => {
                request = request.header("content-type", self.kind);
                Body::from(body.to_string())
            }
        };
        request.body(body).expect("the request is well-formed")
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The answer, read; nothing if it broke off.
    pub(crate) async fn read(response: Response<Body>) -> Option<Self> {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 4 << 20).await.ok()?;
        Some(Self {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    }

    /// What a fault says, whichever service it is of.
    pub(crate) fn message(&self) -> String {
        let text = |value: &Value| value["message"].as_str().map(str::to_owned);
        let inner = self
            .body
            .as_object()
            .and_then(|body| body.values().find_map(text));
        inner.unwrap_or_else(|| self.body.to_string())
    }

    /// The operation that it names.
    pub(crate) fn operation(&self) -> Option<String> {
        let message = self.message();
        let (_, rest) = message.split_once("`luc op show ")?;
        rest.split('`').next().map(str::to_owned)
    }
}

/// What clients need to know of the cloud.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    /// A domain for users and projects.
    pub(crate) domain: String,
    /// An image with data.
    pub(crate) image: String,
}

/// Asks for a new thing of this name.
pub(crate) fn make(what: What, name: &str, known: &Knowledge) -> Ask {
    let (path, body) = match what {
        What::User => (
            "/identity/v3/users",
            json!({"user": {"name": name, "domain_id": known.domain}}),
        ),
        What::Project => (
            "/identity/v3/projects",
            json!({"project": {"name": name, "domain_id": known.domain}}),
        ),
        What::Keypair => (
            "/compute/v2.1/os-keypairs",
            json!({"keypair": {"name": name, "type": "ssh", "public_key": PUBLIC_KEY}}),
        ),
        What::Group => (
            "/compute/v2.1/os-server-groups",
            json!({"server_group": {"name": name, "policies": ["affinity"]}}),
        ),
        What::Server => (
            "/compute/v2.1/servers",
            json!({"server": {"name": name, "imageRef": known.image, "flavorRef": "1",
                "networks": "none"}}),
        ),
        What::Flavor => (
            "/compute/v2.1/flavors",
            json!({"flavor": {"name": name, "vcpus": 1, "ram": 64, "disk": 1}}),
        ),
        What::Image => (
            "/image/v2/images",
            json!({"name": name, "disk_format": "raw", "container_format": "bare"}),
        ),
    };
    Ask::new(Method::POST, path, body)
}

/// The id of what was made.
pub(crate) fn id_of(what: What, body: &Value) -> Option<String> {
    let id = match what {
        What::User => &body["user"]["id"],
        What::Project => &body["project"]["id"],
        What::Keypair => &body["keypair"]["name"],
        What::Group => &body["server_group"]["id"],
        What::Server => &body["server"]["id"],
        What::Flavor => &body["flavor"]["id"],
        What::Image => &body["id"],
    };
    id.as_str().map(str::to_owned)
}

fn path(what: What, id: &str) -> String {
    let collection = match what {
        What::User => "identity/v3/users",
        What::Project => "identity/v3/projects",
        What::Keypair => "compute/v2.1/os-keypairs",
        What::Group => "compute/v2.1/os-server-groups",
        What::Server => "compute/v2.1/servers",
        What::Flavor => "compute/v2.1/flavors",
        What::Image => "image/v2/images",
    };
    format!("/{collection}/{id}")
}

/// Asks to see it.
pub(crate) fn show(what: What, id: &str) -> Ask {
    Ask::new(Method::GET, path(what, id), Value::Null)
}

/// Asks to delete it.
pub(crate) fn delete(what: What, id: &str) -> Ask {
    Ask::new(Method::DELETE, path(what, id), Value::Null)
}

/// Asks to put a mark on it.
pub(crate) fn mark(what: What, id: &str, mark: &str) -> Ask {
    let place = path(what, id);
    match what {
        What::Server => {
            let body = json!({"metadata": {"mark": mark}});
            Ask::new(Method::POST, format!("{place}/metadata"), body)
        }
        What::Image => Ask {
            kind: "application/openstack-images-v2.1-json-patch",
            ..Ask::new(
                Method::PATCH,
                place,
                json!([{"op": "add", "path": "/mark", "value": mark}]),
            )
        },
        What::Project => {
            let body = json!({"project": {"description": mark}});
            Ask::new(Method::PATCH, place, body)
        }
        _ => Ask::new(Method::PATCH, place, json!({"user": {"description": mark}})),
    }
}

/// The mark that is shown.
pub(crate) fn mark_shown(what: What, body: &Value) -> Option<String> {
    let mark = match what {
        What::User => &body["user"]["description"],
        What::Project => &body["project"]["description"],
        What::Server => &body["server"]["metadata"]["mark"],
        What::Image => &body["mark"],
        What::Keypair | What::Group | What::Flavor => &Value::Null,
    };
    mark.as_str()
        .filter(|mark| !mark.is_empty())
        .map(str::to_owned)
}

/// The mark that is stored: the only text of that form in the record.
pub(crate) fn mark_stored(record: &Value) -> Option<String> {
    match record {
        Value::String(text) => text.starts_with("mark-").then(|| text.clone()),
        Value::Array(values) => values.iter().find_map(mark_stored),
        Value::Object(members) => members.values().find_map(mark_stored),
        _ => None,
    }
}
