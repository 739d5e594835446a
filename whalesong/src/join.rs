//! How processes come onto the bus: the keys below the data directory, the embedded NATS server, the connection.
use crate::access::Join;
use crate::access::registry::Registry;
use crate::access::token::JoinToken;
use crate::cli::{DurabilityArgs, RoleArgs};
use crate::data::{Data, default_root};
use crate::failure::Failure;
use api_gateway::Pki;
use base64::Engine;
use bus::keys::KeyFile;
use bus::server::{Server, ServerError, ServerOptions, Tls};
use bus::{Bus, Caller, ConnectError, ConnectOptions, Credentials, Pin, Role, SERVER_NAME, To, Trust};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of a cluster when nobody gives one.
pub const CLUSTER: &str = "default";
/// How long a machine waits to be let in.
const JOIN: Duration = Duration::from_secs(20);

/// Where the CA of the server at `nats.url` is, if that speaks TLS.
const AUTHORITY: &str = "nats.ca";
/// Where the address of the cluster's server is.
const ADDRESS: &str = "nats.url";

/// Where the embedded server listens.
pub struct Listen<'a> {
    /// The address.
    pub host: IpAddr,
    /// The port; 0: any free one.
    pub port: u16,
    /// Its certificate, where it is reached from elsewhere.
    pub tls: Option<&'a Pki>,
}

/// Makes the keys of a cluster's own roles, starts its NATS server and connects to it as `state`.
///
/// # Errors
/// When the server doesn't start: its port is in use, it is missing or too old, the directory can't be written.
pub async fn embedded(data: &Data, cluster: &str, name: &str, listen: Listen<'_>) -> Result<(Server, Bus), Failure> {
    let registry = Registry::new(data.root(), cluster);
    for role in Role::ALL.into_iter().filter(|r| !matches!(r, Role::Agent | Role::Join | Role::Client)) {
        let path = registry.seeds(role, name_of(role, name));
        KeyFile::load_or_create(&path, role == Role::State).map_err(|e| Failure::new(e.to_string(), ""))?;
    }
    let mut options = ServerOptions::new(data.join("nats"));
    options.host = listen.host;
    options.port = (listen.port != 0).then_some(listen.port);
    options.users = registry.users(jiff::Timestamp::now())?;
    options.tls = listen.tls.map(|pki| certificate(pki, listen.host, name)).transpose()?;
    let server = Server::start(options).await.map_err(|e| match e {
        ServerError::PortInUse { port } => {
            Failure::new(format!("port {port} is in use"), "stop what listens there, or choose another for NATS with --nats-port (0: any free one)")
        }
        e => Failure::new(e.to_string(), ""),
    })?;
    let ca = listen.tls.map(Pki::ca);
    remember(data.root(), &server.url(), ca)?;
    let creds = registry.seeds(Role::State, name);
    let trust = ca.map_or(Trust::System, |ca| Trust::Ca(ca.to_owned()));
    let bus = connect(&server.url(), cluster, Caller::new(Role::State, name), Some(&creds), trust).await?;
    Ok((server, bus))
}

fn certificate(pki: &Pki, host: IpAddr, name: &str) -> Result<Tls, Failure> {
    let names = [SERVER_NAME.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned(), host.to_string(), name.to_owned()];
    let pair = pki.nats(&names).map_err(|e| Failure::new(e.to_string(), ""))?;
    Ok(Tls { certificates: pair.cert + pki.ca(), key: pair.key })
}

/// Leaves the server's address, and its CA where it speaks TLS, for processes on the same data.
///
/// # Errors
/// When a file can't be written.
pub fn remember(root: &Path, url: &str, ca: Option<&str>) -> Result<(), Failure> {
    let unwritable = |path: &Path, e: std::io::Error| {
        Failure::new(format!("{} can't be written ({e})", path.display()), "free some space, or choose another directory with --data")
    };
    let (address, authority) = (root.join(ADDRESS), root.join(AUTHORITY));
    match ca {
        Some(ca) => bus::keys::write_private(&authority, ca.as_bytes()).map_err(|e| unwritable(&authority, e))?,
        None => match std::fs::remove_file(&authority) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(unwritable(&authority, e)),
            _ => {}
        },
    }
    bus::keys::write_private(&address, url.as_bytes()).map_err(|e| unwritable(&address, e))
}

