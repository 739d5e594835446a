//! The command line: part of the contract with users.
use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Args, CommandFactory, Parser, Subcommand};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const AFTER: &str = "Every option can also be given as WHALESONG_<OPTION> in the environment (WHALESONG_DATA, WHALESONG_NODE_NAME, …) \
or as a key of the TOML file that --config names. A flag wins over the environment, the environment over the file.";

/// A Kubernetes-compatible cluster that runs over NATS.
#[derive(Parser, Debug)]
#[command(name = "whalesong", version, about, after_help = AFTER, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much to log to stderr: a level (error, warn, info, debug, trace) or a filter such as `info,scheduler=debug`
    #[arg(long, global = true, env = "WHALESONG_LOG", default_value = "warn", value_name = "FILTER")]
    pub log: String,
    /// TOML file with options (keys as the long flags, with `_` for `-`)
    #[arg(long, global = true, env = "WHALESONG_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The command line with a `WHALESONG_*` variable for each option of each subcommand: its value is read as the flag's would be.
pub fn command() -> clap::Command {
    Cli::command().mut_subcommands(|sub| sub.mut_args(from_environment).mut_subcommands(|sub| sub.mut_args(from_environment)))
}

fn from_environment(arg: Arg) -> Arg {
    let Some(long) = arg.get_long().filter(|_| !arg.is_global_set()) else { return arg };
    let variable = format!("WHALESONG_{}", long.to_uppercase().replace('-', "_"));
    let arg = arg.env(variable).hide_env(true);
    match arg.get_action() {
        ArgAction::SetTrue => arg.value_parser(BoolishValueParser::new()),
        _ => arg,
    }
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a whole cluster in the foreground: NATS, the control plane and a node on this machine
    Up(UpArgs),
    /// Run only the state: the log, its cache and the API pipeline
    State(StateArgs),
    /// Run only the HTTP gateway that kubectl talks to
    Gateway(GatewayArgs),
    /// Run only the scheduler
    Scheduler(RoleArgs),
    /// Run only the controllers
    Controllers(ControllersArgs),
    /// Run only a node: its agent and pods
    Agent(AgentArgs),
    /// Show NATS servers, processes, streams and the lag behind them, actors with restarts and mailboxes, controllers, nodes
    Status(StatusArgs),
    /// Show objects of any kind as a table, for machines without kubectl
    Get(GetArgs),
    /// Make simulated nodes silent, flapping, slow, cut off, or well again; without a mode: show how many are in which
    Hollow(HollowArgs),
    /// Remove the pods and networks that `up` left running, and with --purge all data
    Down(DownArgs),
    /// Make a join token: with it a machine elsewhere becomes a node
    Token(TokenArgs),
    /// Make the key with which a role joins from elsewhere; list keys; revoke one
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Creds(CredsCommand),
    /// Print the version
    Version,
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// Which cluster, and where this machine keeps its part of it.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[command(next_help_heading = "Cluster")]
pub struct HomeArgs {
    /// Where data and keys are kept [default: ~/.whalesong, /var/lib/whalesong for root]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Name of the cluster; several may share one NATS [default: default]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// What is asked of a NATS server that keeps the log.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[command(next_help_heading = "NATS")]
pub struct DurabilityArgs {
    /// File with credentials of the server's system account (nkey, NATS credentials, or user:password): to check that it syncs each write
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_sys_creds: Option<PathBuf>,
    /// Accept a server that acknowledges writes before they are on its disk: a power cut loses some
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub allow_unsafe_sync: bool,
}

/// Where the API is.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[command(next_help_heading = "API")]
pub struct ApiArgs {
    /// Address of the API [default: 127.0.0.1:6443]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Where to write the administrator's kubeconfig [default: <data>/kubeconfig]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
}

/// What this machine is as a node.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[command(next_help_heading = "Node")]
pub struct NodeArgs {
    /// Name of this machine's node [default: the host's name]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Podman's API socket; `auto`: use the running service, or start one [default: auto]
    #[arg(long, value_name = "SOCKET|auto")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub podman: Option<String>,
    /// The pods' address range on this node [default: 10.244.0.0/24]
    #[arg(long, value_name = "CIDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_cidr: Option<String>,
    /// This machine's address for the other nodes and for users [default: that of the way to the outside]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_ip: Option<String>,
    /// The most pods of this node [default: 110]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pods: Option<u32>,
    /// Sysctls that pods may set although they aren't safe, for example kernel.msg*,net.core.somaxconn [default: none]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub allowed_unsafe_sysctls: Vec<String>,
}

/// Options of `up`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct UpArgs {
    /// Which cluster.
    #[command(flatten)]
    #[serde(flatten)]
    pub home: HomeArgs,
    /// `embedded`, or the URL of a NATS server with JetStream [default: embedded]
    #[arg(long, help_heading = "NATS", value_name = "embedded|URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<String>,
    /// Port of the embedded NATS server [default: 4222; 0: any free one]
    #[arg(long, help_heading = "NATS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_port: Option<u16>,
    /// Address that the embedded NATS server listens on; 0.0.0.0 lets nodes elsewhere join, by TLS [default: 127.0.0.1]
    #[arg(long, help_heading = "NATS", value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_listen: Option<String>,
    /// File with the nkey or credentials for --nats URL
    #[arg(long, help_heading = "NATS", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creds: Option<PathBuf>,
    /// File with the CA of the server at --nats URL; it must speak TLS then
    #[arg(long, help_heading = "NATS", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_ca: Option<PathBuf>,
    /// For --nats URL.
    #[command(flatten)]
    #[serde(flatten)]
    pub durability: DurabilityArgs,
    /// Where the API is.
    #[command(flatten)]
    #[serde(flatten)]
    pub api: ApiArgs,
    /// For the state.
    #[command(flatten)]
    #[serde(flatten)]
    pub admission: AdmissionArgs,
    /// For the controllers.
    #[command(flatten)]
    #[serde(flatten)]
    pub controllers: EvictionArgs,
    /// Don't run a node on this machine
    #[arg(long, help_heading = "Node")]
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub no_node: bool,
    /// The node.
    #[command(flatten)]
    #[serde(flatten)]
    pub node: NodeArgs,
    /// Run so many simulated nodes beside it
    #[arg(long, help_heading = "Node", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hollow_nodes: Option<u32>,
    /// Those.
    #[command(flatten)]
    #[serde(flatten)]
    pub hollow: HollowNodeArgs,
}

/// What simulated nodes are like.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[command(next_help_heading = "Node")]
pub struct HollowNodeArgs {
    /// How long a simulated node takes to start a container, for example 100ms [default: 0]
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hollow_start_delay: Option<String>,
    /// What the simulated nodes' names begin with, before a number; differs for each process that has some [default: hollow-]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hollow_prefix: Option<String>,
}

/// Options of `hollow`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct HollowArgs {
    /// Where and as whom.
    #[command(flatten)]
    #[serde(flatten)]
    pub role: RoleArgs,
    /// What is to be the matter with them: `silent` hangs, `flapping` is silent every other time, `slow` does everything later, `cut` has lost its
    /// connection and keeps its pods, `well`
    #[arg(value_parser = ["well", "silent", "flapping", "slow", "cut"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// With so many nodes [default: all]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// With these nodes
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub nodes: Vec<String>,
    /// For how long, for example 30s; they are well afterwards [default: until told otherwise]
    #[arg(long = "for", value_name = "TIME")]
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<String>,
    /// How much later a slow node does everything [default: 2s]
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// How long a flapping node is silent, and then well [default: 50s]
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// The process with nodes of this --hollow-prefix [default: any]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// Where and as whom a role or a command joins.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct RoleArgs {
    /// Which cluster.
    #[command(flatten)]
    #[serde(flatten)]
    pub home: HomeArgs,
    /// URL of the NATS server [default: that of an `up` on the same data, or nats://127.0.0.1:4222]
    #[arg(long, help_heading = "NATS", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<String>,
    /// File with this role's nkey, made by `whalesong creds` [default: the one below the data directory, if there is one]
    #[arg(long, help_heading = "NATS", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creds: Option<PathBuf>,
    /// File with the CA of the NATS server; it must speak TLS then [default: that of the cluster, where it is known to do]
    #[arg(long, help_heading = "NATS", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_ca: Option<PathBuf>,
}

