//! A line chart as SVG, with its legend.

use super::axis::{Axis, label};
use super::html::{Html, escaped};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;

/// How many colours there are; after them the marks change.
const COLOURS: usize = 8;

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) dashed: bool,
    pub(super) points: Vec<[f64; 2]>,
}

/// A chart of some lines.
#[derive(Clone, Debug)]
pub(super) struct Chart<'a> {
    title: &'a str,
    across: &'a str,
    series: Vec<Series>,
}

impl<'a> Chart<'a> {
    /// A chart of those series that have points, in the order of their abscissae.
    pub(super) fn new(title: &'a str, across: &'a str, mut series: Vec<Series>) -> Self {
        for one in &mut series {
            one.points
                .retain(|point| point.iter().all(|value| value.is_finite()));
            one.points
                .sort_by(|left, right| left[0].total_cmp(&right[0]));
        }
        series.retain(|one| !one.points.is_empty());
        Self {
            title,
            across,
            series,
        }
    }

    /// Writes it; nothing if there is nothing to draw.
    pub(super) fn write(&self, html: &mut Html) {
        if self.series.is_empty() {
            return;
        }
        let all = || self.series.iter().flat_map(|one| one.points.iter());
        let x = Axis::covering(all().map(|point| point[0]), LEFT, WIDTH - RIGHT);
        let y = Axis::from_zero(all().map(|point| point[1]), HEIGHT - BOTTOM, TOP);
        html.raw("<figure><figcaption>");
        html.text(self.title);
        html.raw(&format!(
            "</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{}\">\n",
            escaped(self.title)
        ));
        self.grid(html, &x, &y);
        for (index, one) in self.series.iter().enumerate() {
            line(html, one, index, &x, &y);
        }
        html.raw("</svg>\n<ul class=\"legend\">");
        for (index, one) in self.series.iter().enumerate() {
            legend(html, one, index);
        }
        html.raw("</ul></figure>\n");
    }

    fn grid(&self, html: &mut Html, x: &Axis, y: &Axis) {
        for tick in y.ticks() {
            let at = y.place(tick);
            html.raw(&format!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                label(tick)
            ));
        }
        let ticks = if x.is_logarithmic() {
            self.abscissae()
        } else {
            x.ticks()
        };
        let base = HEIGHT - BOTTOM;
        for tick in ticks {
            let at = x.place(tick);
            html.raw(&format!(
                "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{base}\" y2=\"{}\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                base + 4.0,
                base + 17.0,
                label(tick)
            ));
        }
        html.raw(&format!(
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{base}\" y2=\"{base}\"/>\
             <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">",
            WIDTH - RIGHT,
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 8.0
        ));
        html.text(self.across);
        html.raw("</text>\n");
    }

    /// All abscissae, each once; but not two that would be written over each other.
    fn abscissae(&self) -> Vec<f64> {
        let points = self.series.iter().flat_map(|one| one.points.iter());
        let mut all: Vec<f64> = points.map(|point| point[0]).collect();
        all.sort_by(f64::total_cmp);
        all.dedup_by(|next, kept| *next < *kept * 1.15);
        all
    }
}

fn line(html: &mut Html, series: &Series, index: usize, x: &Axis, y: &Axis) {
    let colour = index % COLOURS;
    let places: Vec<String> = series
        .points
        .iter()
        .map(|point| format!("{:.1},{:.1}", x.place(point[0]), y.place(point[1])))
        .collect();
    html.raw(&format!(
        "<polyline class=\"curve k{colour}\" style=\"fill:none\"{} points=\"{}\"/>\n",
        dash(series, index),
        places.join(" ")
    ));
    // A curve of many points needs no marks.
    if series.points.len() > 40 {
        return;
    }
    for point in &series.points {
        mark(html, index, x.place(point[0]), y.place(point[1]));
    }
}

fn dash(series: &Series, index: usize) -> &'static str {
    if series.dashed {
        " stroke-dasharray=\"6 4\""
    } else if index >= COLOURS {
        " stroke-dasharray=\"2 2\""
    } else {
        ""
    }
}

/// A circle, a square or a diamond, by the number of the series.
fn mark(html: &mut Html, index: usize, x: f64, y: f64) {
    let colour = index % COLOURS;
    let shape = match index % 3 {
        0 => format!("<circle class=\"k{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>\n"),
        1 => format!(
            "<rect class=\"k{colour}\" x=\"{:.1}\" y=\"{:.1}\" width=\"5.4\" height=\"5.4\"/>\n",
            x - 2.7,
            y - 2.7
        ),
        _ => format!(
            "<path class=\"k{colour}\" d=\"M{x:.1} {:.1}l4 4-4 4-4-4z\"/>\n",
            y - 4.0
        ),
    };
    html.raw(&shape);
}

fn legend(html: &mut Html, series: &Series, index: usize) {
    let colour = index % COLOURS;
    html.raw(&format!(
        "<li><svg viewBox=\"0 0 26 12\" aria-hidden=\"true\">\
         <line class=\"k{colour}\" stroke-width=\"2\" x1=\"0\" x2=\"26\" y1=\"6\" y2=\"6\"{}/>",
        dash(series, index)
    ));
    mark(html, index, 13.0, 6.0);
    html.raw("</svg> ");
    html.text(&series.name);
    html.raw("</li>");
}
