//! Chores of the repository: `cargo run -p xtask --features schema -- schema <swagger.json>` writes `model/schema/kubernetes.json.gz`, and
//! `cargo run -p xtask -- protobuf <k8s.io> <version>` writes `model/schema/protobuf.json.gz` from Kubernetes' Go modules.
use std::io;
use std::path::Path;
use std::process::ExitCode;

mod protobuf;
mod rules;
#[cfg(feature = "schema")]
mod schema;

const USAGE: &str = "usage: cargo run -p xtask --features schema -- schema <swagger.json>
       cargo run -p xtask -- protobuf <directory of Go's modules k8s.io/*> <version>
       cargo run -p xtask -- rules <directory of k8s.io/api>

  schema     regenerate model/schema/kubernetes.json.gz from k8s-openapi and api/openapi-spec/swagger.json of k8s.io/kubernetes
  protobuf   regenerate model/schema/protobuf.json.gz from the modules api, apimachinery, apiextensions-apiserver and kube-aggregator (v0.37.2)
  rules      regenerate model/schema/rules.json.gz from model/schema/rules.yaml and the tags of the Go module k8s.io/api";

const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../model/schema");

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let schemas = Path::new(SCHEMAS);
    let (kubernetes, protobuf) = (schemas.join("kubernetes.json.gz"), schemas.join("protobuf.json.gz"));
    match args.as_slice() {
        ["schema", swagger] => done(&kubernetes, schema_command(&kubernetes, Path::new(swagger))),
        ["rules", api] => {
            let path = schemas.join("rules.json.gz");
            done(&path, rules::write(Path::new(api), &schemas.join("rules.yaml"), &path))
        }
        ["protobuf", modules, version] => done(&protobuf, protobuf::write(Path::new(modules), version, &protobuf)),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn done(path: &Path, result: io::Result<usize>) -> ExitCode {
    match result {
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

#[cfg(feature = "schema")]
fn schema_command(path: &Path, swagger: &Path) -> io::Result<usize> {
    schema::write(path, swagger)
}

#[cfg(not(feature = "schema"))]
fn schema_command(_: &Path, _: &Path) -> io::Result<usize> {
    Err(io::Error::other("this needs the feature: cargo run -p xtask --features schema -- schema"))
}
