//! The `node.stream` service: logs, exec, attach and port-forward, for whoever the gateway lets in.
mod absent;
mod find;
mod follow;
mod logs;
mod session;

use crate::agent::Pods;
use crate::executor::Executor;
use bus::actor::System;
use bus::{Bus, BusError, Duplex, Opening};
use find::{container_name, running};
use k8s_openapi::api::core::v1::Pod;
use model::ApiError;
use state_client::node::{FromNode, NodeAction, NodeRequest, ToNode};
use std::sync::Arc;

/// Serves until the system stops.
///
/// # Errors
/// When the bus refuses the service.
pub async fn serve(bus: &Bus, system: &System, executor: Arc<Executor>, pods: Arc<Pods>) -> Result<(), BusError> {
    let name = executor.node.name.clone();
    let service = bus
        .accept::<NodeRequest, _, _>(&name, move |opening| {
            let (executor, pods) = (executor.clone(), pods.clone());
            async move { open(&executor, &pods, opening).await }
        })
        .await?;
    let stopping = system.stopping();
    tokio::spawn(async move {
        stopping.cancelled().await;
        drop(service);
    });
    Ok(())
}

async fn open(executor: &Arc<Executor>, pods: &Pods, opening: Opening<NodeRequest>) {
    let request = opening.message.clone();
    match prepare(executor, pods, &request).await {
        Err(why) => opening.refuse(why).await,
        Ok(ready) => match opening.accept().await {
            Ok(stream) => drop(tokio::spawn(run(executor.clone(), ready, stream))),
            Err(error) => tracing::debug!(%error, "the opener of a stream went away"),
        },
    }
}

/// What is to be streamed, found.
enum Ready {
    Logs(logs::Source),
    Session(session::SessionRequest),
    Port(session::PortRequest),
}

async fn prepare(executor: &Executor, pods: &Pods, request: &NodeRequest) -> Result<Ready, ApiError> {
    let object = pods.find(&request.namespace, &request.pod, &request.uid).ok_or_else(|| ApiError::not_found("", "pods", &request.pod))?;
    let pod = object.typed::<Pod>()?;
    let uid = object.object().uid().to_owned();
    match &request.action {
        NodeAction::Logs(options) => {
            let name = container_name(&pod, &options.container)?;
            logs::Source::find(executor, &pod, &name, options).await.map(Ready::Logs)
        }
        NodeAction::Exec(options) | NodeAction::Attach(options) => {
            let name = container_name(&pod, &options.container)?;
            let run = running(executor, &uid, &name).await?;
            let attach = matches!(request.action, NodeAction::Attach(_));
            let c = crate::pod::container(&pod, &name);
            // Who attaches gets the terminal that the container has, or none.
            let tty = if attach { c.as_ref().is_some_and(|c| c.tty == Some(true)) } else { options.tty };
            let spec = crate::runtime::ExecSpec {
                command: options.command.clone(),
                stdin: options.stdin,
                stdout: options.stdout,
                stderr: options.stderr && !tty,
                tty,
            };
            let ends_stdin = !attach || c.as_ref().is_some_and(|c| c.stdin_once == Some(true));
            Ok(Ready::Session(session::SessionRequest { container: run.id, spec, attach, ends_stdin }))
        }
        NodeAction::PortForward { port } => Ok(Ready::Port(session::PortRequest { uid, address: None, port: *port, tls: false })),
        NodeAction::Dial { port, tls } => {
            let sandbox = executor.runtime.sandbox(&uid).await.map_err(|e| ApiError::internal(e.to_string()))?;
            // without a network of its own it has the node's addresses
            let address = sandbox.and_then(|s| s.ip).ok_or_else(|| ApiError::bad_request("address not allowed"))?;
            Ok(Ready::Port(session::PortRequest { uid, address: Some(address), port: *port, tls: *tls }))
        }
    }
}

async fn run(executor: Arc<Executor>, ready: Ready, stream: Duplex<FromNode, ToNode>) {
    let ended = match ready {
        Ready::Logs(source) => source.copy(stream).await,
        Ready::Session(asked) => session::run(&executor, &asked, stream).await,
        Ready::Port(asked) => session::forward(&executor, &asked, stream).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a stream was cut");
    }
}
