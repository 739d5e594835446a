//! `whalesong status`: what runs where. Every process answers `process.status` with what its actors say of themselves.
use crate::cli::StatusArgs;
use crate::failure::Failure;
use crate::join;
use crate::render;
use crate::report::{ClusterReport, ProcessReport, StatusRequest};
use bus::{Bus, Call, Role, To};
use state_client::Client;
use std::collections::BTreeMap;
use std::time::Duration;

/// Asks every process of the cluster and renders what they say.
///
/// # Errors
/// When NATS can't be reached, or nobody answers.
pub async fn status(args: StatusArgs) -> Result<String, Failure> {
    let json = match args.output.as_deref() {
        None => args.json,
        Some("json") => true,
        Some(other) => return Err(Failure::new(format!("{other:?} is no output format"), "use json, or leave it away for tables")),
    };
    let bus = join::as_role(&args.role, Role::Admin, "admin").await?;
    let report = ask(&bus).await;
    if report.processes.is_empty() {
        let why = report.silent.first().map(|s| format!(" ({s})")).unwrap_or_default();
        return Err(Failure::new(format!("no process of this cluster answers{why}"), "start one with `whalesong up`"));
    }
    if json {
        return serde_json::to_string_pretty(&report).map(|s| s + "\n").map_err(|e| Failure::new(e.to_string(), ""));
    }
    Ok(render::cluster(&report))
}

async fn ask(bus: &Bus) -> ClusterReport {
    let found = bus.discover(Duration::from_millis(500)).await;
    let asked = found.iter().filter(|s| s.service == StatusRequest::SERVICE);
    let instances: BTreeMap<&str, Role> = asked.map(|s| (s.instance.as_str(), s.caller.role)).collect();
    let ask = |(instance, role): (&str, Role)| {
        let to = To::instance(instance);
        async move {
            let report = bus.call(&to, StatusRequest {}, Duration::from_secs(2)).await.map_err(|e| format!("{to:?}: {e}"))?;
            Ok(if role == Role::Agent { report.of_a_node() } else { report })
        }
    };
    let client = Client::new(bus.clone());
    let answers = futures::future::join_all(instances.into_iter().map(ask));
    let (answers, nodes): (Vec<Result<ProcessReport, String>>, _) =
        tokio::join!(answers, tokio::time::timeout(Duration::from_secs(2), client.list("", "nodes", "")));
    let (mut processes, mut silent) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(report) => processes.push(report),
            Err(why) => silent.push(why),
        }
    }
    let nodes = match nodes {
        Ok(Ok(list)) => list.items,
        Ok(Err(e)) => {
            silent.push(format!("the nodes: {e}"));
            Vec::new()
        }
        Err(_) => {
            silent.push("the nodes: state doesn't answer".to_owned());
            Vec::new()
        }
    };
    ClusterReport { processes, silent, nodes }
}
