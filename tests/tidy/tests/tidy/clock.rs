//! What decides is pure: time, chance, files and the network are inputs of it.
use crate::paths::{Paths, attributes, is_test};
use crate::sources::{Repository, Source};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{ExprAwait, ExprMethodCall, Item};

/// Folders, and which files and folders in them are pure; `""` is all of a folder.
const PURE: &[(&str, &[&str])] = &[
    ("names", &[""]),
    ("cel", &[""]),
    ("model", &[""]),
    ("bus/src", &["address.rs", "message.rs", "nats/packet.rs", "nats/in_flight.rs", "permissions.rs", "server/config.rs", "subject.rs"]),
    ("state/client/src", &["api.rs", "connect.rs", "metrics.rs", "node.rs", "token.rs", "usage.rs"]),
    (
        "state/src",
        &[
            "admission",
            "authz",
            "subresource",
            "request_context.rs",
            "deletion.rs",
            "eviction.rs",
            "form.rs",
            "identity.rs",
            "meta.rs",
            "selection.rs",
            "lookup.rs",
        ],
    ),
    ("state/src", &["audit.rs", "known.rs", "node_name.rs", "warnings.rs", "store/subject.rs"]),
    ("state/src/verbs", &["check.rs", "review.rs"]),
    ("api-gateway/src", &["forms.rs", "kubeconfig.rs", "negotiate.rs", "path.rs", "query.rs", "auth/subprotocol.rs"]),
    ("api-gateway/src/stream", &["command.rs", "messages.rs", "outputs.rs", "pairs.rs", "protocols.rs", "session.rs", "spdy.rs"]),
    ("scheduler", &[""]),
    ("controllers", &[""]),
    ("node-agent/src", &["admission", "pod", "admission.rs", "component.rs", "downward.rs", "env.rs", "logs.rs", "resources.rs"]),
    (
        "node-agent/src",
        &[
            "executor/files.rs",
            "executor/http/headers.rs",
            "executor/http/url.rs",
            "executor/mounts.rs",
            "executor/parts.rs",
            "executor/spec.rs",
            "hollow/mode.rs",
        ],
    ),
    ("node-agent/src", &["net/ipam.rs", "net/table.rs", "node/object.rs", "proxy/ruleset.rs", "stream/absent.rs"]),
    ("node-agent/src", &["runtime/hollow/ending.rs", "runtime/image_name.rs", "runtime/podman/spec.rs", "runtime/podman/wire.rs"]),
    ("node-agent/src/volumes", &["config_map.rs", "content.rs", "downward_api.rs", "owner.rs", "secret.rs"]),
    ("simulation/src", &["process.rs", "check.rs", "feed.rs", "store.rs"]),
];

/// Files in them that aren't: the loops that have a clock and a bus.
const BUT: &[&str] = &["scheduler/src/actor.rs", "controllers/src/lib.rs", "controllers/src/runtime/actor.rs"];

/// What reads a clock or draws by chance.
const CALLS: &[&str] = &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "Utc::now", "Uuid::new_v4"];

/// Crates and modules in which there is nothing for what is pure.
const MODULES: &[&str] = &["rand", "std::fs", "std::env", "std::process", "tokio", "async_nats"];

/// Where pure code reads a clock, draws by chance or reaches out of itself. Tests may.
pub fn check(repository: &Repository) -> Vec<String> {
    let crates = repository.crates();
    let code: BTreeSet<&Path> = crates.iter().flat_map(|c| c.modules.files()).collect();
    let pure: Vec<PathBuf> = PURE.iter().flat_map(|(folder, files)| files.iter().map(move |file| Path::new(folder).join(file))).collect();
    let is_pure = |path: &Path| code.contains(path) && pure.iter().any(|pure| path.starts_with(pure)) && !BUT.iter().any(|but| path == Path::new(but));
    let gone = pure.iter().map(PathBuf::as_path).chain(BUT.iter().map(Path::new)).filter(|place| !code.iter().any(|path| path.starts_with(place)));
    let found = repository.sources.iter().filter(|s| is_pure(&s.path)).flat_map(impure);
    found.chain(gone.map(|place| format!("is not there: {}", place.display()))).collect()
}

fn impure(source: &Source) -> Vec<String> {
    let paths = Paths::of_file(&source.syntax, false);
    let mut found = BTreeSet::new();
    for (path, line) in paths.all() {
        let imported = paths.imports.iter().find(|import| import.name == path[0]);
        let full = [imported.map_or(&path[..1], |import| &import.path), &path[1..]].concat();
        let full = full.join("::");
        let calls = CALLS.iter().any(|call| format!("::{full}").ends_with(&format!("::{call}")));
        // a name alone is a variable's
        let reaches = full.contains("::") && MODULES.iter().any(|module| format!("{full}::").starts_with(&format!("{module}::")));
        if calls || reaches {
            found.insert((line, full));
        }
    }
    let mut calls = Calls(found);
    calls.visit_file(&source.syntax);
    calls.0.into_iter().map(|(line, what)| format!("{}: {what}", source.at(line))).collect()
}

/// What reads a clock or waits without naming a path.
struct Calls(BTreeSet<(usize, String)>);

impl<'ast> Visit<'ast> for Calls {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == "elapsed" {
            self.0.insert((call.method.span().start().line, "elapsed()".to_owned()));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_await(&mut self, waits: &'ast ExprAwait) {
        self.0.insert((waits.await_token.span.start().line, "await".to_owned()));
        visit::visit_expr_await(self, waits);
    }
}

#[test]
fn finds_what_is_not_pure() {
    let text = "use std::time::{Duration, Instant};\nuse jiff::Timestamp as Time;\nuse std::{fmt, fs};\nfn f() -> Duration { g(Instant::now) }
fn g(at: Instant) { vec![Time::now()]; at.elapsed() }\nfn h() { uuid::Uuid::new_v4(); std::env::var(\"A\"); rand::random() }\nasync fn i() { h().await }
fn pure(rand: u8, now: Instant) { Instant::max(now); rand; }\n#[cfg(test)]\nmod tests { fn t() { Instant::now().elapsed(); } }";
    let found = impure(&Source::new("a.rs", text));
    let expected = ["3: std::fs", "4: std::time::Instant::now", "5: elapsed()", "5: jiff::Timestamp::now", "6: rand::random", "6: std::env::var"];
    assert_eq!(found[..6], expected.map(|e| format!("a.rs:{e}")));
    assert_eq!(found[6..], ["a.rs:6: uuid::Uuid::new_v4", "a.rs:7: await"]);
}
