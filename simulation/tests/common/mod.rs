//! Which seeds are run.

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|v| !v.is_empty()).map(|v| v.parse().unwrap())
}

/// The one that `SEED` names, or the first `SEEDS`, or the first forty.
pub fn seeds() -> Vec<u64> {
    number("SEED").map_or_else(|| (1..=number("SEEDS").unwrap_or(40)).collect(), |one| vec![one])
}
