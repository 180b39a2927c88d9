//! `luc op show`: what became of a write that another site had to carry out, for people.

use anyhow::bail;
use luc_services::operations::NO_RECORD;
use reqwest::Method;
use serde_json::Value;

use super::{Operator, plain, segment, show};
use crate::operate_args::ApiArgs;

/// The facts that are shown, in this order.
const FACTS: [&str; 9] = [
    "id", "outcome", "request", "from", "site", "began", "status", "wrote", "silent",
];

/// Carries it out; an error if nobody has a record of it, for nothing is known then.
pub async fn operation(id: &str, api: &ApiArgs, json_wanted: bool) -> anyhow::Result<()> {
    let path = format!("/luc/v1/operations/{}", segment("the operation", id)?);
    let operator = Operator::login(api).await?;
    let answer = operator.ask(Method::GET, &path, None).await?;
    let operation = &answer["operation"];
    let unknown = operation["outcome"] == NO_RECORD;
    if json_wanted || !unknown {
        show(&answer, json_wanted, || told(operation));
    }
    if unknown {
        bail!("there is no record of {id}: it was not done here, or more than 24 h ago");
    }
    Ok(())
}

/// A line for each fact that is known.
fn told(operation: &Value) -> String {
    let known = FACTS.iter().filter(|name| !operation[**name].is_null());
    let lines = known.map(|name| {
        let fact = match *name {
            "wrote" => records(&operation["wrote"]),
            name => plain(&operation[name]),
        };
        format!("{name:8} {fact}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `server 0a1b…, user 2c3d…`.
fn records(wrote: &Value) -> String {
    let each = wrote.as_array().into_iter().flatten();
    let each = each.map(|one| format!("{} {}", plain(&one["kind"]), plain(&one["id"])));
    let each: Vec<String> = each.collect();
    if each.is_empty() {
        return "nothing".to_owned();
    }
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_is_told_in_words_and_without_json() {
        let operation = json!({
            "id": "o-1", "outcome": "done", "site": "nancy", "from": "rennes",
            "request": "POST /compute/v2.1/servers", "began": "2026-11-22T19:00:00Z",
            "status": 202, "wrote": [{"kind": "server", "id": "s-1"}, {"kind": "lease", "id": "l"}],
        });
        let told = told(&operation);
        assert!(told.contains("began    2026-11-22T19:00:00Z"), "{told}");
        assert!(told.ends_with("wrote    server s-1, lease l"), "{told}");
        assert!(!told.contains(['{', '[']), "{told}");
    }

    #[test]
    fn sites_that_are_silent_are_named_and_what_is_not_known_is_left_out() {
        let operation = json!({"id": "o-1", "outcome": "unknown", "silent": ["nancy", "lyon"]});
        let told = told(&operation);
        assert_eq!(told, "id       o-1\noutcome  unknown\nsilent   nancy,lyon");
    }
}
