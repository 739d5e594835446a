//! Exec and attach: a session of named channels between a client and a process, whatever the client's transport.
use super::command::{FromClient, Inputs, Step};
use super::node::{NodeDialer, NodeStream};
use super::outputs::{Channel, Outputs};
use super::protocols::REMOTE_COMMAND;
use super::transport::{self, Outgoing, QUEUE, Source};
use super::upgrade::{Pending, Upgrade};
use crate::metrics::Open;
use crate::request::{ApiRequest, Context};
use crate::respond::Body;
use bus::stream::{Receiver, Sender};
use bytes::Bytes;
use http::Response;
use model::{ApiError, Stored};
use serde_json::{Value, json};
use state_client::node::{ExecOptions, FromNode, NodeAction, ToNode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long a client may take to leave after the end.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long a client may take to open the streams that it asked for.
const STREAMS: Duration = Duration::from_secs(30);

fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// Runs a command in a container.
///
/// # Errors
/// 400 without a command or an upgrade; what the node refuses it with.
pub(crate) async fn exec(context: &Context, asked: ApiRequest, pod: &Arc<Stored>, container: String, counted: Open) -> Result<Response<Body>, ApiError> {
    if asked.query.all("command").next().is_none() {
        return Err(ApiError::bad_request("you must specify at least one command for the container"));
    }
    start(context, asked, pod, container, counted, NodeAction::Exec).await
}

/// Joins a container's own process.
///
/// # Errors
/// 400 without an upgrade; what the node refuses it with.
pub(crate) async fn attach(context: &Context, asked: ApiRequest, pod: &Arc<Stored>, container: String, counted: Open) -> Result<Response<Body>, ApiError> {
    start(context, asked, pod, container, counted, NodeAction::Attach).await
}

/// The options as they are carried out: a terminal has one output, so that its stderr can't be asked for.
fn carried_out(mut options: ExecOptions, container: String) -> Result<ExecOptions, ApiError> {
    options.stderr &= !options.tty;
    if !(options.stdin || options.stdout || options.stderr) {
        return Err(ApiError::bad_request("you must specify at least one of stdin, stdout, stderr"));
    }
    options.container = container;
    Ok(options)
}

async fn start(
    context: &Context,
    mut asked: ApiRequest,
    pod: &Arc<Stored>,
    container: String,
    counted: Open,
    action: fn(ExecOptions) -> NodeAction,
) -> Result<Response<Body>, ApiError> {
    let options = carried_out(asked.query.exec_options(), container)?;
    let upgrade = match Upgrade::read(&mut asked.request, &REMOTE_COMMAND) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return Ok(*refusal),
    };
    let inputs = Inputs::new(upgrade.to(), upgrade.protocol(), &options).map_err(|e| ApiError::internal(e.to_string()))?;
    let node = NodeDialer::new(context, pod)?.open(action(options)).await?;
    let (response, pending) = upgrade.accept();
    let stop = context.stop.clone();
    context.tasks.spawn(async move {
        run(pending, node, inputs, stop).await;
        drop(counted);
    });
    Ok(response)
}

async fn run(pending: Pending, node: NodeStream, inputs: Inputs, stop: CancellationToken) {
    let Some((mut source, mut sink)) = pending.open().await else { return };
    let heard = transport::greet(&mut source, &mut sink).await;
    let (up, down) = node.split();
    let (out, queue) = mpsc::channel(QUEUE);
    let (ready, outputs) = oneshot::channel();
    let mut reading = std::pin::pin!(to_node((heard, source), inputs, up, ready, out.clone()));
    let answering = async {
        to_client(down, outputs, &out, stop).await;
        // What is still queued goes out first, and then the writing ends.
        if out.send(Outgoing::Close).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = &mut reading => return,
        () = answering => {}
        () = transport::write(sink, queue) => {}
    }
    // Closing the connection with the client's last words unread would take back what it hasn't read yet.
    if tokio::time::timeout(GOODBYE, reading).await.is_err() {
        tracing::debug!("a client did not say goodbye");
    }
}

