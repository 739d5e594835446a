//! What unit tests share: an executor over any runtime, and a runtime that doesn't answer for one pod.
use crate::admission::Allocations;
use crate::executor::{Executor, Lookups, NodeInfo};
use crate::objects::References;
use crate::recorder::Recorder;
use crate::reports::Reports;
use crate::runtime::hollow::Hollow;
use crate::runtime::{
    Answer, Container, ContainerSpec, ContainerUse, Event, ExecSpec, Image, Limits, PullSecret, Runtime, RuntimeError, Sandbox, SandboxSpec, Session, Version,
};
use futures::FutureExt;
use futures::stream::BoxStream;
use model::{Key, Object, Stored};
use serde_json::Value;
use state_client::Client;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// An executor of simulated pods.
pub fn executor(runtime: Arc<dyn Runtime>, client: Client, dir: &Path) -> Arc<Executor> {
    let references = References::new(client.clone(), dir.join("objects"));
    let (_, services) = watch::channel(Some(Arc::default()));
    Arc::new(Executor {
        runtime,
        client,
        references,
        reports: Reports::default(),
        images: Lookups::default(),
        recorder: Recorder::silent(),
        services,
        node: NodeInfo::default(),
        admission: Allocations::default(),
        freed: watch::Sender::default(),
        pods: dir.join("pods"),
    })
}

/// A pod as the cluster has it.
pub fn stored(json: Value, revision: u64) -> Arc<Stored> {
    let mut object = Object::from_value(json).unwrap();
    object.set(&["metadata", "resourceVersion"], revision.to_string());
    let key = Key::new("", "pods", object.namespace(), object.name());
    Arc::new(Stored::from_object(key, object).unwrap())
}

/// Simulates, but says nothing of one pod, ever.
pub struct Stuck {
    pub simulated: Hollow,
    pub uid: &'static str,
}

impl Stuck {
    fn unless<'a, T: Send + 'a>(&self, stuck: bool, answer: Answer<'a, T>) -> Answer<'a, T> {
        if stuck { std::future::pending().boxed() } else { answer }
    }
    fn is_of(&self, id: &str) -> bool {
        id.starts_with(self.uid)
    }
}

impl Runtime for Stuck {
    fn uses_files(&self) -> bool {
        false
    }
    fn version(&self) -> Answer<'_, Version> {
        self.simulated.version()
    }
    fn create_sandbox<'a>(&'a self, spec: &'a SandboxSpec) -> Answer<'a, Sandbox> {
        self.unless(self.is_of(&spec.pod.uid), self.simulated.create_sandbox(spec))
    }
    fn sandbox<'a>(&'a self, uid: &'a str) -> Answer<'a, Option<Sandbox>> {
        self.unless(self.is_of(uid), self.simulated.sandbox(uid))
    }
    fn remove_sandbox<'a>(&'a self, uid: &'a str) -> Answer<'a, ()> {
        self.unless(self.is_of(uid), self.simulated.remove_sandbox(uid))
    }
    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Answer<'a, String> {
        self.unless(self.is_of(&spec.pod.uid), self.simulated.create(spec))
    }
    fn start<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.unless(self.is_of(id), self.simulated.start(id))
    }
    fn limit<'a>(&'a self, id: &'a str, limits: &'a Limits) -> Answer<'a, ()> {
        self.unless(self.is_of(id), self.simulated.limit(id, limits))
    }
    fn memory<'a>(&'a self, id: &'a str) -> Answer<'a, Option<i64>> {
        self.unless(self.is_of(id), self.simulated.memory(id))
    }
    fn stop<'a>(&'a self, id: &'a str, grace: Option<Duration>) -> Answer<'a, ()> {
        self.unless(self.is_of(id), self.simulated.stop(id, grace))
    }
    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.unless(self.is_of(id), self.simulated.remove(id))
    }
    fn reopen_log<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.unless(self.is_of(id), self.simulated.reopen_log(id))
    }
    fn process_namespace<'a>(&'a self, id: &'a str) -> Answer<'a, Option<OwnedFd>> {
        self.unless(self.is_of(id), self.simulated.process_namespace(id))
    }
    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Container> {
        self.unless(self.is_of(id), self.simulated.inspect(id))
    }
    fn list<'a>(&'a self, uid: Option<&'a str>) -> Answer<'a, Vec<Container>> {
        self.unless(uid.is_some_and(|uid| self.is_of(uid)), self.simulated.list(uid))
    }
    fn usage<'a>(&'a self, pods: &'a [Arc<Stored>]) -> Answer<'a, Vec<ContainerUse>> {
        self.simulated.usage(pods)
    }
    fn image<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Image>> {
        self.simulated.image(name)
    }
    fn images(&self) -> Answer<'_, Vec<Image>> {
        self.simulated.images()
    }
    fn pull<'a>(&'a self, name: &'a str, secret: Option<&'a PullSecret>) -> Answer<'a, Image> {
        self.simulated.pull(name, secret)
    }
    fn exec<'a>(&'a self, id: &'a str, spec: &'a ExecSpec) -> Answer<'a, Session> {
        self.simulated.exec(id, spec)
    }
    fn exec_exit<'a>(&'a self, session: &'a str) -> Answer<'a, i32> {
        self.simulated.exec_exit(session)
    }
    fn attach<'a>(&'a self, id: &'a str, spec: &'a ExecSpec) -> Answer<'a, Session> {
        self.simulated.attach(id, spec)
    }
    fn resize<'a>(&'a self, session: &'a str, attached: bool, width: u16, height: u16) -> Answer<'a, ()> {
        self.simulated.resize(session, attached, width, height)
    }
    fn events(&self) -> BoxStream<'static, Result<Event, RuntimeError>> {
        self.simulated.events()
    }
    fn connect<'a>(&'a self, uid: &'a str, address: Option<IpAddr>, port: u16) -> Answer<'a, tokio::net::TcpStream> {
        self.simulated.connect(uid, address, port)
    }
}