/// Options of `state`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct StateArgs {
    /// Where and as whom.
    #[command(flatten)]
    #[serde(flatten)]
    pub role: RoleArgs,
    /// What is asked of the server.
    #[command(flatten)]
    #[serde(flatten)]
    pub durability: DurabilityArgs,
    /// What writes must pass.
    #[command(flatten)]
    #[serde(flatten)]
    pub admission: AdmissionArgs,
}

/// Options of `gateway`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct GatewayArgs {
    /// Where and as whom.
    #[command(flatten)]
    #[serde(flatten)]
    pub role: RoleArgs,
    /// Where the API is.
    #[command(flatten)]
    #[serde(flatten)]
    pub api: ApiArgs,
}

/// What writes must pass beside what always holds.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[command(next_help_heading = "API")]
pub struct AdmissionArgs {
    /// File with an AdmissionConfiguration (YAML or JSON) for the plug-in PodSecurity: defaults and exemptions of pod security
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admission_control_config_file: Option<PathBuf>,
}

/// How quickly the pods of nodes that are lost are given up.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[command(next_help_heading = "Controllers")]
pub struct EvictionArgs {
    /// How many nodes of a zone a second are given up when they have fallen silent [default: 0.1]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_eviction_rate: Option<f64>,
    /// The same while most of a zone of more than 50 nodes is silent [default: 0.01]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary_node_eviction_rate: Option<f64>,
}

