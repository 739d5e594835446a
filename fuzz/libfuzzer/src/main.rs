//! The one binary that libFuzzer runs: `FUZZ_TARGET` says which target.
#![no_main]
use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    match fuzz::TARGETS.iter().find(|t| t.name == name) {
        Some(target) => target.run,
        None => {
            eprintln!("FUZZ_TARGET is to be one of:");
            fuzz::TARGETS.iter().for_each(|t| eprintln!("  {}", t.name));
            std::process::exit(2);
        }
    }
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
