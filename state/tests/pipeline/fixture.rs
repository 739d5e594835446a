//! A cluster of one state process on a nats-server of its own.
use arc_swap::ArcSwap;
use bus::actor::System;
use bus::{Bus, Caller, Role};
use model::{ApiError, Object, Stored, kinds};
use serde_json::{Value, json};
use state::store::{Store, StoreOptions};
use state::{PipelineOptions, Services, TokenKeys};
use state_client::{Body, Client, PatchKind, Reply, Request, User, Verb};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

struct Nats {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Nats {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = dir.path().display();
        let config = format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{path}/js\", sync_interval: always, max_file_store: 1GB }}\n");
        std::fs::write(dir.path().join("nats.conf"), config).unwrap();
        let binary = std::env::var_os("WHALESONG_NATS_SERVER").map_or_else(|| PathBuf::from("nats-server"), PathBuf::from);
        let mut child = Command::new(binary).arg("-c").arg(dir.path().join("nats.conf")).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.by_ref().map_while(Result::ok).any(|line| line.contains("Server is ready")), "the nats-server ended");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port, _dir: dir }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A cluster.
pub struct Cluster {
    bus: Bus,
    pub services: Services,
    nats: Nats,
}

/// A client that speaks as one user.
#[derive(Clone)]
pub struct Speaker {
    pub client: Client,
    user: Option<User>,
}

impl Cluster {
    pub async fn start() -> Self {
        Self::start_with(|options| options).await
    }

    /// One whose pipeline is told something else than by default.
    pub async fn start_with(change: impl FnOnce(PipelineOptions) -> PipelineOptions) -> Self {
        let nats = Nats::start();
        let js = async_nats::jetstream::new(async_nats::connect(format!("nats://127.0.0.1:{}", nats.port)).await.unwrap());
        let table = Arc::new(ArcSwap::from_pointee(kinds::builtin()));
        let store = Store::open(js, StoreOptions::new("test", table.clone()), &System::new()).await.unwrap();
        let bus = Bus::local("test", Caller::new(Role::State, "s1"));
        let pair = rcgen::KeyPair::generate().unwrap();
        let token_keys = Some(TokenKeys { private_pem: pair.serialize_pem(), public_pem: pair.public_key_pem() });
        let services = state::serve(&bus, store, change(PipelineOptions { token_keys, ..PipelineOptions::new(table) })).await.unwrap();
        Self { bus, services, nats }
    }

    /// One more process of `state` on the same log: it knows of the first only by what that writes.
    pub async fn another(&self) -> (Bus, Services) {
        self.another_called(None).await
    }

    /// The same, as the heir of a process of this identity.
    pub async fn another_called(&self, identity: Option<&str>) -> (Bus, Services) {
        let store = self.store().await;
        let bus = Bus::local("test", Caller::new(Role::State, "s2"));
        let options = PipelineOptions { identity: identity.map(str::to_owned), ..PipelineOptions::new(Arc::new(ArcSwap::from_pointee(kinds::builtin()))) };
        let services = state::serve(&bus, store, options).await.unwrap();
        (bus, services)
    }

    /// The log, past the pipeline.
    pub async fn store(&self) -> Store {
        let js = async_nats::jetstream::new(async_nats::connect(format!("nats://127.0.0.1:{}", self.nats.port)).await.unwrap());
        Store::open(js, StoreOptions::new("test", Arc::new(ArcSwap::from_pointee(kinds::builtin()))), &System::new()).await.unwrap()
    }

    /// A component.
    pub fn role(&self, role: Role, name: &str) -> Speaker {
        Speaker { client: Client::new(self.bus.speaking_as(Caller::new(role, name))), user: None }
    }

    /// The cluster's leases, for a component.
    pub fn leases(&self, role: Role, name: &str) -> bus::Leases {
        self.bus.speaking_as(Caller::new(role, name)).leases(1)
    }

    pub fn admin(&self) -> Speaker {
        self.role(Role::Admin, "admin")
    }

