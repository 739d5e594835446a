//! One process of a cluster: its place on the bus, the roles that it plays, and how it stops.
use crate::candidate::Candidate;
use crate::data::Identity;
use crate::failure::Failure;
use crate::report::StatusRequest;
use crate::witness::Witness;
use api_gateway::{Gateway, GatewayOptions, Pki};
use arc_swap::ArcSwap;
use bus::actor::System;
use bus::{Bus, Caller, Role, Service};
use controllers::Controllers;
use controllers::node::Rates;
use model::Kinds;
use scheduler::SchedulerError;
use state::admission::pod_security::PodSecurity;
use state::store::{Store, StoreError, StoreOptions};
use state::{PipelineOptions, Services, TokenKeys};
use state_client::Client;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a stop may take before what still runs is cut off.
const PATIENCE: Duration = Duration::from_secs(5);

/// What runs in this process. Parts stop in the reverse order of the data's flow: gateway, actors, state.
pub struct Process {
    /// The bus, speaking as the first role.
    pub bus: Bus,
    /// Its actors.
    pub system: System,
    /// The table of kinds.
    pub kinds: Arc<ArcSwap<Kinds>>,
    /// The store's loops, which go on until everything that writes has stopped.
    store_system: System,
    name: String,
    roles: Vec<&'static str>,
    gateways: Vec<Gateway>,
    state: Option<(Store, Services)>,
    services: Vec<Service>,
    candidates: Vec<Candidate>,
    controllers: Option<Controllers>,
    system_account: Option<async_nats::Client>,
}

/// What is known of how the NATS server writes to its disk.
pub enum Durability {
    /// It is ours: it syncs each write.
    Ours,
    /// It is somebody else's.
    Asked {
        /// A connection of its system account, to ask it.
        system: Option<async_nats::Client>,
        /// Whether one that doesn't sync each write will do.
        allow_unsafe: bool,
    },
}

impl Durability {
    fn known(self) -> (Option<async_nats::Client>, bool) {
        match self {
            Self::Ours => (None, false),
            Self::Asked { system, allow_unsafe } => {
                if system.is_none() && !allow_unsafe {
                    tracing::warn!(
                        "whether the NATS server syncs each write can't be told, and if it doesn't, a power cut loses acknowledged writes: \
                         let it be checked with --nats-sys-creds, or say --allow-unsafe-sync"
                    );
                }
                (system, allow_unsafe)
            }
        }
    }
}

fn unopened(e: StoreError) -> Failure {
    let remedy = match &e {
        StoreError::UnsafeSync => "set `sync_interval: always` in its jetstream block, or accept the loss with --allow-unsafe-sync",
        _ => "",
    };
    Failure::new(e.to_string(), remedy)
}

fn broken(e: impl std::fmt::Display) -> Failure {
    Failure::new(e.to_string(), "")
}

impl Process {
    /// A process on this bus; `name` is what its instances are called.
    pub fn new(bus: Bus, name: &str) -> Self {
        let kinds = Arc::new(ArcSwap::from_pointee(model::kinds::builtin()));
        Self {
            bus,
            system: System::new(),
            store_system: System::new(),
            kinds,
            name: name.to_owned(),
            roles: Vec::new(),
            gateways: Vec::new(),
            state: None,
            services: Vec::new(),
            candidates: Vec::new(),
            controllers: None,
            system_account: None,
        }
    }

    /// The bus, speaking as this role.
    pub fn speak(&mut self, role: Role, name: &str) -> Bus {
        if !self.roles.contains(&role.name()) {
            self.roles.push(role.name());
        }
        self.bus.speaking_as(Caller::new(role, name))
    }

    /// Plays `state`: opens the log and serves the API pipeline. The keys of service account tokens are in `pki`.
    ///
    /// # Errors
    /// When the log can't be opened, with the remedy.
    pub async fn play_state(&mut self, pki: &Pki, durability: Durability, identity: &Identity, pod_security: PodSecurity) -> Result<(), Failure> {
        let bus = self.speak(Role::State, &self.name.clone());
        let jetstream = bus.jetstream().cloned().ok_or_else(|| Failure::new("state needs a NATS connection", "give one with --nats"))?;
        let (system, allow_unsafe_sync) = durability.known();
        self.system_account.clone_from(&system);
        let options = StoreOptions { system, allow_unsafe_sync, ..StoreOptions::new(bus.cluster(), self.kinds.clone()) };
        let store = Store::open(jetstream, options, &self.store_system).await.map_err(unopened)?;
        let token_keys = TokenKeys { private_pem: pki.service_account_key().to_owned(), public_pem: pki.service_account_public().to_owned() };
        let options = PipelineOptions {
            token_keys: Some(token_keys),
            pod_security: Arc::new(pod_security),
            identity: identity.unique.then(|| identity.name.clone()),
            ..PipelineOptions::new(self.kinds.clone())
        };
        let services = state::serve(&bus, store.clone(), options).await.map_err(broken)?;
        self.state = Some((store, services));
        Ok(())
    }

    /// Plays the gateway; where it listens comes back.
    ///
    /// # Errors
    /// When the port can't be had or the keys can't be used, with the remedy.
    pub async fn play_gateway(&mut self, listen: SocketAddr, pki: Pki) -> Result<SocketAddr, Failure> {
        let bus = self.speak(Role::Gateway, &self.name.clone());
        let options = GatewayOptions { listen, pki, token_file: None, follow_definitions: self.state.is_none() };
        let gateway = Gateway::start(bus, self.kinds.clone(), options).await.map_err(broken)?;
        let address = gateway.address();
        self.gateways.push(gateway);
        Ok(address)
    }