/// Passes the node's frames on once the client's channels are there, and then the end.
async fn to_client(mut node: Receiver<FromNode>, outputs: oneshot::Receiver<Outputs>, out: &mpsc::Sender<Outgoing>, stop: CancellationToken) {
    let outputs = tokio::select! {
        outputs = tokio::time::timeout(STREAMS, outputs) => outputs,
        () = stop.cancelled() => return,
    };
    let Ok(Ok(outputs)) = outputs else { return tracing::debug!("a client did not open its streams in time") };
    let status = tokio::select! {
        status = outputs_of(&mut node, &outputs, out) => status,
        () = stop.cancelled() => Some(ApiError::unavailable("the gateway is stopping").to_status()),
    };
    for bytes in status.iter().flat_map(|status| outputs.end(status)) {
        if out.send(Outgoing::Bytes(bytes)).await.is_err() {
            return;
        }
    }
}

/// Passes outputs on; the status at the end, `None` when the client is gone.
async fn outputs_of(node: &mut Receiver<FromNode>, outputs: &Outputs, out: &mpsc::Sender<Outgoing>) -> Option<Value> {
    if let Some(first) = outputs.first() {
        out.send(Outgoing::Bytes(first)).await.ok()?;
    }
    loop {
        let bytes = match node.recv().await {
            Ok(Some(FromNode::Data(data))) => outputs.data(Channel::Stdout, &data),
            Ok(Some(FromNode::Stderr(data))) => outputs.data(Channel::Stderr, &data),
            Ok(Some(FromNode::Exit(code))) => return Some(exit_status(code)),
            Ok(Some(FromNode::Failed(error))) => return Some(error.to_status()),
            Ok(None) => return Some(exit_status(0)),
            Err(error) => return Some(ApiError::internal(error.to_string()).to_status()),
        };
        if let Some(bytes) = bytes {
            out.send(Outgoing::Bytes(bytes)).await.ok()?;
        }
    }
}

/// Acts on what the client sends, what was heard of it already first, until it is gone. When the node takes no more, its bytes are dropped: the end comes on the other way.
async fn to_node(
    (mut heard, mut source): (Option<Bytes>, Source),
    mut inputs: Inputs,
    mut node: Sender<ToNode>,
    ready: oneshot::Sender<Outputs>,
    out: mpsc::Sender<Outgoing>,
) {
    let (mut ready, mut taken) = (Some(ready), true);
    let mut steps = inputs.begin();
    loop {
        for step in steps {
            match step {
                Step::Input(input) => taken = taken && pass(&mut node, input).await,
                Step::Reply(bytes) => reply(&out, Outgoing::Bytes(bytes)).await,
                Step::Ready(outputs) => taken = ready.take().is_none_or(|ready| ready.send(outputs).is_ok()) && taken,
                Step::Over => {
                    reply(&out, Outgoing::Close).await;
                    while source.next().await.is_some() {}
                    return;
                }
            }
        }
        let bytes = match heard.take() {
            Some(bytes) => Some(bytes),
            None => source.next().await,
        };
        let Some(bytes) = bytes else { return };
        steps = inputs.take(bytes);
    }
}

/// Sends to the client what isn't an output. After the end nothing is written any more, and an answer to its last words isn't missed.
async fn reply(out: &mpsc::Sender<Outgoing>, outgoing: Outgoing) {
    if out.send(outgoing).await.is_err() {
        tracing::trace!("an answer came after the end");
    }
}

/// Passes an input to the node; whether it takes more.
async fn pass(node: &mut Sender<ToNode>, input: FromClient) -> bool {
    let frame = match input {
        FromClient::Stdin(data) if data.is_empty() => return true,
        FromClient::Stdin(data) => ToNode::Data(data),
        FromClient::StdinEnd => ToNode::Eof,
        FromClient::Resize(width, height) => ToNode::Resize { width, height },
        FromClient::Nothing => return true,
    };
    node.send(frame).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        assert_eq!(exit_status(0)["status"], "Success");
        assert_eq!(exit_status(7)["details"]["causes"][0], json!({"reason": "ExitCode", "message": "7"}));
    }

    #[test]
    fn a_terminal_has_no_stderr() {
        let of = |stdin, stdout, stderr, tty| {
            let options = ExecOptions { stdin, stdout, stderr, tty, ..ExecOptions::default() };
            carried_out(options, "c".into()).map(|o| (o.stdout, o.stderr)).map_err(|e| e.code())
        };
        assert_eq!(of(true, true, true, true), Ok((true, false)));
        assert_eq!(of(false, true, true, false), Ok((true, true)));
        assert_eq!(of(false, false, true, true), Err(400));
        assert_eq!(of(false, false, false, false), Err(400));
    }
}