    /// A user that the gateway speaks for.
    pub fn user(&self, name: &str) -> Speaker {
        let user = User { name: name.to_owned(), groups: vec!["system:authenticated".to_owned()], ..User::default() };
        Speaker { user: Some(user), ..self.role(Role::Gateway, "g") }
    }
}

/// Group and resource of what a test works with.
pub type At = (&'static str, &'static str);
pub const CONFIG_MAPS: At = ("", "configmaps");
pub const SECRETS: At = ("", "secrets");
pub const PODS: At = ("", "pods");
pub const SERVICES: At = ("", "services");
pub const NAMESPACES: At = ("", "namespaces");
pub const ACCOUNTS: At = ("", "serviceaccounts");
pub const DEPLOYMENTS: At = ("apps", "deployments");
pub const ROLES: At = ("rbac.authorization.k8s.io", "roles");
pub const BINDINGS: At = ("rbac.authorization.k8s.io", "rolebindings");

impl Speaker {
    /// The same user, who speaks to another process.
    pub fn through(&self, client: Client) -> Self {
        Self { client, ..self.clone() }
    }

    /// A request to be filled in.
    pub fn ask(&self, verb: Verb, at: At, namespace: &str, name: &str) -> Request {
        Request { user: self.user.clone(), ..Request::new(verb, at.0, at.1, namespace, name) }
    }

    pub async fn send(&self, request: Request) -> Result<Reply, ApiError> {
        self.client.call(request).await
    }

    pub async fn create(&self, at: At, namespace: &str, object: Value) -> Result<Arc<Stored>, ApiError> {
        let body = Body::Json(object.to_string().into_bytes().into());
        self.send(self.ask(Verb::Create, at, namespace, "").body(body)).await.map(stored)
    }

    pub async fn get(&self, at: At, namespace: &str, name: &str) -> Result<Arc<Stored>, ApiError> {
        self.send(self.ask(Verb::Get, at, namespace, name)).await.map(stored)
    }

    pub async fn update(&self, at: At, subresource: &str, object: &Object) -> Result<Arc<Stored>, ApiError> {
        let request = self.ask(Verb::Update, at, object.namespace(), object.name()).subresource(subresource);
        self.send(request.body(Body::Object(Box::new(object.clone())))).await.map(stored)
    }

    pub async fn patch(&self, at: At, subresource: &str, namespace: &str, name: &str, patch: Value) -> Result<Arc<Stored>, ApiError> {
        let body = Body::Patch(PatchKind::Merge, patch.to_string().into_bytes().into());
        self.send(self.ask(Verb::Patch, at, namespace, name).subresource(subresource).body(body)).await.map(stored)
    }

    pub async fn delete(&self, at: At, namespace: &str, name: &str, options: Value) -> Result<Reply, ApiError> {
        let body = Body::Json(options.to_string().into_bytes().into());
        self.send(self.ask(Verb::Delete, at, namespace, name).body(body)).await
    }

    /// Posts to a subresource, or a review; returns the answer's document.
    pub async fn post(&self, at: At, namespace: &str, name: &str, subresource: &str, body: Value) -> Result<Value, ApiError> {
        let body = Body::Json(body.to_string().into_bytes().into());
        self.send(self.ask(Verb::Create, at, namespace, name).subresource(subresource).body(body)).await.map(|r| document(&r))
    }
}

pub fn stored(reply: Reply) -> Arc<Stored> {
    match reply {
        Reply::Object { object, .. } => object,
        other => panic!("not an object: {other:?}"),
    }
}

pub fn document(reply: &Reply) -> Value {
    match reply {
        Reply::Json { json, .. } => serde_json::from_slice(json).unwrap(),
        Reply::Object { object, .. } => serde_json::from_slice(object.json()).unwrap(),
        Reply::List(_) => panic!("a list"),
    }
}

pub fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

pub fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

pub fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": 2, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

pub fn account(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
}

pub fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
}
