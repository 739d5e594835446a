//! `projected`: several sources in one directory, service account tokens among them.
use super::content::{Content, MODE, is_inside};
use super::setup::{Setup, VolumeError};
use super::{downward_api, owner};
use crate::beneath::{self, Dir};
use crate::objects::RefKey;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ProjectedVolumeSource, ServiceAccountTokenProjection, VolumeProjection};
use serde_json::{Value, json};
use state_client::{Body, Reply, Request, Verb};
use std::path::Path;

/// The longest token that is believed.
const TOKEN_MAX: u64 = 1 << 20;

/// Its files; `path` is where the last ones are.
pub async fn content(setup: &Setup<'_>, source: &ProjectedVolumeSource, path: &Path) -> Result<Content, VolumeError> {
    let mut content = Content::default();
    let mode = source.default_mode.unwrap_or(MODE);
    for projection in source.sources.iter().flatten() {
        plain(setup, &mut content, projection, mode)?;
        if let Some(token) = &projection.service_account_token {
            add_token(setup, &mut content, token, mode, path).await?;
        }
    }
    Ok(content)
}

fn plain(setup: &Setup<'_>, content: &mut Content, p: &VolumeProjection, mode: i32) -> Result<(), VolumeError> {
    let namespace = setup.namespace();
    if let Some(s) = &p.config_map {
        let data = setup.objects.data(&RefKey::config_map(namespace, &s.name));
        content.add_data(("configmap", namespace, &s.name), data, s.items.as_deref(), s.optional == Some(true), mode)?;
    }
    if let Some(s) = &p.secret {
        let data = setup.objects.data(&RefKey::secret(namespace, &s.name));
        content.add_data(("secret", namespace, &s.name), data, s.items.as_deref(), s.optional == Some(true), mode)?;
    }
    if let Some(s) = &p.downward_api {
        downward_api::add(setup, content, s.items.as_deref(), mode)?;
    }
    Ok(())
}

/// What a token is asked for.
fn token_request(setup: &Setup<'_>, token: &ServiceAccountTokenProjection) -> Value {
    let meta = &setup.view.pod.metadata;
    let audiences: Vec<&str> = token.audience.as_deref().filter(|a| !a.is_empty()).into_iter().collect();
    json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {
            "audiences": audiences,
            "expirationSeconds": token.expiration_seconds.unwrap_or(3600),
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta.name, "uid": meta.uid},
        },
    })
}

async fn add_token(setup: &Setup<'_>, content: &mut Content, token: &ServiceAccountTokenProjection, mode: i32, dir: &Path) -> Result<(), VolumeError> {
    let account = crate::pod::spec(setup.view.pod).service_account_name.as_deref().filter(|n| !n.is_empty()).unwrap_or("default");
    let body = Body::Json(token_request(setup, token).to_string().into());
    let request = Request::new(Verb::Create, "", "serviceaccounts", setup.namespace(), account).subresource("token").body(body);
    let (text, refresh) = match setup.client.call(request).await {
        Ok(reply) => read_token(reply, setup.now)?,
        // Without the cluster the token that is there serves on, until it can be asked again.
        Err(e) if e.is_transient() => match last_token(dir, &token.path) {
            Some(text) => (text, setup.now.saturating_add(SignedDuration::from_secs(30)).unwrap_or(setup.now)),
            None => return Err(VolumeError(format!("failed to fetch token: {e}"))),
        },
        Err(e) => return Err(VolumeError(format!("failed to fetch token: {e}"))),
    };
    content.refresh = Some(content.refresh.map_or(refresh, |r| r.min(refresh)));
    content.add_for(&token.path, text.into_bytes(), owner::of_token(setup.view.pod, mode))
}

/// The token that the volume has.
fn last_token(dir: &Path, path: &str) -> Option<String> {
    let place = Dir::open(dir).ok()?.resolve(Path::new(path)).ok().filter(|_| is_inside(path))?;
    let bytes = beneath::read_place(&place, TOKEN_MAX).ok()?;
    String::from_utf8(bytes).ok()
}

fn read_token(reply: Reply, now: Timestamp) -> Result<(String, Timestamp), VolumeError> {
    let value: Value = match reply {
        Reply::Json { json, .. } => serde_json::from_slice(&json).map_err(|e| VolumeError(e.to_string()))?,
        Reply::Object { object, .. } => Value::Object(object.object().0.clone()),
        Reply::List(_) => Value::Null,
    };
    let status = value.get("status");
    let text = |field: &str| status.and_then(|s| s.get(field)).and_then(Value::as_str);
    let token = text("token").ok_or_else(|| VolumeError("failed to fetch token: the answer has none".into()))?;
    let expires = text("expirationTimestamp").and_then(|t| t.parse().ok()).unwrap_or(now);
    Ok((token.to_owned(), refresh_at(now, expires)))
}

/// At 80% of its life, and after 24 hours at the latest.
fn refresh_at(now: Timestamp, expires: Timestamp) -> Timestamp {
    let life = expires.duration_since(now).as_secs().max(0);
    let after = SignedDuration::from_secs((life / 5 * 4).clamp(10, 24 * 3600));
    now.saturating_add(after).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_in_time() {
        let now = Timestamp::UNIX_EPOCH;
        for (life, want) in [(3600, 2880), (600, 480), (365 * 86400, 86400), (-5, 10)] {
            let expires = now.saturating_add(SignedDuration::from_secs(life)).unwrap();
            assert_eq!(refresh_at(now, expires).as_second(), want);
        }
    }
}
