//! Writes the configuration of `nats-server`. It is JSON, which the server's configuration language accepts.
use super::ServerError;
use crate::keys::write_private;
use crate::permissions::Permissions;
use serde_json::{Value, json};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The public nkey (`U…`).
    pub key: String,
    /// What it may do.
    pub permissions: Permissions,
}

/// What a server shows to its clients, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// Its certificate, and those of the authorities behind it.
    pub certificates: String,
    /// Its private key.
    pub key: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// How to run a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Its directory: configuration, pid file, JetStream's data. Made where it isn't there.
    pub directory: PathBuf,
    /// The address to listen on: 127.0.0.1, or another where nodes on other machines connect.
    pub host: IpAddr,
    /// The port there; `None`: any free one.
    pub port: Option<u16>,
    /// Who may connect; everybody who reaches the port when empty.
    pub users: Vec<User>,
    /// With which certificate it speaks TLS, and nothing but TLS; `None`: without.
    pub tls: Option<Tls>,
    /// One more directory to look for the binary.
    pub binaries: Option<PathBuf>,
    /// The largest message in bytes.
    pub max_payload: u32,
    /// A directory in memory for what needs no disk.
    pub memory: Option<PathBuf>,
}

impl ServerOptions {
    /// The usual ones: any free port, messages up to 8 MiB.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let (host, memory) = (Ipv4Addr::LOCALHOST.into(), Some(PathBuf::from("/dev/shm")));
        Self { directory: directory.into(), host, port: None, users: Vec::new(), tls: None, binaries: None, max_payload: 8 << 20, memory }
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.directory.join("nats-server.json")
    }

    pub(super) fn pid_file(&self) -> PathBuf {
        self.directory.join("nats-server.pid")
    }

    fn certificate_file(&self) -> PathBuf {
        self.directory.join("nats-server.crt")
    }

    fn key_file(&self) -> PathBuf {
        self.directory.join("nats-server.key")
    }

    fn config(&self) -> Value {
        // port -1 is any free one
        let listen = self.port.map_or_else(|| format!("{}:-1", self.host), |port| SocketAddr::new(self.host, port).to_string());
        let mut config = json!({
            "listen": listen,
            "server_name": "whalesong",
            "pid_file": self.pid_file(),
            "max_payload": self.max_payload,
            "jetstream": { "store_dir": self.directory, "sync_interval": "always" },
        });
        if self.tls.is_some() {
            config["tls"] = json!({ "cert_file": self.certificate_file(), "key_file": self.key_file(), "timeout": 5 });
        }
        if !self.users.is_empty() {
            let users: Vec<Value> = self.users.iter().map(user).collect();
            config["authorization"] = json!({ "users": users });
        }
        config
    }
}

/// An empty list of what may be subscribed to would allow everything.
fn user(user: &User) -> Value {
    let Permissions { publish, subscribe } = &user.permissions;
    let subscribe = if subscribe.is_empty() { json!({ "deny": [">"] }) } else { json!({ "allow": subscribe }) };
    json!({ "nkey": user.key, "permissions": { "publish": { "allow": publish }, "subscribe": subscribe } })
}

pub(super) fn write(options: &ServerOptions) -> Result<(), ServerError> {
    let unwritable = |source| ServerError::Unwritable { directory: options.directory.clone(), source };
    if let Some(tls) = &options.tls {
        write_private(&options.key_file(), tls.key.as_bytes()).map_err(unwritable)?;
        write_private(&options.certificate_file(), tls.certificates.as_bytes()).map_err(unwritable)?;
    }
    let text = format!("{:#}\n", options.config());
    write_private(&options.config_file(), text.as_bytes()).map_err(unwritable)
}
