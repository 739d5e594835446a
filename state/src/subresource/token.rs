//! `serviceaccounts/token`: a signed token, bound to its account and, where asked, to a pod or a Secret; and the review of such tokens.
use crate::authz::references::has_token_for;
use crate::authz::review::user_info;
use crate::identity;
use crate::lookup::ObjectLookup;
use crate::node_name::bound_to;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use model::{ApiError, Cause, Key, Object, Stored, time};
use serde::Deserialize;
use serde_json::{Value, json};
use state_client::User;
use state_client::token::{Bound, Claims, ISSUER, Ref, TokenError, USER_PREFIX, Verifier};
use std::sync::Arc;

const GROUP: &str = "authentication.k8s.io";
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;
const DEFAULT: i64 = 3_600;
/// A pod's tokens outlive the end of its grace by this, as in Kubernetes.
const AFTER_DEATH: i64 = 60;

/// The key pair that tokens are signed and verified with, as PEM.
#[derive(Clone)]
pub struct TokenKeys {
    /// PKCS #8, ES256.
    pub private_pem: String,
    /// Its public half.
    pub public_pem: String,
}

/// Signs and verifies tokens.
#[derive(Clone)]
pub struct Tokens {
    key: Arc<EncodingKey>,
    verifier: Verifier,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BoundObject {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    audiences: Vec<String>,
    expiration_seconds: Option<i64>,
    bound_object_ref: Option<BoundObject>,
}

/// What a TokenRequest is decided from.
pub struct TokenQuestion<'a> {
    /// Who asks.
    pub user: &'a User,
    /// The TokenRequest.
    pub request: &'a Object,
    /// The account.
    pub account: &'a Object,
    /// Whether the user was given the right to tokens for an audience, whatever the pod has.
    pub granted: &'a dyn Fn(&str) -> bool,
    /// The cluster.
    pub view: &'a dyn ObjectLookup,
    /// Now.
    pub now: jiff::Timestamp,
    /// The new token's own identity.
    pub id: String,
}

/// What the token for `asked` shall say.
///
/// # Errors
/// 422 for a bad time or reference, 404 and 409 for a pod that doesn't exist or is another one, 403 for a node that asks for another node's pod.
pub fn claims(asked: &TokenQuestion<'_>) -> Result<Claims, ApiError> {
    let spec = asked.request.at(&["spec"]).cloned().unwrap_or_else(|| json!({}));
    let spec =
        Spec::deserialize(spec).map_err(|e| ApiError::bad_request(format!("TokenRequest in version \"v1\" cannot be handled as a TokenRequest: {e}")))?;
    check_node(asked, &spec)?;
    let seconds = spec.expiration_seconds.unwrap_or(DEFAULT);
    let name = asked.account.name();
    let too = |detail: &str| Err(ApiError::invalid(GROUP, "TokenRequest", name, vec![Cause::invalid("spec.expirationSeconds", &json!(seconds), detail)]));
    if seconds < SHORTEST {
        return too("may not specify a duration less than 10 minutes");
    }
    if seconds > LONGEST {
        return too("may not specify a duration larger than 2^32 seconds");
    }
    let (pod, secret) = match &spec.bound_object_ref {
        Some(wanted) if wanted.kind == "Secret" => (None, Some(find(asked, "secrets", wanted)?)),
        Some(wanted) => (Some(bound_pod(asked, wanted)?), None),
        None => (None, None),
    };
    let namespace = asked.account.namespace();
    let now = asked.now.as_second();
    let reference = |o: &Object| Ref { name: o.name().to_owned(), uid: o.uid().to_owned() };
    let node = pod.as_ref().and_then(|p| asked.view.get(&Key::new("", "nodes", "", p.object().str_at(&["spec", "nodeName"]))));
    Ok(Claims {
        iss: ISSUER.to_owned(),
        sub: format!("{USER_PREFIX}{namespace}:{name}"),
        aud: if spec.audiences.is_empty() { vec![ISSUER.to_owned()] } else { spec.audiences },
        exp: now.saturating_add(seconds),
        nbf: now,
        iat: now,
        jti: asked.id.clone(),
        bound: Bound {
            namespace: namespace.to_owned(),
            serviceaccount: reference(asked.account),
            pod: pod.as_ref().map(|pod| reference(pod.object())),
            node: node.map(|n| reference(n.object())),
            secret: secret.as_ref().map(|secret| reference(secret.object())),
        },
    })
}

