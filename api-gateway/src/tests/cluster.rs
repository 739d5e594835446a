//! A gateway whose `state` is a map of pods and whose node echoes.
use crate::pki::Pki;
use crate::{Gateway, GatewayOptions};
use arc_swap::ArcSwap;
use bus::{Bus, Caller, Incoming, Opening, Role, Service};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use model::stored::Key;
use model::{ApiError, Object, Stored};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use state_client::api::ListReply;
use state_client::node::{FromNode, NodeAction, NodeRequest, ToNode};
use state_client::{Body, Event, Reply, Request, Verb, WatchRequest};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, client::TlsStream};

#[derive(Default)]
struct Pods {
    objects: BTreeMap<String, Arc<Stored>>,
    revision: u64,
}

#[derive(Clone)]
struct State {
    pods: Arc<Mutex<Pods>>,
    events: broadcast::Sender<Event>,
}

impl State {
    fn put(&self, mut object: Object) -> Arc<Stored> {
        let mut pods = self.pods.lock().unwrap();
        pods.revision += 1;
        let name = object.name().to_owned();
        object.set(&["metadata", "namespace"], "default");
        object.set(&["metadata", "uid"], format!("uid-{name}"));
        object.set(&["metadata", "resourceVersion"], pods.revision.to_string());
        object.set(&["spec", "nodeName"], "n1");
        let stored = Arc::new(Stored::from_object(Key::new("", "pods", "default", name.as_str()), object).unwrap());
        pods.objects.insert(name, stored.clone());
        self.events.send(Event::Added(stored.clone())).ok();
        stored
    }

    fn answer(&self, request: &Request) -> Result<Reply, ApiError> {
        let user = request.user.clone().unwrap_or_default();
        if &*request.resource == "subjectaccessreviews" {
            let Body::Json(review) = &request.body else { return Err(ApiError::bad_request("no review")) };
            let review: Value = serde_json::from_slice(review).unwrap();
            let allowed = review["spec"]["user"] == "admin" && review["spec"]["resourceAttributes"]["name"] != "forbidden";
            return Ok(Reply::Json { json: json!({"status": {"allowed": allowed}}).to_string().into(), code: 201, warnings: vec![] });
        }
        if user.name == "system:anonymous" {
            return Err(ApiError::forbidden("", "pods", &request.name, "User \"system:anonymous\" cannot do that"));
        }
        let found = || {
            let pods = self.pods.lock().unwrap();
            pods.objects.get(&*request.name).cloned().ok_or_else(|| ApiError::not_found("", "pods", &request.name))
        };
        let object = |object, created| Ok(Reply::Object { object, created, warnings: vec![format!("as {}", user.name)] });
        match request.verb {
            Verb::Get | Verb::Connect => object(found()?, false),
            Verb::List => {
                let pods = self.pods.lock().unwrap();
                Ok(Reply::List(ListReply { items: pods.objects.values().cloned().collect(), revision: pods.revision, ..ListReply::default() }))
            }
            Verb::Create | Verb::Update => match &request.body {
                Body::Json(json) => object(self.put(Object::from_json(json)?), request.verb == Verb::Create),
                _ => Err(ApiError::bad_request("no body")),
            },
            Verb::Delete => {
                let last = found()?;
                self.pods.lock().unwrap().objects.remove(&*request.name);
                self.events.send(Event::Deleted(last)).ok();
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
                Ok(Reply::Json { json: status.to_string().into(), code: 200, warnings: vec![] })
            }
            _ => Err(ApiError::new(model::Reason::MethodNotAllowed, "not here")),
        }
    }

    async fn watch(&self, opening: Opening<WatchRequest>) {
        if opening.message.request.options.resource_version == "1" {
            return opening.refuse(ApiError::expired("too old resource version: 1")).await;
        }
        let mut events = self.events.subscribe();
        let all: Vec<Event> = self.pods.lock().unwrap().objects.values().cloned().map(Event::Added).collect();
        let Ok(mut stream) = opening.accept().await else { return };
        if stream.send(all).await.is_err() {
            return;
        }
        loop {
            tokio::select! {
                event = events.recv() => {
                    let Ok(event) = event else { return };
                    if stream.send(vec![event]).await.is_err() {
                        return;
                    }
                }
                () = stream.closed() => return,
            }
        }
    }
}

