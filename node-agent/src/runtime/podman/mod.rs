//! Podman through its libpod socket.
mod conmon;
pub mod http;
mod oom;
mod processes;
pub mod service;
pub mod session;
mod spec;
pub mod wire;

#[cfg(test)]
pub(crate) use spec::{body, label::UID};

use crate::net::Network;
use crate::runtime::{
    Answer, Container, ContainerSpec, ContainerUse, Event, EventKind, ExecSpec, Image, Limits, PullSecret, RunState, Runtime, RuntimeError, Sandbox,
    SandboxSpec, Session, Version, image_name,
};
use ::http::Method;
use base64::Engine;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use http::{Http, escape};
use model::Stored;
use serde::Deserialize;
use serde_json::json;
use state_client::usage::ContainerSample;
use std::collections::HashSet;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Exit code of what SIGKILL ended.
const KILLED: i32 = 137;

/// How long what is only read may take.
const READ: Duration = Duration::from_secs(30);
/// How long the heartbeat waits: a node whose runtime is silent must still be able to say so.
const BEAT: Duration = Duration::from_secs(5);
/// The longest grace of a container that was made by another agent; nobody waits for it but its own removal.
const UNKNOWN_GRACE: Duration = Duration::from_secs(3600);
/// How long a pull may go on without a word. Podman says nothing while it fetches a layer, so this is what the largest one may take.
const PULL_SILENCE: Duration = Duration::from_secs(1800);

/// Podman and the network that the agent makes for its pods.
pub struct Podman {
    http: Http,
    network: Network,
}

impl Podman {
    /// Podman behind this socket.
    pub fn new(socket: &Path, network: Network) -> Self {
        Self { http: Http::new(socket), network }
    }

    async fn session(&self, id: String, path: &str, body: Option<&serde_json::Value>, tty: bool) -> Result<Session, RuntimeError> {
        Ok(session::over(id, self.http.upgrade(path, body).await?, tty))
    }
}

async fn absent_is_fine(call: impl Future<Output = Result<bytes::Bytes, RuntimeError>>) -> Result<(), RuntimeError> {
    match call.await {
        Ok(_) | Err(RuntimeError::NotFound(_)) => Ok(()),
        Err(e) => Err(e),
    }
}

/// What the kernel is asked for ends too.
async fn in_time<T>(what: &str, work: impl Future<Output = Result<T, crate::net::NetError>>) -> Result<T, RuntimeError> {
    let late = |_| Err(RuntimeError::Network(format!("{what} took longer than {:?}", http::PATIENCE)));
    tokio::time::timeout(http::PATIENCE, work).await.map_or_else(late, |done| done.map_err(|e| RuntimeError::Network(e.to_string())))
}

/// The containers of one pod (by UID), or of all pods. What is gone meanwhile is in no list; of all pods' containers neither is one that Podman doesn't
/// answer for, so that it is no other pod's trouble. Podman takes a filter without a value for any value.
fn of_pod(found: Vec<Result<Container, RuntimeError>>, uid: Option<&str>) -> Result<Vec<Container>, RuntimeError> {
    let wanted = |found: &Result<Container, RuntimeError>| match (found, uid) {
        (Ok(container), uid) => uid.is_none_or(|uid| container.pod.uid == uid),
        (Err(RuntimeError::NotFound(_)), _) => false,
        (Err(_), Some(_)) => true,
        (Err(error), None) => {
            tracing::warn!(%error, "a container is left out of the list");
            false
        }
    };
    found.into_iter().filter(wanted).collect()
}

/// Podman takes whole seconds: nobody gets less than was promised.
fn seconds(grace: Duration) -> u64 {
    grace.as_secs() + u64::from(grace.subsec_nanos() > 0)
}

