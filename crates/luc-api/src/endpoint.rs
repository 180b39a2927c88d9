//! The endpoint table: every operation of every service, as data.
//!
//! The router, the authorization check, the API page, the generated bad-input tests and the
//! coverage tests all derive from this table. A row says what may be asked; what it does stands in
//! `luc-services`, whose dispatcher matches on the row's [`Operation`] without a default arm, so a
//! row without a handler does not compile.

use crate::body::{self, RequestBody};
use crate::compute::ComputeOp;
use crate::fault::ApiError;
use crate::identity::IdentityOp;
use crate::image::ImageOp;
use crate::service::Service;
use crate::version::{Microversion, VersionRange};

/// The HTTP methods that the table uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    missing_docs,
    reason = "the variants are the methods of RFC 9110 by name"
)]
pub enum Verb {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    /// The method as it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The verb of an HTTP method, if the table knows it.
    pub fn of(method: &http::Method) -> Option<Self> {
        [
            Self::Get,
            Self::Head,
            Self::Post,
            Self::Put,
            Self::Patch,
            Self::Delete,
        ]
        .into_iter()
        .find(|verb| verb.as_str() == method.as_str())
    }
}

/// What is asked of which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Of the identity service.
    Identity(IdentityOp),
    /// Of the image service.
    Image(ImageOp),
    /// Of the compute service.
    Compute(ComputeOp),
}

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token: discovery and authentication.
    Public,
    /// Any caller with a token, in any scope: what upstream guards by no rule (flavors in Nova).
    Token,
    /// Callers for whom this rule of the service's policy holds. The handler checks it against the
    /// object concerned; the dispatcher refuses to answer if no handler did.
    Rule(&'static str),
}

/// The form of an endpoint's request body.
#[derive(Clone, Copy)]
pub enum Body {
    /// There is none; one that is sent is not read.
    None,
    /// JSON that this function accepts or refuses with the member named.
    Json(fn(&[u8], Microversion) -> Result<(), ApiError>),
    /// Raw bytes, streamed to the handler without a size limit of ours.
    Stream,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Json(_) => "Json",
            Self::Stream => "Stream",
        })
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// What is asked.
    pub operation: Operation,
    /// The HTTP method.
    pub verb: Verb,
    /// The path below the service's versioned root, with `{parameters}`.
    pub path: &'static str,
    /// Whether the path is below the unversioned root instead (discovery).
    pub unversioned: bool,
    /// The single member of the body that selects this row among those of the same path.
    pub action: Option<&'static str>,
    /// The microversions in which the endpoint exists; outside them it is 404.
    pub versions: VersionRange,
    /// Who may call it.
    pub access: Access,
    /// The form of the body.
    pub body: Body,
    /// The status of success.
    pub success: u16,
    /// The longest body that is read, in bytes.
    pub body_length_max: usize,
    /// Whether every request is refused, after all checks, because what it asks for is not there
    /// yet.
    pub not_there_yet: bool,
}

/// The default of oslo.middleware's `max_request_body_size`, in bytes.
pub const BODY_LENGTH_MAX: usize = 114_688;

impl Endpoint {
    /// A row for `operation`; refine it with the methods below.
    pub const fn new(operation: Operation, verb: Verb, path: &'static str) -> Self {
        Self {
            operation,
            verb,
            path,
            unversioned: false,
            action: None,
            versions: VersionRange::EVER,
            access: Access::Rule("default"),
            body: Body::None,
            success: 200,
            body_length_max: BODY_LENGTH_MAX,
            not_there_yet: false,
        }
    }

    /// Callable without a token.
    #[must_use]
    pub const fn public(mut self) -> Self {
        self.access = Access::Public;
        self
    }

    /// Callable with any token.
    #[must_use]
    pub const fn any_token(mut self) -> Self {
        self.access = Access::Token;
        self
    }

    /// Guarded by this policy rule.
    #[must_use]
    pub const fn rule(mut self, rule: &'static str) -> Self {
        self.access = Access::Rule(rule);
        self
    }

    /// Below the service's unversioned root.
    #[must_use]
    pub const fn unversioned(mut self) -> Self {
        self.unversioned = true;
        self
    }

    /// Selected by this member of the body.
    #[must_use]
    pub const fn action(mut self, action: &'static str) -> Self {
        self.action = Some(action);
        self
    }

    /// Takes a JSON body of this type.
    #[must_use]
    pub const fn body<T: RequestBody>(mut self) -> Self {
        self.body = Body::Json(body::check::<T>);
        self
    }

    /// Takes raw bytes.
    #[must_use]
    pub const fn stream(mut self) -> Self {
        self.body = Body::Stream;
        self.body_length_max = usize::MAX;
        self
    }

    /// Answers with this status when it succeeds.
    #[must_use]
    pub const fn answers(mut self, status: u16) -> Self {
        self.success = status;
        self
    }

    /// Exists from this microversion on.
    #[must_use]
    pub const fn since(mut self, major: u16, minor: u16) -> Self {
        self.versions.min = Microversion::new(major, minor);
        self
    }

    /// Exists up to this microversion.
    #[must_use]
    pub const fn until(mut self, major: u16, minor: u16) -> Self {
        self.versions.max = Microversion::new(major, minor);
        self
    }

    /// Refuses every request: what it asks for is not there yet.
    #[must_use]
    pub const fn not_there_yet(mut self) -> Self {
        self.not_there_yet = true;
        self
    }

    /// The service this row belongs to.
    pub const fn service(&self) -> Service {
        match self.operation {
            Operation::Identity(_) => Service::Identity,
            Operation::Image(_) => Service::Image,
            Operation::Compute(_) => Service::Compute,
        }
    }

    /// The whole path below the node's address, with `{parameters}`.
    pub fn full_path(&self) -> String {
        let facts = self.service().facts();
        let version = if self.unversioned {
            ""
        } else {
            facts.version_segment
        };
        format!("{}{version}{}", facts.prefix, self.path)
    }
}

/// Declares the operations of a service together with their rows.
///
/// ```text
/// endpoints! {
///     /// What the compute service can be asked.
///     pub enum ComputeOp in Compute {
///         /// Lists servers.
///         ListServers = Get "/servers" .rule("os_compute_api:servers:index"),
///     }
/// }
/// ```
macro_rules! endpoints {
    (
        $(#[$enum_doc:meta])*
        pub enum $op:ident in $service:ident {
            $(
                $(#[$doc:meta])*
                $name:ident = $verb:ident $path:literal
                    $(. $step:ident $(::<$body:ty>)? ($($arg:expr),*))*
            ),+ $(,)?
        }
    ) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $op {
            $($(#[$doc])* $name,)+
        }

        /// The rows of this service.
        pub static ENDPOINTS: &[$crate::endpoint::Endpoint] = &[
            $(
                $crate::endpoint::Endpoint::new(
                    $crate::endpoint::Operation::$service($op::$name),
                    $crate::endpoint::Verb::$verb,
                    $path,
                )
                $(. $step $(::<$body>)? ($($arg),*))*,
            )+
        ];
    };
}
pub(crate) use endpoints;

/// Every row of every service.
pub fn all() -> impl Iterator<Item = &'static Endpoint> {
    crate::identity::ENDPOINTS
        .iter()
        .chain(crate::image::ENDPOINTS)
        .chain(crate::compute::ENDPOINTS)
}

#[cfg(test)]
mod tests;
