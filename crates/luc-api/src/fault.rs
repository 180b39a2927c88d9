//! One HTTP-agnostic error, rendered in each service's own fault format.
//!
//! Handlers speak of what went wrong ([`ApiError`]); [`render`] is the only place that knows how
//! Nova, Keystone and Glance write it. Source of the forms: answers of the real services (Nova
//! 26.2, Keystone 22.0, Glance 25.1) and their `faults`/`wsgi` modules' documentation.

use std::time::Duration;

use http::StatusCode;
use luc_core::SitePrefix;
use serde_json::json;

use crate::service::Service;
use crate::version::{Microversion, VersionRange};

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The request is malformed as a whole.
    #[error("{message}")]
    BadRequest {
        /// What is wrong and what would be right.
        message: String,
    },
    /// A member of the body or a parameter has a value that is not accepted.
    #[error("Invalid input for field/attribute {field}. {reason}")]
    InvalidInput {
        /// The path of the member, such as `server.networks.0.uuid`.
        field: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// No token, or one that does not count. The reason is for the log, not for the caller.
    #[error("The request you have made requires authentication.")]
    Unauthorized {
        /// Why; never sent.
        reason: &'static str,
    },
    /// The caller may not do this.
    #[error("{message}")]
    Forbidden {
        /// What is forbidden.
        message: String,
    },
    /// The thing does not exist, or the caller may not know that it does.
    #[error("{message}")]
    NotFound {
        /// What was not found.
        message: String,
    },
    /// The path exists, the method does not.
    #[error("The method {method} is not allowed for this resource.")]
    MethodNotAllowed {
        /// What was tried.
        method: String,
        /// What is allowed, for the `Allow` header.
        allowed: String,
    },
    /// The microversion asked for is not served.
    #[error(
        "Version {asked} is not supported by the API. Minimum is {} and maximum is {}.",
        range.min, range.max
    )]
    VersionNotSupported {
        /// What was asked for.
        asked: Microversion,
        /// What is served.
        range: VersionRange,
    },
    /// The thing is in a state, or others exist, with which this cannot be done.
    #[error("{message}")]
    Conflict {
        /// What conflicts.
        message: String,
    },
    /// The resource or the API was there once.
    #[error("{message}")]
    Gone {
        /// What is gone.
        message: String,
    },
    /// The body is longer than the endpoint reads.
    #[error("Request is too large: at most {limit} bytes are accepted.")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A thing would have more parts, or hold more, than is allowed.
    #[error("{message}")]
    LimitExceeded {
        /// Which limit.
        message: String,
    },
    /// The part that is asked for does not exist.
    #[error("{message}")]
    RangeNotSatisfiable {
        /// What was asked for and what there is.
        message: String,
    },
    /// The body is of a media type that is not read here.
    #[error("Unsupported Content-Type {given}; accepted: {accepted}.")]
    UnsupportedMediaType {
        /// What was sent.
        given: String,
        /// What would be read.
        accepted: &'static str,
    },
    /// The data is not what it was declared to be, or is not safe to use.
    #[error("{reason}")]
    UnacceptableData {
        /// What was found.
        reason: String,
    },
    /// A quota would be exceeded.
    #[error("{message}")]
    QuotaExceeded {
        /// Which, and by how much.
        message: String,
    },
    /// Too many requests of this caller.
    #[error("Too many requests; try again in {} s.", retry_after.as_secs())]
    TooManyRequests {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Understood, but not there yet.
    #[error("{message}")]
    NotImplemented {
        /// What is missing.
        message: String,
    },
    /// The site that owns the thing cannot be reached; nothing was done.
    #[error("Site {site} cannot be reached; nothing was changed. Try again later.")]
    SiteUnreachable {
        /// The name of the site.
        site: String,
    },
    /// Something this node needs is not there at the moment; nothing was done.
    #[error("{message}")]
    Unavailable {
        /// What is missing.
        message: String,
    },
    /// Whether the write happened is not known yet.
    #[error("The outcome of operation {operation} is not known yet; `luc op show {operation}`.")]
    OutcomeUnknown {
        /// The operation id to ask about.
        operation: String,
    },
    /// Another site was asked to do this and fell silent; it may have done it.
    #[error(
        "Site {site} did not say whether it has carried out operation {operation}; once it can be \
         reached, `luc op show {operation}` tells."
    )]
    SiteSilent {
        /// The name of the site.
        site: String,
        /// The operation id to ask about.
        operation: String,
    },
    /// Another site must do this; nothing was done here. The dispatcher hands the request on, so
    /// no client ever sees it.
    #[error("An unexpected error prevented the server from fulfilling your request.")]
    Elsewhere {
        /// The site that must do it.
        home: SitePrefix,
    },
    /// There is no room here for what was asked for, but perhaps at another site; nothing was done.
    /// The dispatcher asks those sites, so no client ever sees it.
    #[error("There is no room at this site.")]
    NoRoomHere {
        /// The sites to ask, the nearest first.
        next: Vec<SitePrefix>,
    },
    /// A fault of ours. The cause is logged where it is handled, and never sent.
    #[error("An unexpected error prevented the server from fulfilling your request.")]
    Internal {
        /// For the log.
        cause: String,
    },
}