impl Runtime for Podman {
    fn version(&self) -> Answer<'_, Version> {
        async {
            let v: wire::Version = self.http.within(BEAT).json(Method::GET, "/version", None).await?;
            Ok(Version { name: "podman".into(), version: v.version })
        }
        .boxed()
    }

    fn create_sandbox<'a>(&'a self, spec: &'a SandboxSpec) -> Answer<'a, Sandbox> {
        in_time("making the pod's network", self.network.create(spec)).boxed()
    }

    fn sandbox<'a>(&'a self, uid: &'a str) -> Answer<'a, Option<Sandbox>> {
        async { Ok(self.network.find(uid)) }.boxed()
    }

    fn remove_sandbox<'a>(&'a self, uid: &'a str) -> Answer<'a, ()> {
        in_time("removing the pod's network", self.network.remove(uid)).boxed()
    }

    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Answer<'a, String> {
        async {
            let created: wire::Created = self.http.json(Method::POST, "/containers/create", Some(&spec::body(spec))).await?;
            Ok(created.id)
        }
        .boxed()
    }

    fn start<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        async move { self.http.call(Method::POST, &format!("/containers/{id}/start"), None).await.map(drop) }.boxed()
    }

    fn limit<'a>(&'a self, id: &'a str, limits: &'a Limits) -> Answer<'a, ()> {
        async move { self.http.call(Method::POST, &format!("/containers/{id}/update"), Some(&spec::limits(limits))).await.map(drop) }.boxed()
    }

    fn memory<'a>(&'a self, id: &'a str) -> Answer<'a, Option<i64>> {
        async move {
            let path = format!("/containers/stats?stream=false&containers={id}");
            let stats: wire::Stats = self.http.within(READ).json(Method::GET, &path, None).await?;
            Ok(stats.memory())
        }
        .boxed()
    }

    fn stop<'a>(&'a self, id: &'a str, grace: Option<Duration>) -> Answer<'a, ()> {
        async move {
            if grace.is_some_and(|g| g.is_zero()) {
                let killed = self.http.call(Method::POST, &format!("/containers/{id}/kill?signal=KILL"), None).await;
                if let Err(RuntimeError::Refused(why)) = &killed {
                    tracing::debug!(id, why, "a container had ended before it was killed");
                }
            }
            absent_is_fine(self.http.longer(grace.unwrap_or(UNKNOWN_GRACE)).call(
                Method::POST,
                &format!("/containers/{id}/stop{}", grace.map_or_else(String::new, |g| format!("?timeout={}", seconds(g)))),
                None,
            ))
            .await
        }
        .boxed()
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        async move { absent_is_fine(self.http.call(Method::DELETE, &format!("/containers/{id}?force=true&timeout=0&v=true"), None)).await }.boxed()
    }

    fn reopen_log<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        async move {
            let bundle: wire::Bundle = self.http.within(READ).json(Method::GET, &format!("/containers/{id}/json"), None).await?;
            conmon::reopen_log(&bundle.config).map_err(|e| RuntimeError::Refused(format!("the log of container {id} is not begun anew: {e}")))
        }
        .boxed()
    }

    fn process_namespace<'a>(&'a self, id: &'a str) -> Answer<'a, Option<OwnedFd>> {
        async move {
            let asked = || async move { self.http.within(READ).json::<wire::Running>(Method::GET, &format!("/containers/{id}/json"), None).await };
            let absent = || RuntimeError::Refused(format!("container {id} is not running"));
            let pid = asked().await?.pid().ok_or_else(absent)?;
            let namespace = File::open(format!("/proc/{pid}/ns/pid")).map_err(|e| RuntimeError::Refused(format!("the processes of container {id}: {e}")))?;
            // the number may have become another process' meanwhile
            if asked().await?.pid() == Some(pid) { Ok(Some(namespace.into())) } else { Err(absent()) }
        }
        .boxed()
    }

    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Container> {
        async move {
            let inspected: wire::Inspect = self.http.within(READ).json(Method::GET, &format!("/containers/{id}/json"), None).await?;
            let mut run = inspected.container().ok_or_else(|| RuntimeError::NotFound(format!("container {id} belongs to no pod")))?;
            if let RunState::Exited(exit) = &mut run.state
                && exit.code == KILLED
                && !exit.oom
            {
                exit.oom = oom::killed(id).await;
            }
            Ok(run)
        }
        .boxed()
    }

    fn list<'a>(&'a self, uid: Option<&'a str>) -> Answer<'a, Vec<Container>> {
        async move {
            let wanted = uid.map_or_else(|| spec::label::UID.to_owned(), |uid| format!("{}={uid}", spec::label::UID));
            let filters = json!({"label": [wanted]}).to_string();
            let path = format!("/containers/json?all=true&filters={}", escape(&filters));
            let listed: Vec<wire::Listed> = self.http.within(READ).json(Method::GET, &path, None).await?;
            let each = futures::stream::iter(listed).map(|l| async move { self.inspect(&l.id).await }).buffer_unordered(8);
            let found: Vec<Result<Container, RuntimeError>> = each.collect().await;
            of_pod(found, uid)
        }
        .boxed()
    }

    fn usage<'a>(&'a self, pods: &'a [Arc<Stored>]) -> Answer<'a, Vec<ContainerUse>> {
        async move {
            let filters = json!({"label": [spec::label::UID], "status": ["running"]}).to_string();
            let path = format!("/containers/json?filters={}", escape(&filters));
            let listed: Vec<wire::Listed> = self.http.within(READ).json(Method::GET, &path, None).await?;
            let uids: HashSet<String> = pods.iter().map(|pod| pod.uid()).collect();
            // control groups are files of the kernel's: reading them waits for no disk, but it is work
            let read = tokio::task::spawn_blocking(move || {
                let own = |container: &wire::Listed| container.label(spec::label::UID).is_some_and(|uid| uids.contains(uid));
                listed.iter().filter(|container| own(container)).filter_map(used).collect()
            });
            read.await.map_err(|e| RuntimeError::Refused(e.to_string()))
        }
        .boxed()
    }

    fn image<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Image>> {
        async move {
            match self.http.within(READ).json::<wire::ImageInspect>(Method::GET, &format!("/images/{}/json", escape(name)), None).await {
                Ok(image) => Ok(Some(image.image())),
                Err(RuntimeError::NotFound(_)) => Ok(None),
                Err(e) => Err(e),
            }
        }
        .boxed()
    }

    fn images(&self) -> Answer<'_, Vec<Image>> {
        async {
            let listed: Vec<wire::ListedImage> = self.http.within(BEAT).json(Method::GET, "/images/json", None).await?;
            Ok(listed.into_iter().map(wire::ListedImage::image).collect())
        }
        .boxed()
    }

    fn pull<'a>(&'a self, name: &'a str, secret: Option<&'a PullSecret>) -> Answer<'a, Image> {
        async move {
            let name = &image_name::full(name);
            let path = format!("/images/pull?quiet=false&reference={}", escape(name));
            let mut reports = self.http.within(PULL_SILENCE).lines(Method::POST, &path, &credentials(secret), Some(PULL_SILENCE)).await?;
            while let Some(report) = reports.next::<wire::PullReport>().await? {
                if let Some(why) = report.error.filter(|e| !e.is_empty()) {
                    return Err(RuntimeError::Refused(why));
                }
            }
            self.image(name).await?.ok_or_else(|| RuntimeError::NotFound(format!("{name}: image not known after its pull")))
        }
        .boxed()
    }

    fn exec<'a>(&'a self, id: &'a str, spec: &'a ExecSpec) -> Answer<'a, Session> {
        async move {
            let body = json!({"Cmd": spec.command, "AttachStdin": spec.stdin, "AttachStdout": spec.stdout, "AttachStderr": spec.stderr, "Tty": spec.tty});
            let created: wire::Created = self.http.json(Method::POST, &format!("/containers/{id}/exec"), Some(&body)).await?;
            let start = json!({"Detach": false, "Tty": spec.tty});
            let path = format!("/exec/{}/start", created.id);
            self.session(created.id, &path, Some(&start), spec.tty).await
        }
        .boxed()
    }

    fn exec_exit<'a>(&'a self, session: &'a str) -> Answer<'a, i32> {
        async move {
            let exec: wire::ExecInspect = self.http.within(READ).json(Method::GET, &format!("/exec/{session}/json"), None).await?;
            Ok(exec.exit_code)
        }
        .boxed()
    }

    fn attach<'a>(&'a self, id: &'a str, spec: &'a ExecSpec) -> Answer<'a, Session> {
        async move {
            let query = format!("stream=true&stdin={}&stdout={}&stderr={}", spec.stdin, spec.stdout, spec.stderr);
            self.session(id.to_owned(), &format!("/containers/{id}/attach?{query}"), None, spec.tty).await
        }
        .boxed()
    }

    fn resize<'a>(&'a self, session: &'a str, attached: bool, width: u16, height: u16) -> Answer<'a, ()> {
        let what = if attached { "containers" } else { "exec" };
        async move { self.http.call(Method::POST, &format!("/{what}/{session}/resize?h={height}&w={width}"), None).await.map(drop) }.boxed()
    }

    fn events(&self) -> BoxStream<'static, Result<Event, RuntimeError>> {
        let http = self.http.clone();
        let (sender, receiver) = tokio::sync::mpsc::channel(256);
        tokio::spawn(async move {
            if let Err(error) = pass_on(&http, &sender).await
                && sender.send(Err(error)).await.is_err()
            {
                tracing::trace!("nobody listens to Podman's events any more");
            }
        });
        tokio_stream::wrappers::ReceiverStream::new(receiver).boxed()
    }

    fn connect<'a>(&'a self, uid: &'a str, address: Option<IpAddr>, port: u16) -> Answer<'a, tokio::net::TcpStream> {
        in_time("connecting to the pod", self.network.connect(uid, address, port)).boxed()
    }
}