/// A node whose log counts, whose commands echo stdin and exit with 7, and whose ports echo.
async fn node(opening: Opening<NodeRequest>) {
    let action = opening.message.action.clone();
    if matches!(action, NodeAction::PortForward { port: 1 }) {
        return opening.refuse(ApiError::internal("connection refused")).await;
    }
    let Ok(mut stream) = opening.accept().await else { return };
    match action {
        NodeAction::Logs(options) => {
            for n in 0..options.tail_lines.unwrap_or(3) {
                stream.send(FromNode::Data(format!("line {n}\n").into())).await.ok();
            }
        }
        NodeAction::Exec(options) | NodeAction::Attach(options) => {
            stream.send(FromNode::Data(format!("ran {}\n", options.command.join(" ")).into())).await.ok();
            stream.send(FromNode::Stderr("to stderr\n".into())).await.ok();
            while let Some(frame) = if options.stdin { stream.recv().await.ok().flatten() } else { None } {
                match frame {
                    ToNode::Data(data) => stream.send(FromNode::Data(data)).await.unwrap(),
                    ToNode::Resize { .. } => {}
                    ToNode::Eof => break,
                }
            }
            stream.send(FromNode::Exit(if options.command.is_empty() { 0 } else { 7 })).await.ok();
        }
        NodeAction::PortForward { .. } | NodeAction::Dial { .. } => {
            while let Ok(Some(ToNode::Data(data))) = stream.recv().await {
                stream.send(FromNode::Data(data)).await.ok();
            }
        }
    }
}

/// A TLS connection.
pub type Tls = TlsStream<tokio::net::TcpStream>;

/// A running gateway with its surroundings.
pub struct Cluster {
    pub dir: tempfile::TempDir,
    pub pki: Pki,
    pub address: SocketAddr,
    _gateway: Gateway,
    _services: Vec<Service>,
}

impl Cluster {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::open(dir.path().join("pki"), &[]).unwrap();
        let bus = Bus::local("test", Caller::new(Role::Gateway, "g"));
        let state = State { pods: Arc::default(), events: broadcast::channel(1024).0 };
        state.put(Object::clone(crate::testing::pod("first", 0).object()));
        let (serving, accepting) = (state.clone(), state);
        let services = vec![
            bus.serve("s", 64, move |i: Incoming<Box<Request>>| {
                let state = serving.clone();
                async move { state.answer(&i.message) }
            })
            .await
            .unwrap(),
            bus.accept("s", move |o: Opening<WatchRequest>| {
                let state = accepting.clone();
                async move { state.watch(o).await }
            })
            .await
            .unwrap(),
            bus.accept("n1", node).await.unwrap(),
        ];
        let tokens = dir.path().join("tokens");
        std::fs::write(&tokens, "sesame,alice,1,\"dev\"\n").unwrap();
        let kinds = Arc::new(ArcSwap::from_pointee(model::kinds::builtin()));
        let options = GatewayOptions { listen: "127.0.0.1:0".parse().unwrap(), pki: pki.clone(), token_file: Some(tokens), follow_definitions: false };
        let gateway = Gateway::start(bus, kinds, options).await.unwrap();
        Self { dir, pki, address: gateway.address(), _gateway: gateway, _services: services }
    }

    pub fn kubeconfig(&self) -> PathBuf {
        let path = self.dir.path().join("kubeconfig");
        self.pki.write_kubeconfig(&path, "test", &format!("https://{}", self.address)).unwrap();
        path
    }

    /// A TLS connection, with the administrator's certificate or without.
    pub async fn tls(&self, admin: bool) -> Tls {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pki.ca().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = if admin {
            let chain = vec![CertificateDer::from_pem_slice(self.pki.admin().cert.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(self.pki.admin().key.as_bytes()).unwrap()).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        let socket = tokio::net::TcpStream::connect(self.address).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap()
    }

    /// One request over a connection of its own.
    pub async fn send(
        &self,
        admin: bool,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> hyper::Response<hyper::body::Incoming> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(self.tls(admin).await)).await.unwrap();
        tokio::spawn(connection);
        let mut request = hyper::Request::builder().method(method).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    /// The same as the administrator, with status and JSON (or text) of the answer.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> (u16, Value) {
        read(self.send(true, method, path, headers, body).await).await
    }
}

pub async fn read(response: hyper::Response<hyper::body::Incoming>) -> (u16, Value) {
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into()))
}
