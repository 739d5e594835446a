//! Connects to NATS, keeps the connection, and tells whether messages still get through.
use super::clients::Clients;
use super::health::Health;
use super::impaired::Impaired;
use super::multiplexer::Multiplexer;
use super::transport::Transport;
use super::trust::{Pin, Trust};
use crate::address::{Caller, Role};
use crate::impairment::Impairment;
use crate::keys::{KeyFile, NatsKey};
use crate::subject::Subjects;
use async_nats::Event;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The first connection is made within this time or not at all.
const CONNECT: Duration = Duration::from_secs(3);
/// How often the connection is tried from end to end.
const HEARTBEAT: Duration = Duration::from_secs(2);
const PING: Duration = Duration::from_secs(5);
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// How a process proves who it is.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// Not at all: for servers that let in everybody.
    #[default]
    None,
    /// With the seed of an nkey; on a second line may stand that of the key by which `state` answers.
    Seed(String),
    /// With a file: the same, or NATS' own credentials with a JWT.
    File(PathBuf),
}

/// Where to connect, and as whom.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The servers; the first that answers is taken.
    pub urls: Vec<String>,
    /// The cluster's name; part of each subject.
    pub cluster: String,
    /// Who speaks.
    pub caller: Caller,
    /// How it proves that.
    pub credentials: Credentials,
    /// Which servers are let have it.
    pub trust: Trust,
    /// Whether a server without JetStream is refused.
    pub jetstream: bool,
    /// Whether a server that can't be reached yet is waited for, in the background and for as long as it takes.
    pub patient: bool,
}

impl ConnectOptions {
    /// To this server, without credentials.
    pub fn new(url: impl Into<String>, cluster: impl Into<String>, caller: Caller) -> Self {
        Self { urls: vec![url.into()], cluster: cluster.into(), caller, credentials: Credentials::None, trust: Trust::System, jetstream: false, patient: false }
    }
    /// With these credentials.
    pub fn credentials(self, credentials: Credentials) -> Self {
        Self { credentials, ..self }
    }
    /// With these servers only.
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }
}

/// Why there is no connection, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// An address that isn't one.
    #[error("{0} isn't the address of a NATS server: write nats://HOST:PORT")]
    Address(String),
    /// Nobody answers.
    #[error("NATS can't be reached at {urls}: {why}; check that it runs and that the address is right")]
    Unreachable {
        /// Where.
        urls: String,
        /// Why.
        why: String,
    },
    /// It doesn't let us in.
    #[error("NATS at {urls} doesn't let {caller} in: check the credentials, and that the server knows their public key")]
    Denied {
        /// Where.
        urls: String,
        /// Who.
        caller: Caller,
    },
    /// The credentials can't be used.
    #[error("the NATS credentials can't be used: {0}")]
    Credentials(String),
    /// The CA by which servers are known can't be used.
    #[error("{0}")]
    Trust(String),
    /// TLS can't be spoken with it.
    #[error("NATS at {urls} is not trusted: {why}; check that the address is right, and that the CA or the join token is this cluster's")]
    Untrusted {
        /// Where.
        urls: String,
        /// Why.
        why: String,
    },
    /// No JetStream.
    #[error("NATS at {urls} runs without JetStream: start it with -js, or give its configuration a jetstream block")]
    NoJetStream {
        /// Where.
        urls: String,
    },
    /// Too old.
    #[error("NATS at {urls} is {found}: 2.10 or later is needed")]
    TooOld {
        /// Where.
        urls: String,
        /// Its version.
        found: String,
    },
}

/// A connection to NATS.
pub(crate) struct Link {
    pub(crate) clients: Clients,
    pub(crate) jetstream: async_nats::jetstream::Context,
    pub(crate) subjects: Subjects,
    pub(crate) health: Arc<Health>,
    connection: String,
    muxes: tokio::sync::Mutex<HashMap<Caller, Arc<Multiplexer>>>,
    stop: CancellationToken,
    /// Ends all that listens on the connection when nobody uses it any more.
    guard: Arc<DropGuard>,
}

impl Drop for Link {
    /// Who no longer uses a connection means to lose it.
    fn drop(&mut self) {
        self.health.leaving.store(true, Ordering::Relaxed);
    }
}

