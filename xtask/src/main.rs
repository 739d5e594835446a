//! Chores of the repository: `cargo run -p xtask --features schema -- schema` writes `model/schema/kubernetes.json.gz`.
use std::process::ExitCode;

#[cfg(feature = "schema")]
mod schema;

const USAGE: &str = "usage: cargo run -p xtask --features schema -- schema\n\n  schema   regenerate model/schema/kubernetes.json.gz from k8s-openapi";

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("schema") => schema_command(),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::FAILURE
}

#[cfg(feature = "schema")]
fn schema_command() -> ExitCode {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/schema/kubernetes.json.gz");
    match schema::write(&path) {
        Ok(bytes) => {
            println!("{}: {bytes} bytes", path.display());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{}: {e}", path.display());
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(feature = "schema"))]
fn schema_command() -> ExitCode {
    eprintln!("this needs the feature: cargo run -p xtask --features schema -- schema");
    ExitCode::FAILURE
}
