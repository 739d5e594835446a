//! Limits the warnings of a response. They are sent as headers, and clients accept only a limited amount of these.
use std::collections::HashSet;

/// Most characters of all warnings of a response.
const TOTAL: usize = 4_096;
/// Most characters of each, where they are more.
const EACH: usize = 256;

/// The distinct ones of these sentences; where they are too long they are cut, as Kubernetes does, and those that still don't fit are left out.
pub fn bounded(mut warnings: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    warnings.retain(|w| seen.insert(w.clone()));
    let length = |w: &String| w.chars().count();
    if warnings.iter().map(length).sum::<usize>() <= TOTAL {
        return warnings;
    }
    let mut room = TOTAL;
    let cut = warnings.iter().map(|w| w.chars().take(EACH).collect::<String>());
    cut.take_while(|w| {
        let fits = length(w) <= room;
        room = room.saturating_sub(length(w));
        fits
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::bounded;

    #[test]
    fn long_ones_are_cut() {
        let texts = |n: usize, length: usize| (0..n).map(|i| format!("{i:04}{}", "ä".repeat(length - 4))).collect::<Vec<_>>();
        assert_eq!(bounded(texts(4, 1_000)), texts(4, 1_000));
        assert_eq!(bounded(texts(5, 1_000)), texts(5, 256));
        assert_eq!(bounded(texts(100, 100_000)), texts(16, 256));
        assert_eq!(bounded(vec!["a".to_owned(), "b".to_owned(), "a".to_owned()]), ["a", "b"]);
    }
}
