//! Faults look as the real services write them.

use serde_json::Value;

use super::*;

fn body(service: Service, error: &ApiError) -> Value {
    serde_json::from_str(&render(service, error, true).body).unwrap()
}

#[test]
fn nova_names_the_fault_by_its_key() {
    let error = ApiError::not_found("Instance 00000000 could not be found.");
    assert_eq!(
        body(Service::Compute, &error),
        json!({"itemNotFound": {
            "code": 404, "message": "Instance 00000000 could not be found."
        }})
    );
}

#[test]
fn a_missing_token_is_refused_in_keystones_form_by_every_service() {
    let error = ApiError::Unauthorized { reason: "no token" };
    for service in Service::ALL {
        let fault = render(service, &error, false);
        let body: Value = serde_json::from_str(&fault.body).unwrap();
        assert_eq!(body["error"]["code"], 401);
        assert_eq!(body["error"]["title"], "Unauthorized");
        assert!(!fault.body.contains("no token"), "the reason leaks");
    }
}

#[test]
fn glance_writes_html_unless_json_is_wanted() {
    let error = ApiError::not_found("No image <x>");
    let html = render(Service::Image, &error, false);
    assert!(html.body.contains("No image &lt;x&gt;"), "{}", html.body);
    assert!(html.content_type.starts_with("text/html"));
    assert_eq!(body(Service::Image, &error)["code"], "404 Not Found");
}

#[test]
fn an_internal_cause_is_never_sent() {
    let error = ApiError::internal("password of the database is hunter2");
    for service in Service::ALL {
        for wants_json in [true, false] {
            assert!(!render(service, &error, wants_json).body.contains("hunter2"));
        }
    }
}

#[test]
fn a_refused_field_is_named() {
    let error = ApiError::invalid("server.name", "'' is too short");
    let shown = body(Service::Compute, &error);
    let message = shown["badRequest"]["message"].as_str().unwrap();
    assert_eq!(
        message,
        "Invalid input for field/attribute server.name. '' is too short"
    );
}

#[test]
fn a_silent_site_is_named_with_the_operation_to_ask_about() {
    let error = ApiError::SiteSilent {
        site: "nancy".to_owned(),
        operation: "0123".to_owned(),
    };
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(error.to_string().starts_with("Site nancy "), "{error}");
    assert!(error.to_string().contains("`luc op show 0123`"), "{error}");
    let error = ApiError::SiteUnreachable {
        site: "nancy".to_owned(),
    };
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(error.to_string().starts_with("Site nancy "), "{error}");
}

#[test]
fn nobody_learns_that_a_request_was_to_be_handed_on() {
    let home = SitePrefix::of_key(b"elsewhere");
    let fault = render(Service::Compute, &ApiError::Elsewhere { home }, true);
    assert_eq!(fault.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!fault.body.contains(&home.to_string()), "the home leaks");
}