    /// Stands for playing a role that one process at a time plays.
    fn stand(&mut self, role: Role, lease: &'static str, identity: &Identity) -> Candidate {
        let bus = self.speak(role, &self.name.clone());
        let candidate = Candidate::new(&bus, lease, identity);
        self.candidates.push(candidate.clone());
        candidate
    }

    /// Plays the scheduler, when it is this process's turn.
    pub fn play_scheduler(&mut self, identity: &Identity) {
        let candidate = self.stand(Role::Scheduler, "kube-scheduler", identity);
        self.system.task("scheduler", move |cancel| {
            let candidate = candidate.clone();
            async move { candidate.lead(cancel, |client, stop| schedule(&candidate, client, stop)).await }
        });
    }

    /// Plays all controllers, when it is this process's turn. `ca_pem` is what pods trust; `eviction` is how quickly silent nodes' pods are given up.
    ///
    /// # Errors
    /// When two controllers own the same output.
    pub fn play_controllers(&mut self, ca_pem: &str, eviction: Rates, identity: &Identity) -> Result<(), Failure> {
        let candidate = self.stand(Role::Controllers, "kube-controller-manager", identity);
        let options = controllers::Options { eviction, ..controllers::Options::new(ca_pem, self.kinds.load_full()) };
        let controllers = Controllers::new(options).map_err(broken)?;
        self.controllers = Some(controllers.clone());
        self.system.task("controllers", move |cancel| {
            let (candidate, controllers) = (candidate.clone(), controllers.clone());
            async move {
                let work = |client, stop| controllers.run(client, candidate.identity(), stop);
                candidate.lead(cancel, work).await
            }
        });
        Ok(())
    }

    /// Answers `whalesong status`.
    ///
    /// # Errors
    /// When NATS refuses the subscription.
    pub async fn answer_status(&mut self) -> Result<(), Failure> {
        let witness = Arc::new(Witness {
            bus: self.bus.clone(),
            systems: [self.system.clone(), self.store_system.clone()],
            roles: self.roles.iter().map(ToString::to_string).collect(),
            candidates: self.candidates.clone(),
            controllers: self.controllers.clone(),
            store: self.state.as_ref().map(|(store, _)| store.clone()),
            system_account: self.system_account.clone(),
        });
        // several processes of a machine may have its name; an agent is heard under its node's only
        let caller = self.bus.caller();
        let instance = if caller.role == Role::Agent { caller.name.clone() } else { format!("{}-{}", caller.name, std::process::id()) };
        let service = self.bus.serve(&instance, 4, move |_: bus::Incoming<StatusRequest>| {
            let witness = witness.clone();
            async move { witness.report().await }
        });
        self.services.push(service.await.map_err(broken)?);
        Ok(())
    }

    /// Runs until a signal asks to stop, then stops in good order.
    ///
    /// # Errors
    /// When a part gave up for good.
    pub async fn run(self) -> Result<(), Failure> {
        let outcome = tokio::select! {
            signal = stop_signal() => signal,
            part = self.system.failed() => Err(gave_up(part)),
            part = self.store_system.failed() => Err(gave_up(part)),
        };
        self.stop().await;
        outcome
    }

    /// Stops everything.
    pub async fn stop(self) {
        for gateway in self.gateways {
            gateway.shutdown(PATIENCE).await;
        }
        if !self.system.shutdown(PATIENCE).await {
            tracing::warn!("some actors did not stop within {PATIENCE:?}");
        }
        drop((self.services, self.state));
        if !self.store_system.shutdown(PATIENCE).await {
            tracing::warn!("the store did not stop within {PATIENCE:?}");
        }
        self.bus.leave();
    }
}

fn gave_up(part: String) -> Failure {
    Failure::new(part, "its log says more: --log info")
}

/// Schedules, and shows that it does.
async fn schedule(candidate: &Candidate, client: Client, stop: CancellationToken) -> Result<(), SchedulerError> {
    tokio::select! {
        ended = scheduler::run(client.clone(), stop) => ended,
        () = candidate.show(client.clone()) => Ok(()),
    }
}

/// Completes on SIGINT or SIGTERM.
async fn stop_signal() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |e: std::io::Error| Failure::new(format!("signals can't be caught ({e})"), "");
    let (mut int, mut term) = (signal(SignalKind::interrupt()).map_err(failed)?, signal(SignalKind::terminate()).map_err(failed)?);
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
    Ok(())
}

/// Opens the API's keys below the data directory; roles that run on the same one share them.
///
/// # Errors
/// When they can't be read or made.
pub fn pki(root: &Path, names: &[String]) -> Result<Pki, Failure> {
    Pki::open(root.join("pki"), names).map_err(broken)
}

/// The listen address that a person gave.
///
/// # Errors
/// When it isn't `ADDRESS:PORT`.
pub fn listen_address(text: Option<&str>) -> Result<SocketAddr, Failure> {
    let text = text.unwrap_or("127.0.0.1:6443");
    text.parse().map_err(|_| Failure::new(format!("{text:?} is no address to listen on"), "write it as ADDRESS:PORT, for example 127.0.0.1:6443"))
}

/// Writes the administrator's kubeconfig.
///
/// # Errors
/// When the file can't be written.
pub fn write_kubeconfig(pki: &Pki, path: &Path, cluster: &str, api: SocketAddr) -> Result<(), Failure> {
    let host = if api.ip().is_unspecified() { SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), api.port()) } else { api };
    pki.write_kubeconfig(path, cluster, &format!("https://{host}")).map_err(broken)
}
