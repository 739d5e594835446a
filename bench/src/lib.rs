//! What load generators and micro-benchmarks share: how the scheduler is measured, and how figures are put.
pub mod report;
pub mod scheduling;
