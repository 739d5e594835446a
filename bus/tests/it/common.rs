//! A real server in a directory that goes with it, and buses on it.
use bus::keys::Key;
use bus::server::{Server, ServerOptions, User};
use bus::{Bus, Call, Caller, ConnectOptions, Credentials, Open, Role, permissions};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);
pub const CLUSTER: &str = "test";

pub struct Rig {
    pub server: Server,
    keys: Vec<(Caller, Key)>,
    _directory: tempfile::TempDir,
}

impl Rig {
    /// A server that lets in everybody.
    pub async fn open() -> Self {
        Self::start(&[], 8 << 20).await
    }

    /// A server that knows these callers, each with its own permissions.
    pub async fn start(callers: &[Caller], max_payload: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keys: Vec<(Caller, Key)> = callers.iter().map(|c| (c.clone(), Key::generate())).collect();
        let users = users(&keys);
        let server = Server::start(ServerOptions { users, max_payload, ..ServerOptions::new(directory.path()) }).await.unwrap();
        Self { server, keys, _directory: directory }
    }

    pub fn options(&self, role: Role, name: &str) -> ConnectOptions {
        let caller = Caller::new(role, name);
        let key = self.keys.iter().find(|(c, _)| *c == caller);
        let credentials = key.map_or(Credentials::None, |(_, key)| Credentials::Seed(key.seed().unwrap()));
        ConnectOptions::new(self.server.url(), CLUSTER, caller).credentials(credentials)
    }

    pub async fn bus(&self, role: Role, name: &str) -> Bus {
        Bus::connect(self.options(role, name)).await.unwrap()
    }

    pub fn let_in(&mut self, caller: &Caller, key: Key) {
        self.keys.push((caller.clone(), key));
        self.server.authorize(users(&self.keys)).unwrap();
    }

    pub fn kill(&self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.server.pid().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

fn users(keys: &[(Caller, Key)]) -> Vec<User> {
    keys.iter().map(|(c, key)| User { key: key.public(), permissions: permissions(c.role, &c.name, CLUSTER) }).collect()
}

/// Echoes, in a way: `size` bytes come back, with who asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Want {
    pub size: usize,
    pub body: ByteBuf,
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Got {
    pub body: ByteBuf,
    pub received: usize,
    pub caller: Caller,
}
impl Call for Want {
    type Reply = Got;
    const SERVICE: &'static str = "state.want";
}
pub fn want(size: usize) -> Want {
    Want { size, body: ByteBuf::new() }
}

/// Opens a stream of `count` frames down, each of `size` bytes; frames up come back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flow {
    pub count: u64,
    pub size: usize,
}
impl Open for Flow {
    type Up = u64;
    type Down = (u64, ByteBuf);
    type Refusal = String;
    const SERVICE: &'static str = "state.flow";
}