/// The CA (PEM) that a machine which joins is to know the cluster's server by; `None` where that speaks no TLS.
///
/// # Errors
/// When it can't be read.
pub fn authority(root: &Path) -> Result<Option<String>, Failure> {
    let known = |name: &str| match std::fs::read_to_string(root.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::new(format!("{} can't be read ({e})", root.join(name).display()), "look at its owner")),
    };
    match (known(ADDRESS)?, known(AUTHORITY)?) {
        (_, Some(ca)) => Ok(Some(ca)),
        (Some(_), None) => Ok(None),
        (None, None) => {
            Err(Failure::new(format!("no cluster has run in {}", root.display()), "start it with `whalesong up`, or name its directory with --data"))
        }
    }
}

/// The administrator is one, whatever the machine is called.
fn name_of(role: Role, name: &str) -> &str {
    if role == Role::Admin { "admin" } else { name }
}

/// Connects to a NATS server.
///
/// # Errors
/// When it can't be reached, doesn't let us in, or has no JetStream where we need it.
pub async fn connect(url: &str, cluster: &str, caller: Caller, creds: Option<&Path>, trust: Trust) -> Result<Bus, Failure> {
    Bus::connect(options(url, cluster, caller, creds).trust(trust)).await.map_err(|e| Failure::new(e.to_string(), ""))
}

fn options(url: &str, cluster: &str, caller: Caller, creds: Option<&Path>) -> ConnectOptions {
    let credentials = creds.map_or(Credentials::None, |path| Credentials::File(path.to_owned()));
    let jetstream = caller.role == Role::State;
    ConnectOptions { jetstream, ..ConnectOptions::new(url, cluster, caller).credentials(credentials) }
}

/// Which servers are trusted: those of the CA that a person names, or that is known to be the cluster's.
///
/// # Errors
/// When its file can't be read.
pub fn trust(named: Option<&PathBuf>, root: &Path) -> Result<Trust, Failure> {
    let known = root.join(AUTHORITY);
    let Some(path) = named.cloned().or_else(|| known.is_file().then_some(known)) else { return Ok(Trust::System) };
    let unreadable = |e| Failure::new(format!("{} can't be read ({e})", path.display()), "name the CA's certificate (PEM) with --nats-ca");
    std::fs::read_to_string(&path).map(Trust::Ca).map_err(unreadable)
}

/// A connection of the server's system account, where a person gives its credentials.
///
/// # Errors
/// When it can't be reached, or doesn't let us in.
pub async fn system(url: &str, durability: &DurabilityArgs) -> Result<Option<async_nats::Client>, Failure> {
    match &durability.nats_sys_creds {
        Some(path) => bus::connect_system(url, path).await.map(Some).map_err(|e| Failure::new(e.to_string(), "")),
        None => Ok(None),
    }
}

/// The server's address that a person means: `--nats`, or the one that `up` left.
pub fn url(args: &RoleArgs) -> String {
    let left = || std::fs::read_to_string(root(args.home.data.as_ref()).join(ADDRESS)).map(|u| u.trim().to_owned());
    args.nats.clone().unwrap_or_else(|| left().unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned()))
}

/// The data directory that a person means.
pub fn root(data: Option<&PathBuf>) -> PathBuf {
    data.cloned().unwrap_or_else(default_root)
}

/// Connects as one role from the command line: to `--nats`, or to the server that `up` left its address of.
///
/// # Errors
/// As [`connect`].
pub async fn as_role(args: &RoleArgs, role: Role, name: &str) -> Result<Bus, Failure> {
    Bus::connect(role_options(args, role, name)?).await.map_err(|e| Failure::new(e.to_string(), ""))
}

