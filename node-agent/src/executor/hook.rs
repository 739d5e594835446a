//! Lifecycle hooks.
use super::base::Executor;
use super::op::OpContext;
use super::{http, probe};
use crate::runtime::{ExecSpec, collect};
use k8s_openapi::api::core::v1::{Container as Spec, LifecycleHandler};
use std::time::Duration;

/// How much of a hook's output an event shows.
const OUTPUT: usize = 1024;
/// What an HTTP hook may take.
const HTTP: Duration = Duration::from_secs(30);

/// Runs a hook to its end.
///
/// # Errors
/// Why it counts as failed.
pub async fn run(executor: &Executor, job: &OpContext, c: &Spec, id: &str, handler: &LifecycleHandler) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        let command = exec.command.clone().unwrap_or_default();
        let spec = ExecSpec { command: command.clone(), stdout: true, stderr: true, ..ExecSpec::default() };
        let session = executor.runtime.exec(id, &spec).await.map_err(|e| e.to_string())?;
        let (code, output) = collect(executor.runtime.as_ref(), session, OUTPUT).await.map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&output);
        return if code == 0 { Ok(()) } else { Err(format!("command '{}' exited with {code}: {said}", command.join(" "))) };
    }
    if let Some(action) = &handler.http_get {
        let target = probe::http_target(executor, job, c, action, "lifecycle")?;
        return http::get(&target, HTTP).await.map(drop);
    }
    if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or_default())).await;
    }
    Ok(())
}
