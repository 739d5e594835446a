//! The messages between a gateway and a node's agent: what `kubectl logs`, `exec`, `attach` and `port-forward` become.
use bus::Open;
use bytes::Bytes;
use model::ApiError;
use serde::{Deserialize, Serialize};

/// `PodLogOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogOptions {
    /// Which container.
    pub container: String,
    /// Go on as new lines come.
    pub follow: bool,
    /// The container's previous run.
    pub previous: bool,
    /// Only younger than this.
    pub since_seconds: Option<i64>,
    /// Only since then, RFC 3339.
    pub since_time: Option<String>,
    /// Put an RFC 3339 timestamp before each line.
    pub timestamps: bool,
    /// Only the last lines.
    pub tail_lines: Option<i64>,
    /// At most so many bytes.
    pub limit_bytes: Option<i64>,
}

/// `PodExecOptions`, and `PodAttachOptions` when there is no command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecOptions {
    /// Which container.
    pub container: String,
    /// What to run; empty for attach.
    pub command: Vec<String>,
    /// Whether stdin is passed.
    pub stdin: bool,
    /// Whether stdout is wanted.
    pub stdout: bool,
    /// Whether stderr is wanted.
    pub stderr: bool,
    /// Whether there is a terminal; then stderr comes on stdout.
    pub tty: bool,
}

/// What to stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeAction {
    /// A container's log.
    Logs(LogOptions),
    /// A command in a container.
    Exec(ExecOptions),
    /// The container's own process.
    Attach(ExecOptions),
    /// One TCP connection to a port in the pod.
    PortForward {
        /// The port.
        port: u16,
    },
    /// One TCP connection to a port of the pod's own address, for a pod that has a network of its own.
    Dial {
        /// The port.
        port: u16,
        /// Whether it speaks TLS, which then ends at the node.
        tls: bool,
    },
}

/// Asks a node for a stream. Sent to the instance that is named as the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRequest {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID, so that a replaced pod of the same name isn't meant.
    pub uid: String,
    /// What to stream.
    pub action: NodeAction,
}

/// Frames to the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToNode {
    /// Bytes for stdin or the port.
    Data(Bytes),
    /// The end of stdin, or of this direction of the connection.
    Eof,
    /// The terminal's size.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
}

/// Frames from the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromNode {
    /// Bytes from stdout, the log or the port.
    Data(Bytes),
    /// Bytes from stderr.
    Stderr(Bytes),
    /// The command ended with this exit code.
    Exit(i32),
    /// It could not be done, or not to the end.
    Failed(ApiError),
}

impl Open for NodeRequest {
    type Up = ToNode;
    type Down = FromNode;
    type Refusal = ApiError;
    const SERVICE: &'static str = "node.stream";
}
