//! The oslo.policy evaluator.