impl Link {
    pub(crate) async fn connect(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let subjects = Subjects::new(&options.cluster);
        let connection = uuid::Uuid::new_v4().simple().to_string();
        let health = Health::new(!options.patient);
        let keys = proof(&options.credentials)?;
        let known = match (&options.trust, keys.authority) {
            // what a key came with says which server may have it
            (Trust::System, Some(digest)) => ConnectOptions { trust: Trust::Pinned(Pin::new(digest)), ..options.clone() },
            _ => options.clone(),
        };
        let options = &known;
        let inbox = subjects.jetstream_inbox(&options.caller, &connection);
        let client = client(options, &keys.own, inbox, listener(health.clone())).await?;
        if !options.patient {
            check(&client, options)?;
        }
        let replies = match &keys.replies {
            Some(proof) => self::client(options, proof, "_INBOX".to_owned(), warn_of).await?,
            None => client.clone(),
        };
        let stop = CancellationToken::new();
        let jetstream = async_nats::jetstream::new(client.clone());
        let link = Self {
            clients: Clients { own: client, replies },
            jetstream,
            subjects,
            health,
            connection,
            muxes: tokio::sync::Mutex::default(),
            guard: Arc::new(stop.clone().drop_guard()),
            stop,
        };
        let mux = link.multiplexer(&options.caller).await.map_err(|why| ConnectError::Unreachable { urls: options.urls.join(","), why })?;
        tokio::spawn(heartbeat(mux, link.stop.clone()));
        Ok(link)
    }

    /// The multiplexer of this caller; opened when it first speaks.
    pub(crate) async fn multiplexer(&self, caller: &Caller) -> Result<Arc<Multiplexer>, String> {
        let mut muxes = self.muxes.lock().await;
        if let Some(mux) = muxes.get(caller) {
            return Ok(mux.clone());
        }
        let mux = self.open(Transport::Clients(self.clients.clone()), &self.connection, caller).await?;
        muxes.insert(caller.clone(), mux.clone());
        Ok(mux)
    }

    /// A multiplexer that speaks for this caller over an impaired connection. Nobody else gets it: to others it is on a connection of its own.
    pub(crate) async fn impaired_multiplexer(&self, caller: &Caller, impairment: Impairment) -> Result<Arc<Multiplexer>, String> {
        let transport = Transport::Impaired(Impaired::new(self.clients.clone(), impairment));
        self.open(transport, &uuid::Uuid::new_v4().simple().to_string(), caller).await
    }

    async fn open(&self, transport: Transport, connection: &str, caller: &Caller) -> Result<Arc<Multiplexer>, String> {
        let (subjects, health) = (self.subjects.clone(), self.health.clone());
        Multiplexer::open(transport, subjects, caller.clone(), connection, health, &self.guard, &self.stop).await
    }

    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.child_token()
    }
}

/// Says something to itself now and then: whatever comes back proves that the bus carries.
async fn heartbeat(mux: Arc<Multiplexer>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = mux.round_trip(HEARTBEAT * 2).await {
            tracing::debug!(?error, "no echo from NATS");
        }
    }
}

/// What happens to the connection, as its health.
fn listener(health: Arc<Health>) -> impl Fn(Event) + Clone + Send + Sync + 'static {
    move |event| health.event(&event)
}

/// What happens to the connection of replies; who waits for them notices by itself.
fn warn_of(event: Event) {
    match event {
        Event::Connected | Event::Disconnected | Event::Closed => tracing::debug!(%event, "the connection of replies"),
        other => tracing::warn!(event = %other, "NATS, the connection of replies"),
    }
}

async fn client(
    options: &ConnectOptions,
    proof: &Proof,
    inbox: String,
    hear: impl Fn(Event) + Clone + Send + Sync + 'static,
) -> Result<async_nats::Client, ConnectError> {
    let urls = options.urls.join(",");
    let addresses: Result<Vec<async_nats::ServerAddr>, _> =
        options.urls.iter().map(|url| url.parse().map_err(|_| ConnectError::Address(url.clone()))).collect();
    let nats = async_nats::ConnectOptions::new()
        .name(options.caller.to_string())
        .custom_inbox_prefix(inbox)
        .connection_timeout(CONNECT)
        .ping_interval(PING)
        .max_reconnects(None)
        .reconnect_delay_callback(|attempt| RECONNECT_MAX.min(Duration::from_millis(20 << attempt.min(8))))
        .event_callback(move |event| {
            hear(event);
            std::future::ready(())
        });
    let nats = match options.trust.client_config().map_err(ConnectError::Trust)? {
        Some(tls) => nats.require_tls(true).tls_client_config(tls),
        None => nats,
    };
    let nats = proof.apply(nats)?;
    let nats = if options.patient { nats.retry_on_initial_connect() } else { nats };
    nats.connect(addresses?).await.map_err(|e| unconnected(&e, urls, options.caller.clone()))
}

