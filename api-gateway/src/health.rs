//! `/livez`, `/readyz` and `/healthz`.
use crate::auth;
use crate::respond::{self, Body};
use http::Response;
use state_client::{Client, Request, Verb};
use std::time::Duration;

/// How long `state` may take to show that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether `state` answers at all; what it answers doesn't matter.
async fn state_answers(client: &Client) -> bool {
    let request = Request { user: Some(auth::own()), ..Request::new(Verb::Get, "", "namespaces", "", "default") };
    match tokio::time::timeout(PATIENCE, client.call(request)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => !error.is_transient(),
        Err(_) => false,
    }
}

/// Answers one of the three. The gateway alone lives; it is ready, and healthy, when `state` answers.
pub async fn respond(client: &Client, check: &str, verbose: bool) -> Response<Body> {
    let mut checks = vec![("ping", true)];
    if check != "livez" {
        checks.push(("state", state_answers(client).await));
    }
    let passed = checks.iter().all(|(_, ok)| *ok);
    if passed && !verbose {
        return respond::text(200, "ok");
    }
    respond::text(if passed { 200 } else { 500 }, report(check, &checks))
}

fn report(check: &str, checks: &[(&str, bool)]) -> String {
    let mut text = String::new();
    for (name, ok) in checks {
        let line = if *ok { format!("[+]{name} ok") } else { format!("[-]{name} failed: no answer") };
        text.push_str(&line);
        text.push('\n');
    }
    let outcome = if checks.iter().all(|(_, ok)| *ok) { "passed" } else { "failed" };
    text + &format!("{check} check {outcome}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports() {
        assert_eq!(report("readyz", &[("ping", true), ("state", false)]), "[+]ping ok\n[-]state failed: no answer\nreadyz check failed\n");
    }
}