/// What a container uses; `None` when it has just ended.
fn used(container: &wire::Listed) -> Option<ContainerUse> {
    let (pid, started) = container.running()?;
    let (cpu_nanos, memory) = processes::used(pid, &container.id)?;
    let name = container.label(spec::label::CONTAINER)?.to_owned();
    let pod = container.label(spec::label::UID)?.to_owned();
    Some(ContainerUse { pod, sample: ContainerSample { name, run: format!("{}@{started}", container.id), started, cpu_nanos, memory } })
}

/// Passes events on until nobody listens, or Podman ends.
async fn pass_on(http: &Http, sender: &tokio::sync::mpsc::Sender<Result<Event, RuntimeError>>) -> Result<(), RuntimeError> {
    let mut lines = http.lines(Method::GET, "/events?stream=true", &[], None).await?;
    while let Some(line) = lines.next::<serde_json::Value>().await? {
        // What isn't as expected is none of a container's: nobody's events end for it.
        if let Some(event) = wire::Event::deserialize(line).ok().as_ref().and_then(event_of)
            && sender.send(Ok(event)).await.is_err()
        {
            return Ok(());
        }
    }
    Ok(())
}

/// A registry's credentials, as Podman takes them.
fn credentials(secret: Option<&PullSecret>) -> Vec<(::http::HeaderName, String)> {
    let encoded = |s: &PullSecret| {
        let json = json!({"username": s.username, "password": s.password}).to_string();
        (::http::HeaderName::from_static("x-registry-auth"), base64::engine::general_purpose::URL_SAFE.encode(json))
    };
    secret.map(encoded).into_iter().collect()
}