fn bound_pod(asked: &TokenQuestion<'_>, wanted: &BoundObject) -> Result<Arc<Stored>, ApiError> {
    if wanted.kind != "Pod" {
        return Err(ApiError::bad_request(format!("cannot bind token for serviceaccount \"{}\" to an object of kind {:?}", asked.account.name(), wanted.kind)));
    }
    let pod = find(asked, "pods", wanted)?;
    let account = asked.account.name();
    if pod.object().str_at(&["spec", "serviceAccountName"]) != account {
        let why = format!("cannot bind token for serviceaccount \"{account}\" to pod running with different serviceaccount name.");
        return Err(ApiError::bad_request(why));
    }
    Ok(pod)
}

/// A node is given tokens of its own pods, for those for whom the pod's volumes have one.
fn check_node(asked: &TokenQuestion<'_>, spec: &Spec) -> Result<(), ApiError> {
    let Some(node) = identity::node(asked.user) else { return Ok(()) };
    let refuse = |why: String| Err(ApiError::forbidden("", "serviceaccounts", asked.account.name(), why));
    if node.is_empty() {
        return refuse(format!("could not determine node from user {:?}", asked.user.name));
    }
    let Some(wanted) = spec.bound_object_ref.as_ref().filter(|r| r.api_version == "v1" && r.kind == "Pod" && !r.name.is_empty()) else {
        return refuse("node requested token not bound to a pod".to_owned());
    };
    if wanted.uid.is_empty() {
        return refuse("node requested token with a pod binding without a uid".to_owned());
    }
    let pod = asked.view.get(&Key::new("", "pods", asked.account.namespace(), wanted.name.as_str()));
    let pod = pod.map(|pod| pod.own()).ok_or_else(|| ApiError::not_found("", "pods", &wanted.name))?;
    let pod = pod.object();
    if wanted.uid != pod.uid() {
        return refuse(replaced(wanted));
    }
    if !bound_to(pod, node) {
        return refuse("node requested token bound to a pod scheduled on a different node".to_owned());
    }
    let audience = match spec.audiences.as_slice() {
        [] => "",
        [one] => one,
        _ => return refuse("node may only request 0 or 1 audiences".to_owned()),
    };
    if has_token_for(pod, audience) || (asked.granted)(audience) {
        return Ok(());
    }
    refuse(format!("{} is not authorized to request tokens for audience {audience:?}", asked.user.name))
}

/// The object that a token is to be bound to, in the account's namespace.
fn find(asked: &TokenQuestion<'_>, resource: &str, wanted: &BoundObject) -> Result<Arc<Stored>, ApiError> {
    let key = Key::new("", resource, asked.account.namespace(), wanted.name.as_str());
    let found = asked.view.get(&key).map(|object| object.own()).ok_or_else(|| ApiError::not_found("", resource, &wanted.name))?;
    if wanted.uid.is_empty() || wanted.uid == found.object().uid() { Ok(found) } else { Err(ApiError::conflict("", resource, &wanted.name, replaced(wanted))) }
}

fn replaced(wanted: &BoundObject) -> String {
    format!("the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated", wanted.uid)
}

impl Tokens {
    /// With this key pair.
    ///
    /// # Errors
    /// [`TokenError::Key`].
    pub fn new(keys: &TokenKeys) -> Result<Self, TokenError> {
        let key = EncodingKey::from_ec_pem(keys.private_pem.as_bytes()).map_err(|e| TokenError::Key(e.to_string()))?;
        Ok(Self { key: Arc::new(key), verifier: Verifier::new(&keys.public_pem)? })
    }

