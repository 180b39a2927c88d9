//! Nodes on the plane that shows most of their coordinates: the first two principal components.

use crate::sweep::Point;

use super::axis::{Axis, label};
use super::html::{Html, escaped};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 44.0;

/// Colours before they repeat.
const COLOURS: u32 = 8;

/// Steps of the power iteration; the plane need not be exact.
const STEPS: usize = 200;

/// Writes the map; nothing if there are no points.
pub(super) fn write(html: &mut Html, title: &str, points: &[Point], sites: &[String]) {
    let Some(flats) = project(points) else {
        return;
    };
    // One scale for both directions, so that distances on the paper are distances.
    let span = |axis: usize| {
        let values = flats.iter().map(|point| point[axis]);
        let (least, greatest) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, g), v| {
            (l.min(v), g.max(v))
        });
        (f64::midpoint(least, greatest), greatest - least)
    };
    let ((middle_x, wide), (middle_y, high)) = (span(0), span(1));
    let room = (WIDTH - 2.0 * MARGIN, HEIGHT - 2.0 * MARGIN);
    let scale = (wide / room.0).max(high / room.1).max(1e-9);
    let place = |point: [f64; 2]| {
        let x = WIDTH / 2.0 + (point[0] - middle_x) / scale;
        let y = HEIGHT / 2.0 - (point[1] - middle_y) / scale;
        (x, y)
    };
    html.raw("<figure><figcaption>");
    html.text(title);
    html.raw(&format!(
        "</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escaped(title)
    ));
    ruler(html, scale);
    for (point, flat) in points.iter().zip(&flats) {
        let (x, y) = place(*flat);
        html.raw(&format!(
            "<circle class=\"k{}\" fill-opacity=\"0.7\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\n",
            point.site % COLOURS
        ));
    }
    for (site, name) in sites.iter().enumerate() {
        let of_site: Vec<(f64, f64)> = points
            .iter()
            .zip(&flats)
            .filter(|(point, _)| point.site as usize == site)
            .map(|(_, flat)| place(*flat))
            .collect();
        let Some(count) = (!of_site.is_empty()).then_some(of_site.len() as f64) else {
            continue;
        };
        let x = of_site.iter().map(|place| place.0).sum::<f64>() / count;
        let top = of_site.iter().map(|place| place.1).fold(HEIGHT, f64::min);
        html.raw(&format!(
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">",
            top - 9.0
        ));
        html.text(name);
        html.raw("</text>\n");
    }
    html.raw("</svg></figure>\n");
}

/// A line that says how long a round trip is on the map.
fn ruler(html: &mut Html, scale: f64) {
    let ticks = Axis::from_zero([150.0 * scale].into_iter(), 0.0, 150.0).ticks();
    let Some(length) = ticks
        .into_iter()
        .rfind(|tick| *tick > 0.0 && *tick <= 200.0 * scale)
    else {
        return;
    };
    let base = HEIGHT - 14.0;
    html.raw(&format!(
        "<line class=\"axis\" x1=\"14\" x2=\"{:.1}\" y1=\"{base}\" y2=\"{base}\"/>\
         <text x=\"14\" y=\"{}\">{} ms of round trip</text>\n",
        14.0 + length / scale,
        base - 6.0,
        label(length)
    ));
}

/// The points on their first two principal components, or nothing if there are none or their
/// vectors are not of one length.
fn project(points: &[Point]) -> Option<Vec<[f64; 2]>> {
    let dimensions = points.first()?.vector.len();
    let alike = points.iter().all(|point| point.vector.len() == dimensions);
    if !alike || dimensions == 0 {
        return None;
    }
    let count = points.len() as f64;
    let mean: Vec<f64> = (0..dimensions)
        .map(|axis| points.iter().map(|point| point.vector[axis]).sum::<f64>() / count)
        .collect();
    let centred: Vec<Vec<f64>> = points
        .iter()
        .map(|point| {
            let pairs = point.vector.iter().zip(&mean);
            pairs.map(|(value, mean)| value - mean).collect()
        })
        .collect();
    let first = component(&centred, None, dimensions);
    let second = component(&centred, Some(&first), dimensions);
    let flat = centred
        .iter()
        .map(|vector| [dot(vector, &first), dot(vector, &second)]);
    Some(flat.collect())
}

/// The direction of greatest spread that is orthogonal to `known`, by power iteration.
fn component(centred: &[Vec<f64>], known: Option<&Vec<f64>>, dimensions: usize) -> Vec<f64> {
    // Any start that is not orthogonal to the answer will do; equal parts seldom are, unequal
    // ones hardly ever.
    let mut direction: Vec<f64> = (0..dimensions)
        .map(|axis| 1.0 + axis as f64 * 0.37)
        .collect();
    for _ in 0..STEPS {
        let mut next = vec![0.0; dimensions];
        for vector in centred {
            let along = dot(vector, &direction);
            for (sum, value) in next.iter_mut().zip(vector) {
                *sum += along * value;
            }
        }
        if let Some(known) = known {
            let along = dot(&next, known);
            for (value, part) in next.iter_mut().zip(known) {
                *value -= along * part;
            }
        }
        let length = dot(&next, &next).sqrt();
        if length < 1e-12 {
            return vec![0.0; dimensions];
        }
        direction = next.into_iter().map(|value| value / length).collect();
    }
    direction
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(vector: &[f64]) -> Point {
        Point {
            site: 0,
            vector: vector.to_vec(),
        }
    }

    #[test]
    fn the_plane_keeps_the_distances_of_points_that_lie_in_one() {
        let points: Vec<Point> = [[0.0, 0.0], [3.0, 0.0], [3.0, 1.0], [0.0, 1.0]]
            .iter()
            // A plane that no axis lies in.
            .map(|[u, v]| point(&[u * 0.6, u * 0.8, v * 0.8, -v * 0.6, 0.0]))
            .collect();
        let flat = project(&points).expect("there are points");
        let distance = |i: usize, j: usize| {
            let (x, y) = (flat[i][0] - flat[j][0], flat[i][1] - flat[j][1]);
            x.hypot(y)
        };
        assert!((distance(0, 1) - 3.0).abs() < 1e-6);
        assert!((distance(0, 3) - 1.0).abs() < 1e-6);
        assert!((distance(0, 2) - 10.0_f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn points_that_cannot_be_projected_give_no_map() {
        assert_eq!(project(&[]), None);
        assert_eq!(project(&[point(&[1.0]), point(&[1.0, 2.0])]), None);
        let all_the_same = vec![point(&[1.0, 2.0, 3.0]); 3];
        assert_eq!(project(&all_the_same), Some(vec![[0.0, 0.0]; 3]));
    }
}
