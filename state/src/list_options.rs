//! Which options of lists and watches go together: `ValidateListOptions` and the defaults before it, of Kubernetes' `meta.k8s.io` ListOptions.
use model::{ApiError, Cause};
use serde_json::json;
use state_client::Options;

const MATCH: &str = "resourceVersionMatch";
const NOT_OLDER_THAN: &str = "NotOlderThan";
const EXACT: &str = "Exact";

fn refuse(causes: Vec<Cause>) -> Result<(), ApiError> {
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", causes)) }
}

/// Checks the options of a list, or of the deletion of what it would have.
///
/// # Errors
/// 422 with every option that is out of place.
pub fn check_list(options: &Options) -> Result<(), ApiError> {
    let (revision, wanted) = (options.resource_version.as_str(), options.resource_version_match.as_str());
    let mut causes = Vec::new();
    if !wanted.is_empty() {
        if revision.is_empty() {
            causes.push(Cause::forbidden(MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if !options.continue_token.is_empty() {
            causes.push(Cause::forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if wanted != EXACT && wanted != NOT_OLDER_THAN {
            causes.push(Cause::not_supported(MATCH, &json!(wanted), &[EXACT, NOT_OLDER_THAN, ""]));
        }
        if wanted == EXACT && revision == "0" {
            causes.push(Cause::forbidden(MATCH, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        }
    }
    if options.send_initial_events.is_some() {
        causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    refuse(causes)
}

/// Checks the options of a watch. Returns whether it begins with the objects that there are: as it says, or because it names no revision to begin at.
///
/// # Errors
/// 422 with every option that is out of place.
pub fn check_watch(options: &Options, initial_events: Option<bool>) -> Result<Option<bool>, ApiError> {
    let wanted = options.resource_version_match.as_str();
    if initial_events.is_none() && wanted.is_empty() {
        return Ok(matches!(options.resource_version.as_str(), "" | "0").then_some(true));
    }
    let mut causes = Vec::new();
    if initial_events.is_some() && wanted != NOT_OLDER_THAN {
        causes.push(Cause::forbidden(MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if !wanted.is_empty() {
        if initial_events.is_none() {
            causes.push(Cause::forbidden(MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
        }
        if wanted != NOT_OLDER_THAN {
            causes.push(Cause::not_supported(MATCH, &json!(wanted), &[NOT_OLDER_THAN]));
        }
        if !options.continue_token.is_empty() {
            causes.push(Cause::forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    refuse(causes).map(|()| initial_events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(revision: &str, wanted: &str, token: &str) -> Options {
        let [resource_version, resource_version_match, continue_token] = [revision, wanted, token].map(str::to_owned);
        Options { resource_version, resource_version_match, continue_token, ..Options::default() }
    }

    #[test]
    fn lists() {
        let of = |revision: &str, wanted: &str, token: &str| check_list(&options(revision, wanted, token)).err().map(|e| e.message).unwrap_or_default();
        for (revision, wanted) in [("", ""), ("0", ""), ("5", "Exact"), ("0", "NotOlderThan"), ("5", "NotOlderThan")] {
            assert_eq!(of(revision, wanted, ""), "", "{revision} {wanted}");
        }
        let forbidden = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
        assert_eq!(of("", "Exact", ""), format!("ListOptions.meta.k8s.io \"\" is invalid: {forbidden}"));
        let unknown = "resourceVersionMatch: Unsupported value: \"x\": supported values: \"Exact\", \"NotOlderThan\", \"\"";
        assert_eq!(of("", "x", ""), format!("ListOptions.meta.k8s.io \"\" is invalid: [{forbidden}, {unknown}]"));
        assert!(of("0", "Exact", "").contains("\"exact\" is forbidden for resourceVersion \"0\""));
        assert!(of("5", "Exact", "t").contains("forbidden when continue is provided"));
        let initial = Options { send_initial_events: Some(false), ..Options::default() };
        assert!(check_list(&initial).unwrap_err().message.contains("sendInitialEvents is forbidden for list"));
    }

    #[test]
    fn watches() {
        let of = |revision: &str, wanted: &str, initial| check_watch(&options(revision, wanted, ""), initial).map_err(|e| e.code());
        assert_eq!(of("", "", None), Ok(Some(true)));
        assert_eq!(of("0", "", None), Ok(Some(true)));
        assert_eq!(of("5", "", None), Ok(None));
        assert_eq!(of("5", "NotOlderThan", Some(true)), Ok(Some(true)));
        assert_eq!(of("", "NotOlderThan", Some(false)), Ok(Some(false)));
        for (wanted, initial) in [("", Some(true)), ("", Some(false)), ("Exact", None), ("NotOlderThan", None), ("Exact", Some(true))] {
            assert_eq!(of("", wanted, initial), Err(422), "{wanted} {initial:?}");
        }
    }
}
