//! The listener: TLS, connections, and how they end.
use crate::auth::certificate_user;
use crate::auth::tokens::{StaticTokens, TokenFileError, Tokens};
use crate::clients;
use crate::coalesce::coalesce;
use crate::definitions;
use crate::handler::{Api, Peer};
use crate::io::Timed;
use crate::pki::Pki;
use crate::upload::Upload;
use arc_swap::ArcSwap;
use bus::{Bus, BusError};
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use model::Kinds;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use state_client::Client;
use state_client::token::{TokenError, Verifier};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(30);
/// How long a client may take nothing of what it asked for.
const STALLED: Duration = Duration::from_secs(60);
/// HTTP/2: how often a silent client is asked whether it is there, and how long it may take.
const PING: Duration = Duration::from_secs(30);
/// HTTP/2: requests and watches of one connection at once.
const STREAMS: u32 = 1000;
/// HTTP/1: what waits to be taken by one client, bytes.
const BUFFER: usize = 64 * 1024;

/// What a gateway needs to know.
pub struct GatewayOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its keys.
    pub pki: Pki,
    /// Static bearer tokens: `token,user,uid,"group1,group2"` a line.
    pub token_file: Option<PathBuf>,
    /// Whether nobody else in this process keeps the table of kinds current with the definitions of custom resources.
    pub follow_definitions: bool,
}

/// Why a gateway doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The port can't be had.
    #[error("cannot listen on {address}: {source}; {}", remedy(.source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The keys don't make a TLS server.
    #[error("the keys in {dir} cannot be used for TLS: {why}; remove the directory's files to have new ones made")]
    Tls {
        /// Where they are.
        dir: PathBuf,
        /// Why.
        why: String,
    },
    /// NATS refuses to let it listen to users' programs.
    #[error("users' programs can't be served over NATS: {0}")]
    Bus(#[from] BusError),
    /// The static tokens can't be used.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
}

fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program has this port: stop it, or choose another with --listen ADDRESS:PORT",
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need root: choose another with --listen ADDRESS:PORT",
        std::io::ErrorKind::AddrNotAvailable => "this machine doesn't have that address: choose another with --listen ADDRESS:PORT",
        _ => "choose another with --listen ADDRESS:PORT",
    }
}

/// A running gateway.
pub struct Gateway {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Gateway {
    /// Starts listening. It answers as soon as this returns; what `state` doesn't answer is 503.
    ///
    /// # Errors
    /// [`GatewayError`], with the remedy.
    pub async fn start(bus: Bus, kinds: Arc<ArcSwap<Kinds>>, options: GatewayOptions) -> Result<Self, GatewayError> {
        let tls = tls(&options.pki).map_err(|why| GatewayError::Tls { dir: options.pki.dir().to_owned(), why })?;
        let fixed = options.token_file.as_deref().map(StaticTokens::read).transpose()?.unwrap_or_default();
        let unusable = |e: TokenError| GatewayError::Tls { dir: options.pki.dir().to_owned(), why: e.to_string() };
        let accounts = Verifier::new(options.pki.service_account_public()).map_err(unusable)?;
        let tokens = Tokens::new(fixed, accounts, Client::new(bus.clone()));
        let listen = |source| GatewayError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        if options.follow_definitions {
            let follow = definitions::follow(Client::new(bus.clone()), kinds.clone());
            tasks.spawn(stop.clone().run_until_cancelled_owned(follow));
        }
        let api = Arc::new(Api::new(bus.clone(), kinds, tokens, stop.clone(), tasks.clone()));
        clients::serve(&bus, &api, stop.clone()).await?;
        tasks.spawn(accept(listener, TlsAcceptor::from(Arc::new(tls)), api, stop.clone(), tasks.clone()));
        tasks.close();
        tracing::info!(%address, "the API is served");
        Ok(Self { address, stop, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connections, ends watches and streams, and waits for requests under way, at most `patience`.
    pub async fn shutdown(self, patience: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "some connections did not end in time");
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn tls(pki: &Pki) -> Result<ServerConfig, String> {
    let text = |e: rustls_pki_types::pem::Error| e.to_string();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(pki.ca().as_bytes()).map_err(text)?;
    roots.add(ca).map_err(|e| e.to_string())?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let clients = clients.allow_unauthenticated().build().map_err(|e| e.to_string())?;
    let chain = CertificateDer::pem_slice_iter(pki.serving().cert.as_bytes()).collect::<Result<Vec<_>, _>>().map_err(text)?;
    let key = PrivateKeyDer::from_pem_slice(pki.serving().key.as_bytes()).map_err(text)?;
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    let mut config = versions.with_client_cert_verifier(clients).with_single_cert(chain, key).map_err(|e| e.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, api: Arc<Api>, stop: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => {
                tasks.spawn(connection(socket, tls.clone(), api.clone(), stop.clone()));
            }
            Err(error) => {
                // Too many open files, most likely: it passes when connections end. Without a pause this loop would take a whole core until then.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(socket: TcpStream, tls: TlsAcceptor, api: Arc<Api>, stop: CancellationToken) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let stream = match tokio::time::timeout(HANDSHAKE, tls.accept(Timed::new(socket, STALLED))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => return tracing::debug!("a TLS handshake took too long"),
    };
    let (_, session) = stream.get_ref();
    // one connection of HTTP/2 has many streams; of HTTP/1 it may become something else
    let many = session.alpn_protocol() == Some(b"h2");
    let user = session.peer_certificates().and_then(|chain| chain.first()).and_then(certificate_user);
    let peer = Arc::new(Peer { user });
    let service = service_fn(move |request: Request<Incoming>| {
        let (api, peer) = (api.clone(), peer.clone());
        async move {
            let (head, body) = request.into_parts();
            let (upload, rest) = Upload::new(body);
            let answer = api.answer(&peer, Request::from_parts(head, upload)).await;
            rest.take_in().await;
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(BUFFER);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS).keep_alive_interval(PING).keep_alive_timeout(PING);
    let mut serving = coalesce(stream, many, |stream| builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop.cancelled() => {
            serving.inner().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