/// Connects as a node; where it has none yet, with a key that it makes and has let in by a join token. A node that has pods of its own to run waits in the
/// background where NATS can't be reached.
///
/// # Errors
/// As [`connect`], and when the token is refused.
pub async fn as_node(args: &RoleArgs, name: &str, token: Option<&str>, has_pods: bool) -> Result<Bus, Failure> {
    let token = token
        .map(str::parse::<JoinToken>)
        .transpose()
        .map_err(|why| Failure::new(format!("the join token can't be used: {why}"), "copy the whole line that `whalesong token` printed"))?;
    let failed = |e: ConnectError| Failure::new(e.to_string(), "");
    if let Some(token) = &token
        && !Registry::new(&root(args.home.data.as_ref()), "").seeds(Role::Agent, name).is_file()
    {
        become_node(args, name, token).await?;
    }
    let options = role_options(args, Role::Agent, name)?;
    match (Bus::connect(options.clone()).await, &token) {
        (Err(why @ ConnectError::Unreachable { .. }), _) if has_pods => {
            tracing::warn!(%why, "this node goes on by itself until then");
            Bus::connect(ConnectOptions { patient: true, ..options }).await.map_err(failed)
        }
        // the cluster doesn't know the key any more, or is another one
        (Err(ConnectError::Denied { .. } | ConnectError::Untrusted { .. }), Some(token)) => {
            become_node(args, name, token).await?;
            Bus::connect(role_options(args, Role::Agent, name)?).await.map_err(failed)
        }
        (Err(why @ ConnectError::Denied { .. }), None) => {
            let remedy = "a new machine needs --token TOKEN, made by `whalesong token` on the first machine, or --creds FILE";
            Err(Failure::new(why.to_string(), remedy))
        }
        (connected, _) => connected.map_err(failed),
    }
}

/// Has the key of this node let in, which is made here where there is none; only its public half leaves the machine.
async fn become_node(args: &RoleArgs, name: &str, token: &JoinToken) -> Result<(), Failure> {
    let root = root(args.home.data.as_ref());
    let cluster = args.home.cluster.as_deref().unwrap_or(CLUSTER);
    let keys = KeyFile::load_or_create(&Registry::new(&root, cluster).seeds(Role::Agent, name), false).map_err(|e| Failure::new(e.to_string(), ""))?;
    let (trust, pin) = token.trust();
    let seed = token.seed().map_err(|e| Failure::new(e.to_string(), ""))?;
    let url = url(args);
    let options = ConnectOptions::new(&url, cluster, Caller::new(Role::Join, token.public())).credentials(Credentials::Seed(seed)).trust(trust);
    let bus = Bus::connect(options).await.map_err(|e| match e {
        ConnectError::Denied { .. } => {
            Failure::new("the cluster doesn't know the join token, or it has ended", "make another with `whalesong token` on the first machine")
        }
        e => Failure::new(e.to_string(), ""),
    })?;
    let asked = bus.call(&To::Any, Join { node: name.to_owned(), key: keys.own.public() }, JOIN).await;
    bus.leave();
    asked.map_err(|e| Failure::new(format!("the cluster can't be asked to join: {e}"), ""))?.map_err(|why| Failure::new(why, ""))?;
    let ca = pin.as_ref().and_then(Pin::seen).map(pem);
    remember(&root, &url, ca.as_deref())
}

/// A certificate as text.
fn pem(der: &[u8]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).fold(String::new(), |text, line| text + &line + "\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n")
}

/// Where and with what one role connects.
///
/// # Errors
/// When the CA that a person names can't be read.
pub fn role_options(args: &RoleArgs, role: Role, name: &str) -> Result<ConnectOptions, Failure> {
    let root = root(args.home.data.as_ref());
    let cluster = args.home.cluster.as_deref().unwrap_or(CLUSTER);
    let own = Registry::new(&root, cluster).seeds(role, name_of(role, name));
    let creds = args.creds.clone().or_else(|| own.is_file().then_some(own));
    let trust = trust(args.nats_ca.as_ref(), &root)?;
    Ok(options(&url(args), cluster, Caller::new(role, name_of(role, name)), creds.as_deref()).trust(trust))
}
