//! One benchmark: protocol, targets, tables, plots.

use std::collections::BTreeMap;

use crate::sweep::{Benchmark, Judgement, Published, Results, Role, Stat, Table, Verdict};

use super::html::{Html, escaped, number};
use super::plot;

pub(super) fn write(html: &mut Html, benchmark: &Benchmark, results: &Results<'_>) {
    let id = escaped(benchmark.id);
    html.raw(&format!("<section id=\"{id}\">\n<h2>{id}: "));
    html.text(benchmark.title);
    html.raw("</h2>\n");
    for paragraph in &benchmark.protocol {
        html.raw("<p class=\"protocol\">");
        html.text(paragraph);
        html.raw("</p>\n");
    }
    let judged: Vec<_> = benchmark
        .targets
        .iter()
        .map(|target| (benchmark.id, target.judge(results)))
        .collect();
    if !judged.is_empty() {
        html.raw("<h3>Targets</h3>\n");
        judgements(html, &judged);
    }
    let roles: BTreeMap<&str, Role> = benchmark
        .jobs
        .iter()
        .map(|job| (job.row.as_str(), job.role))
        .collect();
    for shown in &benchmark.tables {
        table(html, shown, results, &roles);
    }
    for drawn in &benchmark.plots {
        plot::write(html, drawn, results);
    }
    html.raw("</section>\n");
}

/// Targets, each with its verdict in words.
pub(super) fn judgements(html: &mut Html, judged: &[(&'static str, Judgement)]) {
    html.raw("<div class=\"scroll\"><table><thead><tr><th></th><th class=\"words\">target</th>");
    html.raw("<th class=\"words\">verdict</th><th class=\"words\">measured</th></tr></thead>");
    html.raw("<tbody>\n");
    for (id, judgement) in judged {
        let (class, word) = match judgement.verdict {
            Verdict::Met => ("met", "met"),
            Verdict::Missed => ("missed", "missed"),
            Verdict::Unknown => ("unknown", "not measured"),
        };
        html.raw("<tr><th>");
        html.text(id);
        html.raw("</th><td class=\"words\">");
        html.text(&judgement.text);
        html.raw(&format!(
            "</td><td class=\"words {class}\">{word}</td><td class=\"words\">"
        ));
        html.text(&judgement.detail);
        html.raw("</td></tr>\n");
    }
    html.raw("</tbody></table></div>\n");
}

fn table(html: &mut Html, table: &Table, results: &Results<'_>, roles: &BTreeMap<&str, Role>) {
    html.raw("<div class=\"scroll\"><table><caption>");
    html.text(&table.title);
    html.raw("</caption><thead><tr><th></th>");
    for column in &table.columns {
        html.raw("<th>");
        html.text(column);
        html.raw("</th>");
    }
    html.raw("</tr></thead><tbody>\n");
    for published in &table.published {
        published_row(html, published, table.digits);
    }
    for row in &table.rows {
        measured_row(html, row, table, results, roles.get(row.as_str()).copied());
    }
    for (above, below) in &table.ratios {
        ratio_row(html, (above, below), table, results);
    }
    html.raw("</tbody></table></div>\n");
}

fn published_row(html: &mut Html, published: &Published, digits: usize) {
    if published.values.iter().all(Option::is_none) {
        return;
    }
    html.raw("<tr class=\"published\"><th>");
    html.text(&format!(
        "published: {} ({})",
        published.label, published.source
    ));
    html.raw("</th>");
    for value in &published.values {
        html.raw("<td>");
        html.text(&value.map_or_else(|| "–".to_owned(), |value| number(value, digits)));
        html.raw("</td>");
    }
    html.raw("</tr>\n");
}

fn measured_row(
    html: &mut Html,
    row: &str,
    table: &Table,
    results: &Results<'_>,
    role: Option<Role>,
) {
    let stats: Vec<Option<Stat>> = table
        .columns
        .iter()
        .map(|column| results.stat(row, column, table.measure))
        .collect();
    if stats.iter().all(Option::is_none) {
        return;
    }
    let class = match role {
        Some(Role::Ours) => " class=\"ours\"",
        Some(Role::Replica) => " class=\"replica\"",
        Some(Role::Baseline) | None => "",
    };
    html.raw(&format!("<tr{class}><th>"));
    html.text(row);
    html.raw("</th>");
    for stat in stats {
        html.raw("<td>");
        match stat {
            None => html.raw("–"),
            Some(stat) => {
                html.text(&number(stat.mean * table.factor, table.digits));
                if stat.count > 1 {
                    html.raw("<span class=\"dev\"> ± ");
                    html.text(&number(stat.deviation * table.factor, table.digits));
                    html.raw("</span>");
                }
            }
        }
        html.raw("</td>");
    }
    html.raw("</tr>\n");
}

fn ratio_row(
    html: &mut Html,
    (above, below): (&String, &String),
    table: &Table,
    results: &Results<'_>,
) {
    let ratio = |column: &String| {
        let above = results.mean(above, column, table.measure)?;
        let below = results.mean(below, column, table.measure)?;
        (below.abs() > f64::EPSILON).then(|| above / below)
    };
    let ratios: Vec<Option<f64>> = table.columns.iter().map(ratio).collect();
    if ratios.iter().all(Option::is_none) {
        return;
    }
    html.raw("<tr class=\"ratio\"><th>");
    html.text(&format!("ratio: {above} ÷ {below}"));
    html.raw("</th>");
    for ratio in ratios {
        html.raw("<td>");
        html.text(&ratio.map_or_else(|| "–".to_owned(), |ratio| number(ratio, 3)));
        html.raw("</td>");
    }
    html.raw("</tr>\n");
}