/// What an event of Podman's means to the agent; `None` when nothing.
pub fn event_of(event: &wire::Event) -> Option<Event> {
    let kind = match (event.kind.as_str(), event.action.as_str()) {
        ("container", "start") => EventKind::Started,
        ("container", "died") => EventKind::Ended,
        ("container", "remove") => EventKind::Removed,
        _ => return None,
    };
    Some(Event { id: event.actor.id.clone(), uid: event.actor.attributes.get(spec::label::UID)?.clone(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::PodRef;
    use jiff::Timestamp;

    fn of(uid: &str) -> Result<Container, RuntimeError> {
        Ok(Container {
            id: uid.to_owned(),
            pod: PodRef { uid: uid.to_owned(), ..PodRef::default() },
            name: String::new(),
            attempt: 0,
            hash: String::new(),
            sandbox: String::new(),
            image: String::new(),
            image_id: String::new(),
            state: RunState::Running(Timestamp::UNIX_EPOCH),
        })
    }

    #[test]
    fn a_list_is_of_one_pod_and_one_container_spoils_no_other_pods_list() {
        let uids = |found: Vec<_>, uid| of_pod(found, uid).map(|list| list.into_iter().map(|c| c.pod.uid).collect::<Vec<_>>());
        let (gone, late) = (RuntimeError::NotFound(String::new()), RuntimeError::Unreachable(String::new()));
        assert_eq!(uids(vec![of("a"), of("b"), of("")], Some("")), Ok(vec![String::new()]));
        assert_eq!(uids(vec![of("a"), of("b"), Err(gone.clone())], Some("a")), Ok(vec!["a".to_owned()]));
        assert_eq!(uids(vec![of("a"), Err(late.clone())], Some("a")), Err(late.clone()));
        assert_eq!(uids(vec![of("a"), Err(late), Err(gone), of("b")], None), Ok(vec!["a".to_owned(), "b".to_owned()]));
    }
}
