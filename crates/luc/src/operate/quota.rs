//! `luc quota`: where the limits of projects are lent, and what is kept for a site.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Column, Operator, show, table};
use crate::operate_args::QuotaCommand;

const LIMIT_COLUMNS: [Column; 6] = [
    ("ITEM", "item"),
    ("LIMIT", "limit"),
    ("HOME USES", "here"),
    ("LENT", "lent"),
    ("FREE", "free"),
    ("PENDING", "pending"),
];

const SITE_COLUMNS: [Column; 3] = [("SITE", "site"), ("LENT", "lent"), ("RESERVE", "reserve")];

/// Carries it out.
pub async fn quota(command: QuotaCommand, json_wanted: bool) -> anyhow::Result<()> {
    let answer = match command {
        QuotaCommand::Show { of, api } => {
            let path = format!("/luc/v1/quotas/{of}");
            let operator = Operator::login(&api).await?;
            operator.ask(Method::GET, &path, None).await?
        }
        QuotaCommand::Reserve {
            of,
            site,
            amounts,
            api,
        } => {
            let amounts: Result<Map<String, Value>, _> = amounts.iter().map(amount).collect();
            let body = json!({"reserve": amounts?});
            let path = format!("/luc/v1/quotas/{of}/reserves/{site}");
            let operator = Operator::login(&api).await?;
            operator.ask(Method::PUT, &path, Some(body)).await?
        }
    };
    show(&answer, json_wanted, || tables(&answer["quota"]));
    Ok(())
}

/// `instances=5`.
fn amount(text: &String) -> anyhow::Result<(String, Value)> {
    let parts = text.split_once('=');
    let parts = parts.and_then(|(item, count)| Some((item, count.parse::<u64>().ok()?)));
    let (item, count) =
        parts.with_context(|| format!("{text:?} is no amount: use for example instances=5"))?;
    Ok((item.to_owned(), count.into()))
}

fn tables(quota: &Value) -> String {
    let limits = table(&LIMIT_COLUMNS, &quota["limits"]);
    let sites = quota["sites"].as_array().cloned().unwrap_or_default();
    if sites.is_empty() {
        return limits;
    }
    let sites = sites.into_iter().map(|mut site| {
        for of in ["lent", "reserve"] {
            site[of] = shares(&site[of]).into();
        }
        if site["site"].is_null() {
            site["site"] = site["site_id"].take();
        }
        site
    });
    format!("{limits}\n\n{}", table(&SITE_COLUMNS, &sites.collect()))
}

/// `instances=5 cores=10`; nothing is a dash.
fn shares(share: &Value) -> String {
    let amounts = share.as_object().into_iter().flatten();
    let amounts: Vec<String> = amounts
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(item, count)| format!("{item}={count}"))
        .collect();
    if amounts.is_empty() {
        return "-".to_owned();
    }
    amounts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_what_is_none_is_named() {
        let read = amount(&"ram=2048".to_owned()).unwrap();
        assert_eq!(read, ("ram".to_owned(), json!(2048)));
        for wrong in ["ram", "ram=", "ram=-1", "=x"] {
            let error = amount(&wrong.to_owned()).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_project_is_shown_by_item_and_by_site() {
        let quota = json!({
            "limits": [{"item": "instances", "limit": 10, "here": 1, "lent": 4, "free": 5,
                "pending": 0}],
            "sites": [{"site": null, "site_id": "c0ffee", "lent": {"instances": 4},
                "reserve": {}}],
        });
        let shown = tables(&quota);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], "instances  10     1          4     5     0");
        assert_eq!(lines[4], "c0ffee  instances=4  -");
    }
}
