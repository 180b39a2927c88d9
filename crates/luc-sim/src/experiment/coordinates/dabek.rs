//! The coordinates that ours are compared with: two dimensions and a height, as published.
//!
//! Dabek et al., SIGCOMM 2004: the adaptive step of figure 3 with c_e = c_c = 0.25, the vector
//! algebra with heights of section 5.4, and nothing else: no median filter, no adjustment, no
//! gravity. Used by the coordinate experiment only.

use luc_core::entropy::SplitMix64;

use crate::network::matrix::draw;

const CE: f64 = 0.25;
const CC: f64 = 0.25;
/// A height never reaches zero (the paper: "height is always positive").
const HEIGHT_MIN: f64 = 10e-6;

/// A node of the reference. Lengths in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dabek {
    x: f64,
    y: f64,
    height: f64,
    error: f64,
}

impl Default for Dabek {
    fn default() -> Self {
        Self {
            x: 0.0,
            y: 0.0,
            height: HEIGHT_MIN,
            // "Initially, a node does not know where it is": an error of 100 %.
            error: 1.0,
        }
    }
}

impl Dabek {
    /// The predicted round trip.
    pub fn distance(&self, other: &Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y) + self.height + other.height
    }

    /// Figure 3: weight, relative error of the sample, own error, step.
    pub fn observe(&mut self, other: &Self, rtt: f64, entropy: &mut SplitMix64) {
        let distance = self.distance(other);
        let weight = self.error / (self.error + other.error).max(f64::MIN_POSITIVE);
        let wrongness = (distance - rtt).abs() / rtt;
        self.error = wrongness * CE * weight + self.error * (1.0 - CE * weight);
        let force = CC * weight * (rtt - distance);
        self.push(other, force, entropy);
    }

    /// Section 5.4: the unit vector of [x, h] - [y, g] = [x - y, h + g], whose length is the
    /// distance.
    fn push(&mut self, other: &Self, force: f64, entropy: &mut SplitMix64) {
        let (mut across, mut up) = (self.x - other.x, self.y - other.y);
        let plane = across.hypot(up);
        if plane < 1e-9 {
            let angle = std::f64::consts::TAU * draw::uniform(entropy);
            (self.x, self.y) = (self.x + force * angle.cos(), self.y + force * angle.sin());
            return;
        }
        let heights = self.height + other.height;
        let length = plane + heights;
        (across, up) = (across / length, up / length);
        self.x += force * across;
        self.y += force * up;
        self.height = (self.height + force * heights / length).max(HEIGHT_MIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_nodes_on_a_triangle_find_it() {
        let sides = [[0.0, 0.03, 0.04], [0.03, 0.0, 0.05], [0.04, 0.05, 0.0]];
        let mut nodes = [Dabek::default(); 3];
        let mut entropy = SplitMix64::new(1);
        for probe in 0..6_000 {
            let (left, right) = (probe % 3, (probe + 1 + probe / 3 % 2) % 3);
            let other = nodes[right];
            nodes[left].observe(&other, sides[left][right], &mut entropy);
        }
        for left in 0..3 {
            for right in 0..left {
                let error = (nodes[left].distance(&nodes[right]) / sides[left][right] - 1.0).abs();
                assert!(error < 0.02, "{left} {right} {error}");
            }
        }
    }
}
