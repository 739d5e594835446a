//! `securityContext.sysctls`: names as the kernel has them, and none of a namespace that the pod shares with its node.
use crate::error::Cause;
use crate::kinds::fields::{Checks, flag, items, text};
use crate::names;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

const FORM: &str = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

/// `context` is a pod's security context at `path`.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, context: &Value, spec: &Value) {
    let mut seen = HashSet::new();
    for (path, sysctl) in items(context, path, "sysctls") {
        let name = text(sysctl, "name");
        let path = format_args!("{path}.name");
        if name.is_empty() {
            checks.required(path, "");
        } else if !names::is_sysctl(name) {
            checks.add(Cause::invalid(path, &name.into(), FORM));
        } else if seen.contains(name) {
            checks.add(Cause::duplicate(path, &name.into()));
        }
        seen.insert(name);
        for (field, namespace) in [("hostNetwork", Namespace::Net), ("hostIPC", Namespace::Ipc)] {
            if flag(spec, field) && namespace_of(name) == Some(namespace) {
                checks.add(Cause::invalid(path, &name.into(), format!("may not be specified when '{field}' is true")));
            }
        }
    }
}

/// What a sysctl belongs to, where a container can have its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Namespace {
    Ipc,
    Net,
}

const IPC: [&str; 10] = [
    "kernel.sem",
    "kernel.shm",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "kernel.msg",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
];

fn namespace_of(name: &str) -> Option<Namespace> {
    let name = dotted(name);
    if IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue.") { Some(Namespace::Ipc) } else { name.starts_with("net.").then_some(Namespace::Net) }
}

/// A name with dots between its parts. Where the first separator is a slash, dots stand for dots within a part, and change places with it.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']).and_then(|at| name.as_bytes().get(at)) {
        Some(b'/') => name
            .chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect(),
        _ => name.to_owned(),
    }
}