/// Whether a handshake failed, which the library tells as an error of the connection.
fn of_tls(e: &async_nats::ConnectError) -> bool {
    use async_nats::rustls::Error as Tls;
    std::iter::successors(std::error::Error::source(e), |e| e.source()).any(|e| {
        let within = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        e.is::<Tls>() || within.is_some_and(|e| e.is::<Tls>())
    })
}

fn unconnected(e: &async_nats::ConnectError, urls: String, caller: Caller) -> ConnectError {
    let denied = matches!(e.kind(), async_nats::ConnectErrorKind::AuthorizationViolation | async_nats::ConnectErrorKind::Authentication);
    if denied || e.to_string().to_ascii_lowercase().contains("authorization") {
        return ConnectError::Denied { urls, caller };
    }
    if matches!(e.kind(), async_nats::ConnectErrorKind::Tls) || of_tls(e) {
        return ConnectError::Untrusted { urls, why: e.to_string() };
    }
    ConnectError::Unreachable { urls, why: e.to_string() }
}

/// A connection of a server's system account, with the credentials of this file: an nkey, NATS' own, or `user:password`.
///
/// # Errors
/// [`ConnectError`] when the file can't be used, or the server can't be reached or doesn't let it in.
pub async fn connect_system(url: &str, file: &Path) -> Result<async_nats::Client, ConnectError> {
    let address: async_nats::ServerAddr = url.parse().map_err(|_| ConnectError::Address(url.to_owned()))?;
    let text = std::fs::read_to_string(file).map_err(|e| ConnectError::Credentials(format!("{}: {e}", file.display())))?;
    let nats = async_nats::ConnectOptions::new().name("whalesong: system account").connection_timeout(CONNECT).max_reconnects(None);
    let nats = match text.trim().split_once(':') {
        Some((user, password)) if !text.contains("NATS USER JWT") => nats.user_and_password(user.to_owned(), password.to_owned()),
        _ => proof(&Credentials::File(file.to_owned()))?.own.apply(nats)?,
    };
    let caller = Caller::new(Role::State, "system account");
    nats.connect(address).await.map_err(|e| unconnected(&e, url.to_owned(), caller))
}

/// What one connection shows to the server.
enum Proof {
    Nothing,
    Key(Box<NatsKey>),
    /// NATS' own credentials.
    Jwt(String),
}

impl Proof {
    fn apply(&self, nats: async_nats::ConnectOptions) -> Result<async_nats::ConnectOptions, ConnectError> {
        match self {
            Self::Nothing => Ok(nats),
            Self::Key(key) => Ok(nats.nkey(key.seed().map_err(|e| ConnectError::Credentials(e.to_string()))?)),
            Self::Jwt(text) => nats.credentials(text).map_err(|e| ConnectError::Credentials(e.to_string())),
        }
    }
}

/// What both connections show.
struct Proofs {
    own: Proof,
    replies: Option<Proof>,
    /// The digest of the CA by which the server is known.
    authority: Option<[u8; 32]>,
}

fn proof(credentials: &Credentials) -> Result<Proofs, ConnectError> {
    let text = match credentials {
        Credentials::None => return Ok(Proofs { own: Proof::Nothing, replies: None, authority: None }),
        Credentials::Seed(seed) => seed.clone(),
        Credentials::File(path) => std::fs::read_to_string(path).map_err(|e| ConnectError::Credentials(format!("{}: {e}", path.display())))?,
    };
    if text.contains("NATS USER JWT") {
        return Ok(Proofs { own: Proof::Jwt(text), replies: None, authority: None });
    }
    let keys = KeyFile::parse(&text).map_err(ConnectError::Credentials)?;
    Ok(Proofs { own: Proof::Key(Box::new(keys.own)), replies: keys.replies.map(|key| Proof::Key(Box::new(key))), authority: keys.authority })
}

fn check(client: &async_nats::Client, options: &ConnectOptions) -> Result<(), ConnectError> {
    let urls = options.urls.join(",");
    if !client.is_server_compatible(2, 10, 0) {
        return Err(ConnectError::TooOld { urls, found: client.server_info().version });
    }
    if options.jetstream && !client.server_info().jetstream {
        return Err(ConnectError::NoJetStream { urls });
    }
    Ok(())
}