impl ApiError {
    /// A missing thing, in Nova's words.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound {
            message: message.into(),
        }
    }

    /// A refused member.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidInput {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// A malformed request.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest {
            message: message.into(),
        }
    }

    /// A conflict.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict {
            message: message.into(),
        }
    }

    /// A refusal.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::Forbidden {
            message: message.into(),
        }
    }

    /// A fault of ours.
    pub fn internal(cause: impl Into<String>) -> Self {
        Self::Internal {
            cause: cause.into(),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest { .. } | Self::InvalidInput { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } | Self::QuotaExceeded { .. } => StatusCode::FORBIDDEN,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::VersionNotSupported { .. } => StatusCode::NOT_ACCEPTABLE,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::Gone { .. } => StatusCode::GONE,
            Self::TooLarge { .. } | Self::LimitExceeded { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::UnsupportedMediaType { .. } | Self::UnacceptableData { .. } => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotImplemented { .. } => StatusCode::NOT_IMPLEMENTED,
            Self::SiteUnreachable { .. } | Self::Unavailable { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::OutcomeUnknown { .. } | Self::SiteSilent { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::NoRoomHere { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Elsewhere { .. } | Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A rendered fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status.
    pub status: StatusCode,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Writes `error` as `service` does. `wants_json` is whether the caller's `Accept` header names
/// JSON, which only Glance (webob) looks at.
pub fn render(service: Service, error: &ApiError, wants_json: bool) -> Fault {
    let status = error.status();
    let message = error.to_string();
    // Authentication is refused by keystonemiddleware in every service, so in Keystone's form.
    let keystone = service == Service::Identity || status == StatusCode::UNAUTHORIZED;
    let (content_type, body) = if keystone {
        ("application/json", keystone_body(status, &message))
    } else if service == Service::Image && !wants_json {
        ("text/html; charset=UTF-8", glance_html(status, &message))
    } else if service == Service::Image {
        ("application/json", glance_json(status, &message))
    } else {
        (
            "application/json; charset=UTF-8",
            nova_body(status, &message),
        )
    };
    Fault {
        status,
        content_type,
        body,
    }
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

fn keystone_body(status: StatusCode, message: &str) -> String {
    let code = status.as_u16();
    json!({"error": {"code": code, "message": message, "title": title(status)}}).to_string()
}

fn nova_body(status: StatusCode, message: &str) -> String {
    let key = match status.as_u16() {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };
    let mut fault = serde_json::Map::new();
    fault.insert(
        key.to_owned(),
        json!({"code": status.as_u16(), "message": message}),
    );
    serde_json::Value::Object(fault).to_string()
}

fn glance_json(status: StatusCode, message: &str) -> String {
    let code = format!("{} {}", status.as_u16(), title(status));
    json!({"message": message, "code": code, "title": title(status)}).to_string()
}

fn glance_html(status: StatusCode, message: &str) -> String {
    let escaped = message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let heading = format!("{} {}", status.as_u16(), title(status));
    format!(
        "<html>\n <head>\n  <title>{heading}</title>\n </head>\n <body>\n  <h1>{heading}</h1>\n  \
         {escaped}<br /><br />\n\n\n </body>\n</html>"
    )
}

#[cfg(test)]
mod tests;
