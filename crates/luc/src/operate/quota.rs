//! `luc quota`: where the limits of projects are lent, and what is kept for a site.

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Column, Operator, segment, show, table};
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
            let path = format!("/luc/v1/quotas/{}", segment("the project", &of)?);
            let operator = Operator::login(&api).await?;
            operator.ask(Method::GET, &path, None).await?
        }
        QuotaCommand::Reserve {
            of,
            site,
            amounts,
            api,
        } => {
            let body = json!({"reserve": reserve(&amounts)?});
            let project = segment("the project", &of)?;
            let site = segment("the site", &site)?;
            let path = format!("/luc/v1/quotas/{project}/reserves/{site}");
            let operator = Operator::login(&api).await?;
            operator.ask(Method::PUT, &path, Some(body)).await?
        }
    };
    show(&answer, json_wanted, || tables(&answer["quota"]));
    Ok(())
}

/// What is kept, each item once.
fn reserve(amounts: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut kept = Map::new();
    for text in amounts {
        let (item, count) = amount(text)?;
        if kept.contains_key(&item) {
            bail!("{item} is named twice: say once how much of it is kept");
        }
        kept.insert(item, count);
    }
    Ok(kept)
}

/// `instances=5`.
fn amount(text: &str) -> anyhow::Result<(String, Value)> {
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
        let read = amount("ram=2048").unwrap();
        assert_eq!(read, ("ram".to_owned(), json!(2048)));
        for wrong in ["ram", "ram=", "ram=-1", "=x"] {
            let error = amount(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn an_item_that_is_named_twice_is_refused() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>()
        };
        let kept = reserve(&words(&["instances=2", "cores=3"])).unwrap();
        assert_eq!(Value::from(kept), json!({"instances": 2, "cores": 3}));
        let twice = reserve(&words(&["instances=2", "instances=3"])).unwrap_err();
        assert!(twice.to_string().contains("instances"), "{twice}");
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