impl EvictionArgs {
    /// The rates that are meant.
    pub fn eviction(&self) -> controllers::node::Rates {
        let default = controllers::node::Rates::default();
        controllers::node::Rates {
            normal: self.node_eviction_rate.unwrap_or(default.normal),
            disrupted: self.secondary_node_eviction_rate.unwrap_or(default.disrupted),
        }
    }
}

/// Options of `controllers`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct ControllersArgs {
    /// Where and as whom.
    #[command(flatten)]
    #[serde(flatten)]
    pub role: RoleArgs,
    /// What they do.
    #[command(flatten)]
    #[serde(flatten)]
    pub own: EvictionArgs,
}

/// Options of `agent`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct AgentArgs {
    /// Where and as whom.
    #[command(flatten)]
    #[serde(flatten)]
    pub role: RoleArgs,
    /// The node.
    #[command(flatten)]
    #[serde(flatten)]
    pub node: NodeArgs,
    /// Join token, made by `whalesong token`; needed the first time only
    #[arg(long, help_heading = "NATS", value_name = "TOKEN", conflicts_with = "creds")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Be so many simulated nodes instead of a real one; speaks for all of them, so --creds must be those of `state`
    #[arg(long, help_heading = "Node", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hollow: Option<u32>,
    /// Those.
    #[command(flatten)]
    #[serde(flatten)]
    pub hollow_nodes: HollowNodeArgs,
}

/// Options of `status`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct StatusArgs {
    /// Where and as whom.
    #[command(flatten)]
    #[serde(flatten)]
    pub role: RoleArgs,
    /// Print JSON instead of tables
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub json: bool,
    /// `json` instead of tables
    #[arg(long, short, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// Options of `get`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct GetArgs {
    /// Where and as whom.
    #[command(flatten)]
    #[serde(flatten)]
    pub role: RoleArgs,
    /// Kind, plural, singular or short name: pods, deploy, svc, …
    pub resource: String,
    /// Only the object of this name
    pub name: Option<String>,
    /// Namespace [default: default]
    #[arg(long, short, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// All namespaces
    #[arg(long, short = 'A')]
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub all_namespaces: bool,
    /// Only what these labels select
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// `wide`, `json`, `name`
    #[arg(long, short, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// Options of `down`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct DownArgs {
    /// The data of the cluster to take down [default: as for `up`]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Podman's API socket [default: auto]
    #[arg(long, value_name = "SOCKET|auto")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub podman: Option<String>,
    /// Remove the data directory too: all objects, keys and certificates
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub purge: bool,
}

/// Options of `token`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct TokenArgs {
    /// Which cluster.
    #[command(flatten)]
    #[serde(flatten)]
    pub home: HomeArgs,
    /// Let it be used for the node of this name only [default: any new one]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// For how long it may be used, for example 30m or 48h [default: 24h]
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// `creds` with what it does.
#[derive(Args, Debug, Clone)]
pub struct CredsCommand {
    /// Something else than to make a key.
    #[command(subcommand)]
    pub command: Option<CredsAction>,
    /// To make one.
    #[command(flatten)]
    pub make: CredsArgs,
}

/// What `creds` does beside making keys.
#[derive(Subcommand, Debug, Clone)]
pub enum CredsAction {
    /// Revoke a key: whoever has it is cut off at once and doesn't come in again
    Revoke(RevokeArgs),
    /// Show the keys that are registered: nodes, roles of other machines, join tokens
    List(HomeArgs),
}

/// Options of `creds revoke`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct RevokeArgs {
    /// Which cluster.
    #[command(flatten)]
    #[serde(flatten)]
    pub home: HomeArgs,
    /// state, gateway, scheduler, controllers, agent, admin, client, or join for a join token
    pub role: String,
    /// The instance: a node's name for an agent, a token's public key (see `creds list`)
    pub name: String,
}

/// Options of `creds`.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct CredsArgs {
    /// Which cluster.
    #[command(flatten)]
    #[serde(flatten)]
    pub home: HomeArgs,
    /// state, gateway, scheduler, controllers, agent, admin, or client for a program of a user
    #[arg(required = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The instance: a node's name for an agent, the user's for a client
    #[arg(required = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What a client's key may ask for at most, VERB:GROUP/RESOURCE[/SUBRESOURCE][:NAMESPACE[/NAME]] with * for anything in a place, such as
    /// get:core/pods:web; may be repeated. Roles and bindings count as well [default: anything]
    #[arg(long, value_name = "RULE")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Where to write the key, which is nowhere else [default: ROLE@NAME.nk, in this directory]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
}
