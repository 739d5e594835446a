//! Secrets of type `kubernetes.io/service-account-token` get their account's token. A controller finds the account and writes its UID to the Secret; with
//! that write the token comes, since nobody else has the key.
use super::step::{Admit, Effects, Refusal, Step};
use crate::subresource::token::Tokens;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::token_secret::{ACCOUNT, ACCOUNT_UID, TYPE};
use model::{Key, Object, time};
use state_client::token::{Bound, Claims, ISSUER, Ref, USER_PREFIX};

/// The end of the year 9999: such a token is valid for as long as its Secret and its account exist.
const EVER: i64 = 253_402_300_799;

/// The step.
pub struct TokenSecret(pub Option<Tokens>);

impl Step for TokenSecret {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        let (Some(tokens), Some(old)) = (&self.0, request.old) else { return Ok(()) };
        if !request.of("", "secrets") || object.str_at(&["type"]) != TYPE || !object.str_at(&["data", "token"]).is_empty() {
            return Ok(());
        }
        let name = object.annotation(ACCOUNT).unwrap_or_default();
        let account = request.view.get(&Key::new("", "serviceaccounts", old.namespace(), name));
        if let Some(account) = account.filter(|account| object.annotation(ACCOUNT_UID) == Some(account.object().uid())) {
            let token = tokens.sign(&claims(account.object(), old))?;
            object.set(&["data", "token"], BASE64_STANDARD.encode(token));
        }
        Ok(())
    }
}

fn claims(account: &Object, secret: &Object) -> Claims {
    let reference = |o: &Object| Ref { name: o.name().to_owned(), uid: o.uid().to_owned() };
    let made = time::parse(secret.str_at(&["metadata", "creationTimestamp"])).map_or(0, jiff::Timestamp::as_second);
    Claims {
        iss: ISSUER.to_owned(),
        sub: format!("{USER_PREFIX}{}:{}", secret.namespace(), account.name()),
        aud: vec![ISSUER.to_owned()],
        exp: EVER,
        nbf: made,
        iat: made,
        jti: secret.uid().to_owned(),
        bound: Bound { namespace: secret.namespace().to_owned(), serviceaccount: reference(account), secret: Some(reference(secret)), ..Bound::default() },
    }
}
