//! How processes come onto the bus: the keys below the data directory, the embedded NATS server, the connection.
use crate::cli::{DurabilityArgs, RoleArgs};
use crate::data::{Data, default_root};
use crate::failure::Failure;
use bus::keys::Key;
use bus::server::{Server, ServerError, ServerOptions, User};
use bus::{Bus, Call, Caller, Role, permissions::permissions};
use bus::{ConnectError, ConnectOptions, Credentials};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The name of a cluster when nobody gives one.
pub const CLUSTER: &str = "default";

/// Tells the process that runs the embedded server to let in whoever has a key below its data directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Admit {}

impl Call for Admit {
    type Reply = Result<(), String>;
    const SERVICE: &'static str = "process.admit";
}

/// The file with a caller's key.
pub fn key_file(root: &Path, role: Role, name: &str) -> PathBuf {
    root.join("keys").join(format!("{}@{name}.nk", role.name()))
}

/// Who a key file is for, by its name.
fn key_owner(path: &Path) -> Option<Caller> {
    let (role, name) = path.file_name()?.to_str()?.strip_suffix(".nk")?.split_once('@')?;
    Some(Caller::new(Role::from_name(role)?, name))
}

/// Everybody who has a key below the data directory, with what each may do.
///
/// # Errors
/// When a key file can't be read.
pub fn users(root: &Path, cluster: &str) -> Result<Vec<User>, Failure> {
    let unreadable = |e: std::io::Error| Failure::new(format!("the keys in {} can't be read ({e})", root.join("keys").display()), "look at their owner");
    let mut users = Vec::new();
    for entry in std::fs::read_dir(root.join("keys")).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if let Some(caller) = key_owner(&path) {
            let key = Key::load_or_create(&path).map_err(|e| Failure::new(e.to_string(), ""))?;
            users.push(User { key: key.public(), permissions: permissions(caller.role, &caller.name, cluster) });
        }
    }
    Ok(users)
}

/// Makes the keys of a cluster's own roles, starts its NATS server and connects to it as `state`.
///
/// # Errors
/// When the server doesn't start: its port is in use, it is missing or too old, the directory can't be written.
pub async fn embedded(data: &Data, cluster: &str, name: &str, host: IpAddr, port: u16) -> Result<(Server, Bus), Failure> {
    for role in Role::ALL.into_iter().filter(|r| *r != Role::Agent) {
        Key::load_or_create(&key_file(data.root(), role, name_of(role, name))).map_err(|e| Failure::new(e.to_string(), ""))?;
    }
    let mut options = ServerOptions::new(data.join("nats"));
    options.host = host;
    options.port = (port != 0).then_some(port);
    options.users = users(data.root(), cluster)?;
    let server = Server::start(options).await.map_err(|e| match e {
        ServerError::PortInUse { port } => {
            Failure::new(format!("port {port} is in use"), "stop what listens there, or choose another for NATS with --nats-port (0: any free one)")
        }
        e => Failure::new(e.to_string(), ""),
    })?;
    let creds = key_file(data.root(), Role::State, name);
    let bus = connect(&server.url(), cluster, Caller::new(Role::State, name), Some(&creds)).await?;
    Ok((server, bus))
}

/// The administrator is one, whatever the machine is called.
fn name_of(role: Role, name: &str) -> &str {
    if role == Role::Admin { "admin" } else { name }
}

/// Connects to a NATS server.
///
/// # Errors
/// When it can't be reached, doesn't let us in, or has no JetStream where we need it.
pub async fn connect(url: &str, cluster: &str, caller: Caller, creds: Option<&Path>) -> Result<Bus, Failure> {
    Bus::connect(options(url, cluster, caller, creds)).await.map_err(|e| Failure::new(e.to_string(), ""))
}

fn options(url: &str, cluster: &str, caller: Caller, creds: Option<&Path>) -> ConnectOptions {
    let credentials = creds.map_or(Credentials::None, |path| Credentials::File(path.to_owned()));
    let jetstream = caller.role == Role::State;
    ConnectOptions { jetstream, ..ConnectOptions::new(url, cluster, caller).credentials(credentials) }
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
    let left = || std::fs::read_to_string(root(args.home.data.as_ref()).join("nats.url")).map(|u| u.trim().to_owned());
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
    Bus::connect(role_options(args, role, name)).await.map_err(|e| Failure::new(e.to_string(), ""))
}

/// Connects as a node that has pods of its own to run: where NATS can't be reached, it is waited for in the background.
///
/// # Errors
/// As [`connect`], but for a server that doesn't answer.
pub async fn as_node(args: &RoleArgs, name: &str) -> Result<Bus, Failure> {
    let options = role_options(args, Role::Agent, name);
    let connected = match Bus::connect(options.clone()).await {
        Err(why @ ConnectError::Unreachable { .. }) => {
            tracing::warn!(%why, "this node goes on by itself until then");
            Bus::connect(ConnectOptions { patient: true, ..options }).await
        }
        connected => connected,
    };
    connected.map_err(|e| Failure::new(e.to_string(), ""))
}

fn role_options(args: &RoleArgs, role: Role, name: &str) -> ConnectOptions {
    let root = root(args.home.data.as_ref());
    let own = key_file(&root, role, name_of(role, name));
    let creds = args.creds.clone().or_else(|| own.is_file().then_some(own));
    options(&url(args), args.home.cluster.as_deref().unwrap_or(CLUSTER), Caller::new(role, name_of(role, name)), creds.as_deref())
}
