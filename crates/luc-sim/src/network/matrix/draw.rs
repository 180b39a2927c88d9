//! Random numbers of the distributions that networks are made of, from a seeded source.

use luc_core::entropy::Entropy;

/// Uniform above 0 and below 1, in steps of 2^-53.
pub fn uniform(entropy: &mut impl Entropy) -> f64 {
    ((entropy.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A whole number below `bound`, which is above 0 and far below 2^64 (so that the bias is none
/// that could be measured).
pub fn below(entropy: &mut impl Entropy, bound: usize) -> usize {
    (entropy.next_u64() % bound as u64) as usize
}

/// Normal with mean 0 and deviation 1 (Box and Muller 1958).
pub fn normal(entropy: &mut impl Entropy) -> f64 {
    let radius = (-2.0 * uniform(entropy).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(entropy)).cos()
}

/// Log-normal with median 1: a factor.
pub fn log_normal(entropy: &mut impl Entropy, sigma: f64) -> f64 {
    (sigma * normal(entropy)).exp()
}

/// Exponential with mean 1.
pub fn exponential(entropy: &mut impl Entropy) -> f64 {
    -uniform(entropy).ln()
}
