//! Podman through its libpod socket: podman-api where it does what it says (pulls, image lists, events), short raw calls where it doesn't.
mod conmon;
pub mod http;
mod oom;
pub mod service;
pub mod session;
mod spec;
pub mod wire;

use crate::net::Network;
use crate::runtime::{
    Answer, Container, ContainerSpec, Event, EventKind, ExecSpec, Image, PullSecret, RunState, Runtime, RuntimeError, Sandbox, SandboxSpec, Session, Version,
    image_name,
};
use ::http::Method;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use http::{Http, escape};
use podman_api::opts::{EventsOpts, ImageListOpts, PullOpts, RegistryAuth};
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// Exit code of what SIGKILL ended.
const KILLED: i32 = 137;

/// Podman and the network that the agent makes for its pods.
pub struct Podman {
    http: Http,
    api: podman_api::Podman,
    network: Network,
}

fn refused(e: podman_api::Error) -> RuntimeError {
    RuntimeError::Refused(e.to_string())
}

impl Podman {
    /// Podman behind this socket.
    pub fn new(socket: &Path, network: Network) -> Self {
        Self { http: Http::new(socket), api: podman_api::Podman::unix(socket), network }
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

/// Podman takes whole seconds: nobody gets less than was promised.
fn seconds(grace: Duration) -> u64 {
    grace.as_secs() + u64::from(grace.subsec_nanos() > 0)
}

impl Runtime for Podman {
    fn version(&self) -> Answer<'_, Version> {
        async {
            let v: wire::Version = self.http.json(Method::GET, "/version", None).await?;
            Ok(Version { name: "podman".into(), version: v.version })
        }
        .boxed()
    }

    fn create_sandbox<'a>(&'a self, spec: &'a SandboxSpec) -> Answer<'a, Sandbox> {
        async { self.network.create(spec).await.map_err(|e| RuntimeError::Network(e.to_string())) }.boxed()
    }

    fn sandbox<'a>(&'a self, uid: &'a str) -> Answer<'a, Option<Sandbox>> {
        async { Ok(self.network.find(uid)) }.boxed()
    }

    fn remove_sandbox<'a>(&'a self, uid: &'a str) -> Answer<'a, ()> {
        async { self.network.remove(uid).await.map_err(|e| RuntimeError::Network(e.to_string())) }.boxed()
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

    fn stop<'a>(&'a self, id: &'a str, grace: Option<Duration>) -> Answer<'a, ()> {
        async move {
            if grace.is_some_and(|g| g.is_zero()) {
                let killed = self.http.call(Method::POST, &format!("/containers/{id}/kill?signal=KILL"), None).await;
                if let Err(RuntimeError::Refused(why)) = &killed {
                    tracing::debug!(id, why, "a container had ended before it was killed");
                }
            }
            absent_is_fine(self.http.call(
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
            let bundle: wire::Bundle = self.http.json(Method::GET, &format!("/containers/{id}/json"), None).await?;
            conmon::reopen_log(&bundle.config).map_err(|e| RuntimeError::Refused(format!("the log of container {id} is not begun anew: {e}")))
        }
        .boxed()
    }

    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Container> {
        async move {
            let inspected: wire::Inspect = self.http.json(Method::GET, &format!("/containers/{id}/json"), None).await?;
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
            let listed: Vec<wire::Listed> = self.http.json(Method::GET, &format!("/containers/json?all=true&filters={}", escape(&filters)), None).await?;
            let each = futures::stream::iter(listed).map(|l| async move { self.inspect(&l.id).await }).buffer_unordered(8);
            let found: Vec<Result<Container, RuntimeError>> = each.collect().await;
            found.into_iter().filter(|c| !matches!(c, Err(RuntimeError::NotFound(_)))).collect()
        }
        .boxed()
    }

    fn image<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Image>> {
        async move {
            match self.http.json::<wire::ImageInspect>(Method::GET, &format!("/images/{}/json", escape(name)), None).await {
                Ok(image) => Ok(Some(image.image())),
                Err(RuntimeError::NotFound(_)) => Ok(None),
                Err(e) => Err(e),
            }
        }
        .boxed()
    }

    fn images(&self) -> Answer<'_, Vec<Image>> {
        async {
            let listed = self.api.images().list(&ImageListOpts::builder().build()).await.map_err(refused)?;
            let image = |i: podman_api::models::LibpodImageSummary| {
                let tags = i.repo_tags.unwrap_or_default().into_iter().chain(i.repo_digests.unwrap_or_default());
                Image { id: i.id.unwrap_or_default(), names: tags.collect(), size: i.size.unwrap_or_default(), ..Image::default() }
            };
            Ok(listed.into_iter().map(image).collect())
        }
        .boxed()
    }

    fn pull<'a>(&'a self, name: &'a str, secret: Option<&'a PullSecret>) -> Answer<'a, Image> {
        async move {
            let name = &image_name::full(name);
            let mut opts = PullOpts::builder().reference(name).quiet(false);
            if let Some(s) = secret {
                opts.auth(RegistryAuth::builder().username(&s.username).password(&s.password).build());
            }
            let images = self.api.images();
            let opts = opts.build();
            let mut reports = images.pull(&opts);
            while let Some(report) = reports.try_next().await.map_err(refused)? {
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
            let exec: wire::ExecInspect = self.http.json(Method::GET, &format!("/exec/{session}/json"), None).await?;
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
        let api = self.api.clone();
        let (sender, receiver) = tokio::sync::mpsc::channel(256);
        tokio::spawn(async move {
            let opts = EventsOpts::builder().stream(true).build();
            let mut events = api.events(&opts);
            while let Some(event) = events.next().await {
                let event = match event {
                    Ok(event) => match event_of(&event) {
                        Some(event) => Ok(event),
                        None => continue,
                    },
                    Err(e) => Err(RuntimeError::Unreachable(e.to_string())),
                };
                let failed = event.is_err();
                if sender.send(event).await.is_err() || failed {
                    return;
                }
            }
        });
        tokio_stream::wrappers::ReceiverStream::new(receiver).boxed()
    }

    fn connect<'a>(&'a self, uid: &'a str, port: u16) -> Answer<'a, tokio::net::TcpStream> {
        async move { self.network.connect(uid, port).await.map_err(|e| RuntimeError::Network(e.to_string())) }.boxed()
    }
}

/// What an event of Podman's means to the agent; `None` when nothing.
pub fn event_of(event: &podman_api::models::Event) -> Option<Event> {
    let kind = match (event.typ.as_str(), event.action.as_str()) {
        ("container", "start") => EventKind::Started,
        ("container", "died") => EventKind::Ended,
        ("container", "remove") => EventKind::Removed,
        _ => return None,
    };
    let attributes: &HashMap<String, String> = &event.actor.attributes;
    Some(Event { id: event.actor.id.clone(), uid: attributes.get(spec::label::UID)?.clone(), kind })
}