    /// A token that says this.
    ///
    /// # Errors
    /// 500 when signing fails.
    pub fn sign(&self, claims: &Claims) -> Result<String, ApiError> {
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &self.key).map_err(|e| ApiError::internal(e.to_string()))
    }

    /// The TokenRequest with its token.
    ///
    /// # Errors
    /// 500 when signing fails.
    pub fn issue(&self, request: &Object, claims: &Claims) -> Result<Value, ApiError> {
        let token = self.sign(claims)?;
        let until = jiff::Timestamp::from_second(claims.exp).map(time::format).unwrap_or_default();
        let mut answer = request.clone();
        answer.set(&["apiVersion"], format!("{GROUP}/v1"));
        answer.set(&["kind"], "TokenRequest");
        answer.set(&["metadata", "name"], claims.bound.serviceaccount.name.as_str());
        answer.set(&["metadata", "namespace"], claims.bound.namespace.as_str());
        answer.set(&["spec", "audiences"], claims.aud.clone());
        answer.set(&["spec", "expirationSeconds"], claims.exp - claims.iat);
        answer.set(&["status"], json!({"token": token, "expirationTimestamp": until}));
        Ok(Value::Object(answer.0))
    }

    /// Answers a TokenReview: whose token it is, if it is valid and what it is bound to still exists.
    pub fn review(&self, view: &dyn ObjectLookup, review: &Object, now: jiff::Timestamp) -> Value {
        let audiences: Vec<String> = review.list_at(&["spec", "audiences"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let verified = self.verifier.verify(review.str_at(&["spec", "token"]), &audiences, now).map_err(|e| e.to_string());
        let status = match verified.and_then(|claims| alive(view, &claims, now).map(|()| claims)) {
            Ok(claims) => json!({"authenticated": true, "user": user_info(&claims.user()), "audiences": shared(&audiences, &claims.aud)}),
            Err(why) => json!({"authenticated": false, "error": why, "user": {}}),
        };
        let mut answer = review.clone();
        answer.set(&["apiVersion"], format!("{GROUP}/v1"));
        answer.set(&["kind"], "TokenReview");
        answer.set(&["status"], status);
        Value::Object(answer.0)
    }
}

/// The audiences that were asked about and that the token is for, in the order of the question. Asked about none, it is the API's.
fn shared(asked: &[String], of_token: &[String]) -> Vec<String> {
    let api = [ISSUER.to_owned()];
    let asked = if asked.is_empty() { &api } else { asked };
    asked.iter().filter(|audience| of_token.contains(audience)).cloned().collect()
}

fn alive(view: &dyn ObjectLookup, claims: &Claims, now: jiff::Timestamp) -> Result<(), String> {
    let bound = &claims.bound;
    let check = |resource: &str, wanted: &Ref| {
        let found = view.get(&Key::new("", resource, bound.namespace.as_str(), wanted.name.as_str()));
        match found {
            None => Err("service account token has been invalidated".to_owned()),
            Some(o) if o.object().uid() != wanted.uid => {
                Err(format!("the UID of {} {} is another than the token's", resource.trim_end_matches('s'), wanted.name))
            }
            Some(o) if dead(o.object(), now) => Err("service account token has been invalidated".to_owned()),
            Some(_) => Ok(()),
        }
    };
    check("serviceaccounts", &bound.serviceaccount)?;
    bound.secret.as_ref().map_or(Ok(()), |secret| check("secrets", secret))?;
    bound.pod.as_ref().map_or(Ok(()), |pod| check("pods", pod))
}

fn dead(object: &Object, now: jiff::Timestamp) -> bool {
    let end = object.deletion_timestamp().and_then(time::parse);
    end.is_some_and(|end| time::seconds_between(end, now) > AFTER_DEATH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::fixture::MapLookup;

    fn cluster(pod_uid: &str) -> MapLookup {
        MapLookup::default()
            .with("", "serviceaccounts", json!({"metadata": {"namespace": "default", "name": "app", "uid": "sa-1"}}))
            .with(
                "",
                "pods",
                json!({"metadata": {"namespace": "default", "name": "p", "uid": pod_uid}, "spec": {"nodeName": "n1", "serviceAccountName": "app", "volumes": [
                    {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "a"}}, {"serviceAccountToken": {"path": "b", "audience": "vault"}}]}},
                ]}}),
            )
            .with("", "nodes", json!({"metadata": {"name": "n1", "uid": "node-1"}}))
    }

    fn tokens() -> Tokens {
        let pair = rcgen::KeyPair::generate().unwrap();
        Tokens::new(&TokenKeys { private_pem: pair.serialize_pem(), public_pem: pair.public_key_pem() }).unwrap()
    }

    fn ask(user: &str, view: &MapLookup, spec: Value) -> Result<Claims, ApiError> {
        let user = User { name: user.into(), groups: vec!["system:nodes".into()], ..User::default() };
        let request = Object::from_value(json!({"spec": spec})).unwrap();
        let account = view.get(&Key::new("", "serviceaccounts", "default", "app")).unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let granted = |audience: &str| audience == "granted";
        claims(&TokenQuestion { user: &user, request: &request, account: account.object(), granted: &granted, view, now, id: "id".into() })
    }

    #[test]
    fn who_gets_which_token() {
        let view = cluster("pod-1");
        let bound = |uid: &str| json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid}});
        assert!(ask("alice", &view, json!({})).is_ok());
        assert_eq!(ask("alice", &view, json!({"expirationSeconds": 599})).unwrap_err().code(), 422);
        assert_eq!(ask("alice", &view, bound("other")).unwrap_err().code(), 409);
        assert!(ask("system:node:n1", &view, bound("pod-1")).is_ok_and(|c| c.bound.node.is_some_and(|n| n.uid == "node-1")));
    }

    #[test]
    fn a_node_gets_the_tokens_that_its_pods_have() {
        let view = cluster("pod-1");
        let spec = |more: Value| {
            let mut spec = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "pod-1"}});
            patch(&mut spec, &more);
            spec
        };
        let forbidden = |why: &str| Err((403, format!("serviceaccounts \"app\" is forbidden: {why}")));
        let unbound = || forbidden("node requested token not bound to a pod");
        let not_for = |audience: &str| forbidden(&format!("system:node:n1 is not authorized to request tokens for audience \"{audience}\""));
        let cases = [
            ("n1", spec(json!({})), Ok(())),
            ("n1", spec(json!({"audiences": ["vault"]})), Ok(())),
            ("n1", spec(json!({"audiences": ["granted"]})), Ok(())),
            ("n1", spec(json!({"audiences": ["other"]})), not_for("other")),
            ("n1", spec(json!({"audiences": ["vault", "other"]})), forbidden("node may only request 0 or 1 audiences")),
            ("n1", json!({}), unbound()),
            ("n1", spec(json!({"boundObjectRef": {"apiVersion": "v2"}})), unbound()),
            ("n1", spec(json!({"boundObjectRef": {"kind": "Secret"}})), unbound()),
            ("n1", spec(json!({"boundObjectRef": {"name": ""}})), unbound()),
            ("n1", spec(json!({"boundObjectRef": {"uid": null}})), forbidden("node requested token with a pod binding without a uid")),
            ("n1", spec(json!({"boundObjectRef": {"name": "gone"}})), Err((404, "pods \"gone\" not found".to_owned()))),
            (
                "n1",
                spec(json!({"boundObjectRef": {"uid": "x"}})),
                forbidden("the UID in the bound object reference (x) does not match the UID in record. The object might have been deleted and then recreated"),
            ),
            ("n2", spec(json!({})), forbidden("node requested token bound to a pod scheduled on a different node")),
            ("", spec(json!({})), forbidden("could not determine node from user \"system:node:\"")),
        ];
        for (node, spec, want) in cases {
            let got = ask(&format!("system:node:{node}"), &view, spec.clone()).map(|_| ()).map_err(|e| (e.code(), e.message));
            assert_eq!(got, want, "{node} {spec}");
        }
    }

    /// A merge: what is null is removed.
    fn patch(value: &mut Value, more: &Value) {
        for (field, new) in more.as_object().unwrap() {
            match new {
                Value::Object(_) => patch(&mut value[field], new),
                Value::Null => _ = value.as_object_mut().unwrap().remove(field),
                _ => value[field] = new.clone(),
            }
        }
    }

    #[test]
    fn a_token_is_valid_while_its_pod_lives() {
        let tokens = tokens();
        let view = cluster("pod-1");
        let claims = ask("alice", &view, json!({"boundObjectRef": {"kind": "Pod", "name": "p"}})).unwrap();
        let issued = tokens.issue(&Object::default(), &claims).unwrap();
        assert_eq!(issued["status"]["expirationTimestamp"], json!("2026-01-01T01:00:00Z"));
        let review = |view: &MapLookup, token: &Value, now: &str| {
            let review = Object::from_value(json!({"spec": {"token": token}})).unwrap();
            tokens.review(view, &review, now.parse().unwrap())["status"].clone()
        };
        let token = &issued["status"]["token"];
        let good = review(&view, token, "2026-01-01T00:30:00Z");
        assert_eq!((good["authenticated"].clone(), good["user"]["username"].clone()), (json!(true), json!("system:serviceaccount:default:app")));
        assert_eq!(review(&view, token, "2026-01-01T01:00:00Z")["error"], json!("service account token has expired"));
        assert_eq!(review(&cluster("pod-2"), token, "2026-01-01T00:30:00Z")["authenticated"], json!(false));
        assert_eq!(review(&MapLookup::default(), token, "2026-01-01T00:30:00Z")["authenticated"], json!(false));
        let asked = |audiences: Value| {
            let review = Object::from_value(json!({"spec": {"token": token, "audiences": audiences}})).unwrap();
            tokens.review(&view, &review, "2026-01-01T00:30:00Z".parse().unwrap())["status"].clone()
        };
        assert_eq!(asked(json!(["b", ISSUER, "a"]))["audiences"], json!([ISSUER]), "those that both sides name");
        let error = format!("token audiences [{ISSUER:?}] is invalid for the target audiences [\"b\" \"a\"]");
        assert_eq!((asked(json!(["b", "a"]))["error"].clone(), asked(json!(["b"]))["authenticated"].clone()), (json!(error), json!(false)));
        let forged = json!(format!("{}x", token.as_str().unwrap()));
        assert_eq!(review(&view, &forged, "2026-01-01T00:30:00Z")["authenticated"], json!(false));
    }
}
