//! A real server in a directory that goes with it, and buses on it.
use bus::keys::{KeyFile, NatsKey};
use bus::server::{Server, ServerOptions, User};
use bus::{Bus, Call, Caller, ConnectOptions, Credentials, Notice, Open, Permissions, Role, permissions, reply_permissions};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::time::Duration;
use tokio::sync::mpsc;

pub const SECOND: Duration = Duration::from_secs(1);
pub const CLUSTER: &str = "test";

pub struct Rig {
    pub server: Server,
    keys: Vec<(Caller, KeyFile)>,
    observer: NatsKey,
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
        let keys: Vec<(Caller, KeyFile)> = callers.iter().map(|c| (c.clone(), KeyFile::generate(c.role == Role::State))).collect();
        let observer = NatsKey::generate();
        let users = users(&keys, &observer);
        let server = Server::start(ServerOptions { users, max_payload, ..ServerOptions::new(directory.path()) }).await.unwrap();
        Self { server, keys, observer, _directory: directory }
    }

    pub fn options(&self, role: Role, name: &str) -> ConnectOptions {
        let caller = Caller::new(role, name);
        let key = self.keys.iter().find(|(c, _)| *c == caller);
        let credentials = key.map_or(Credentials::None, |(_, keys)| Credentials::Seed(keys.text().unwrap()));
        ConnectOptions::new(self.server.url(), CLUSTER, caller).credentials(credentials)
    }

    pub async fn bus(&self, role: Role, name: &str) -> Bus {
        Bus::connect(self.options(role, name)).await.unwrap()
    }

    pub fn let_in(&mut self, caller: &Caller, key: NatsKey) {
        self.keys.push((caller.clone(), KeyFile { own: key, replies: None, authority: None }));
        drop(self.server.authorize(users(&self.keys, &self.observer)).unwrap());
    }

    pub async fn shut_out(&mut self, caller: &Caller) {
        self.keys.retain(|(known, _)| known != caller);
        self.server.authorize(users(&self.keys, &self.observer)).unwrap().done().await.unwrap();
    }

    /// Somebody who may do anything: looks at what became of an attack.
    pub async fn observer(&self) -> async_nats::Client {
        async_nats::ConnectOptions::with_nkey(self.observer.seed().unwrap()).connect(self.server.url()).await.unwrap()
    }

    /// A connection with a caller's key and nothing of ours between: what somebody hostile has. What the server refuses comes through the channel.
    pub async fn raw(&self, caller: &Caller) -> (async_nats::Client, mpsc::UnboundedReceiver<String>) {
        let (_, keys) = self.keys.iter().find(|(known, _)| known == caller).unwrap();
        self.raw_key(&keys.own, self.inbox(caller)).await
    }

    /// The same with the key by which `state` answers.
    pub async fn raw_replies(&self, caller: &Caller) -> (async_nats::Client, mpsc::UnboundedReceiver<String>) {
        let (_, keys) = self.keys.iter().find(|(known, _)| known == caller).unwrap();
        self.raw_key(keys.replies.as_ref().unwrap(), "_INBOX".to_owned()).await
    }

    async fn raw_key(&self, key: &NatsKey, inbox: String) -> (async_nats::Client, mpsc::UnboundedReceiver<String>) {
        let (refusals, refused) = mpsc::unbounded_channel();
        let options = async_nats::ConnectOptions::with_nkey(key.seed().unwrap()).custom_inbox_prefix(inbox).event_callback(move |event| {
            if let async_nats::Event::ServerError(error) = event {
                _ = refusals.send(error.to_string()).is_ok();
            }
            std::future::ready(())
        });
        (options.connect(self.server.url()).await.unwrap(), refused)
    }

    /// What inboxes of a raw connection start with.
    pub fn inbox(&self, caller: &Caller) -> String {
        format!("ws.{CLUSTER}.inbox.{}.{}.raw", caller.role.name(), bus::subject::escape(&caller.name))
    }

    pub fn kill(&self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.server.pid().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

fn users(keys: &[(Caller, KeyFile)], observer: &NatsKey) -> Vec<User> {
    let own = keys.iter().map(|(c, keys)| User { key: keys.own.public(), permissions: permissions(c.role, &c.name, CLUSTER) });
    let replies = keys.iter().filter_map(|(_, keys)| keys.replies.as_ref());
    let replies = replies.map(|key| User { key: key.public(), permissions: reply_permissions(CLUSTER) });
    let observer = User { key: observer.public(), permissions: Permissions { publish: vec![">".to_owned()], subscribe: vec![">".to_owned()] } };
    if keys.is_empty() { Vec::new() } else { own.chain(replies).chain([observer]).collect() }
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

/// A notice that nodes give.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Usage(pub ByteBuf);
impl Notice for Usage {
    const TOPIC: &'static str = "node.usage";
}
