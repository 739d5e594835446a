//! A real nats-server in a directory of its own, and stores on it.
use arc_swap::ArcSwap;
use bus::actor::System;
use model::kind::{Bucket, Kind, ScalePaths, Scope};
use model::strategy::Plain;
use model::{Key, Kinds, Object, Stored};
use serde_json::json;
use state::store::{CommitError, Store, StoreOp, StoreOptions, Write};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// How the server syncs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Each write.
    Always,
    /// Every two minutes.
    Lazy,
}

/// A running server; killed and removed when dropped.
pub struct Nats {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Nats {
    pub fn start() -> Self {
        Self::with(Sync::Always)
    }

    pub fn with(sync: Sync) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let interval = if sync == Sync::Always { "always" } else { "2m" };
        let config = format!(
            r#"listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{dir}/js", sync_interval: {interval}, max_file_store: 4GB }}
accounts {{ SYS: {{ users: [{{user: sys, password: sys}}] }}, APP: {{ jetstream: enabled, users: [{{user: app, password: app}}] }} }}
system_account: SYS
"#,
            dir = dir.path().display()
        );
        std::fs::write(dir.path().join("nats.conf"), config).unwrap();
        let mut nats = Self { dir, port, child: None };
        nats.run();
        nats
    }

    /// Starts the server on what is there, and waits until it is ready.
    pub fn run(&mut self) {
        let binary = std::env::var_os("WHALESONG_NATS_SERVER").map_or_else(|| PathBuf::from("nats-server"), PathBuf::from);
        let mut child = Command::new(binary).arg("-c").arg(self.dir.path().join("nats.conf")).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Server is ready"));
        assert!(ready, "the nats-server ended before it was ready");
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub async fn connect(&self, user: &str) -> async_nats::Client {
        let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), user.to_owned());
        let quick = options.reconnect_delay_callback(|_| Duration::from_millis(20));
        quick.connect(format!("nats://127.0.0.1:{}", self.port)).await.unwrap()
    }

    pub async fn js(&self) -> async_nats::jetstream::Context {
        async_nats::jetstream::new(self.connect("app").await)
    }

    pub async fn store(&self) -> Store {
        self.store_with(options()).await
    }

    pub async fn store_with(&self, options: StoreOptions) -> Store {
        Store::open(self.js().await, options, &System::new()).await.unwrap()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn options() -> StoreOptions {
    StoreOptions::new("test", Arc::new(ArcSwap::from_pointee(Kinds::default())))
}

/// A table of kinds with Events that go after `ttl`, and Leases.
pub fn events(ttl: Duration) -> Arc<ArcSwap<Kinds>> {
    let row = |group: &str, kind: &str, resource: &str, bucket| Kind {
        group: group.into(),
        version: "v1".into(),
        kind: kind.into(),
        resource: resource.into(),
        singular: "".into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        verbs: Vec::new(),
        subresources: Vec::new(),
        columns: Vec::new(),
        selectable: Vec::new(),
        bucket,
        generation: false,
        stored_as: None,
        derived_from: None,
        scale: ScalePaths::default(),
        schema: "".into(),
        strategy: &Plain,
    };
    Arc::new(ArcSwap::from_pointee(Kinds::new([
        row("", "Event", "events", Bucket::Ephemeral { ttl: Some(ttl) }),
        row("coordination.k8s.io", "Lease", "leases", Bucket::Ephemeral { ttl: None }),
    ])))
}

pub fn key(name: &str) -> Key {
    Key::new("", "configmaps", "default", name)
}

pub fn object(key: &Key, value: impl Into<serde_json::Value>) -> Object {
    Object::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": &*key.name, "namespace": &*key.namespace},
        "data": {"value": value.into()}
    }))
    .unwrap()
}

/// The value that [`object`] put in.
pub fn value(stored: &Stored) -> serde_json::Value {
    stored.object().at(&["data", "value"]).cloned().unwrap_or_default()
}

/// Writes `value` over the revision `expect`.
pub async fn put(store: &Store, key: &Key, expect: u64, value: impl Into<serde_json::Value>) -> Result<Arc<Stored>, CommitError> {
    store.commit(Write { key: key.clone(), expect, op: StoreOp::Put(object(key, value)) }).await
}

/// Deletes the object that has this revision.
pub async fn delete(store: &Store, stored: &Stored) -> Result<Arc<Stored>, CommitError> {
    store.commit(Write { key: stored.key.clone(), expect: stored.revision, op: StoreOp::Delete(stored.object().clone()) }).await
}
