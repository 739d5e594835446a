//! What a certificate that was issued to a pod must be.
use super::{der, pem};
use crate::error::Cause;
use crate::kinds::fields::{Checks, text};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

const CHAIN: &str = "status.certificateChain";
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// Checks the chain and the times of a status. The key, and what the certificate itself says of its times, aren't looked at.
pub(super) fn validate(checks: &mut Checks, status: &Value) {
    let chain = text(status, "certificateChain");
    let why = match pem::blocks(chain.as_bytes()).split_first() {
        None => Some("issued certificate chain must contain at least one certificate"),
        Some((leaf, _)) if leaf.label != "CERTIFICATE" => Some("issued certificate chain must consist entirely of CERTIFICATE PEM blocks"),
        Some((leaf, _)) if der::is_authority(&leaf.bytes).is_none() => Some("leaf certificate does not parse as valid X.509"),
        Some((_, rest)) if rest.iter().any(|block| block.label != "CERTIFICATE") => {
            Some("issued certificate chain must consist entirely of CERTFICATE PEM blocks")
        }
        Some((_, rest)) if rest.iter().any(|block| der::is_authority(&block.bytes).is_none()) => Some("intermediate certificate does not parse as valid X.509"),
        Some(_) => None,
    };
    match why {
        Some(why) => checks.add(Cause::invalid(CHAIN, &chain.into(), why)),
        None => times(checks, status),
    }
}

fn times(checks: &mut Checks, status: &Value) {
    let consistent = "must be present and consistent with the issued certificate";
    let refresh = "must be present and in the range [notbefore+10min, notafter-10min]";
    for (field, why) in [("notBefore", consistent), ("notAfter", consistent), ("beginRefreshAt", refresh)] {
        if text(status, field).is_empty() {
            checks.required(format_args!("status.{field}"), why);
        }
    }
    let time = |field: &str| text(status, field).parse::<Timestamp>().ok();
    let (Some(from), Some(until), Some(at)) = (time("notBefore"), time("notAfter"), time("beginRefreshAt")) else { return };
    let why = if from.checked_add(MARGIN).is_ok_and(|least| at < least) {
        "must be at least 10 minutes after status.notBefore"
    } else if until.checked_sub(MARGIN).is_ok_and(|most| at > most) {
        "must be at least 10 minutes before status.notAfter"
    } else {
        return;
    };
    checks.add(Cause::invalid("status.beginRefreshAt", &text(status, "beginRefreshAt").into(), why));
}
