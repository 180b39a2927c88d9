//! One HTML page of a sweep's results: protocol, tables beside published values, plots, targets.
//!
//! The page stands alone: no script, no font, no image from elsewhere; plots are SVG written here.
//! It reads in light and dark and on paper. Everything that comes from outside is escaped. Nothing
//! here measures, opens a file or asks the machine: facts come in as text.

mod axis;
mod chart;
mod html;
mod map;
mod plot;
mod section;
mod style;

use crate::sweep::{Benchmark, Judgement, Record, Results, Verdict};
use html::{Html, escaped};

/// What stands above a page whose figures say nothing.
const QUICK: &str = "A quick sweep: small clouds and short runs that show that everything works. \
                     Its figures are not those of the benchmarks.";

/// What a page is made of.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The benchmarks, in order.
    pub benchmarks: &'a [Benchmark],
    /// All records there are.
    pub records: &'a [Record],
    /// Whether the sweep only shows that it works: small, short, not to be quoted.
    pub quick: bool,
    /// What the reader should know of machine, program and command: name and value.
    pub facts: &'a [(String, String)],
}

impl Page<'_> {
    /// Every target of every benchmark, judged, with the benchmark's name.
    pub fn judgements(&self) -> Vec<(&'static str, Judgement)> {
        let mut judged = Vec::new();
        for benchmark in self.benchmarks {
            let results = Results::of(benchmark, self.records);
            let targets = benchmark.targets.iter();
            judged.extend(targets.map(|target| (benchmark.id, target.judge(&results))));
        }
        judged
    }

    /// The page.
    pub fn render(&self) -> String {
        let mut html = Html::new();
        html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        html.raw("<title>LUC OS: paper sweep</title>\n<style>");
        html.raw(style::CSS);
        html.raw("</style>\n</head>\n<body>\n");
        self.head(&mut html);
        for benchmark in self.benchmarks {
            let results = Results::of(benchmark, self.records);
            section::write(&mut html, benchmark, &results);
        }
        html.raw("</body>\n</html>\n");
        html.finish()
    }

    fn head(&self, html: &mut Html) {
        let judged = self.judgements();
        let count = |verdict| judged.iter().filter(|(_, j)| j.verdict == verdict).count();
        html.raw("<header>\n<h1>LUC OS: paper sweep</h1>\n<p>");
        html.text(&format!(
            "{} targets met, {} missed, {} not measured. Every figure is simulated unless it is \
             marked as measured. Mean ± σ over the seeds.",
            count(Verdict::Met),
            count(Verdict::Missed),
            count(Verdict::Unknown)
        ));
        html.raw("</p>\n");
        if self.quick {
            html.raw("<p class=\"missed\">");
            html.text(QUICK);
            html.raw("</p>\n");
        }
        html.raw("<nav>");
        for benchmark in self.benchmarks {
            let id = escaped(benchmark.id);
            html.raw(&format!("<a href=\"#{id}\">{id}</a> "));
        }
        html.raw("</nav>\n<details><summary>Machine, program and command</summary>\n<dl>");
        for (name, value) in self.facts {
            html.raw("<dt>");
            html.text(name);
            html.raw("</dt><dd>");
            html.text(value);
            html.raw("</dd>\n");
        }
        html.raw("</dl></details>\n<h2>Targets</h2>\n");
        section::judgements(html, &judged);
        html.raw("</header>\n");
    }

    /// All measures as comma-separated values, one per line, with a heading.
    pub fn csv(&self) -> String {
        let mut csv = String::from("benchmark,row,column,seed,measure,value\n");
        for benchmark in self.benchmarks {
            let results = Results::of(benchmark, self.records);
            for job in &benchmark.jobs {
                for record in results.records(&job.row, &job.column) {
                    for (measure, value) in &record.measures {
                        let cells = [
                            benchmark.id.to_owned(),
                            job.row.clone(),
                            job.column.clone(),
                            record.seed.to_string(),
                            measure.clone(),
                            value.to_string(),
                        ];
                        csv.push_str(&cells.map(|cell| quoted(&cell)).join(","));
                        csv.push('\n');
                    }
                }
            }
        }
        csv
    }
}

/// A cell as RFC 4180 wants it.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests;
