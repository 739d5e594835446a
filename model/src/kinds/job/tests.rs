//! What is refused of jobs.
use crate::kinds::fixture::{check_kind, check_kind_change, check_kind_status, merge};
use crate::object::Object;
use serde_json::{Value, json};

/// `{"spec": base + change}`, with a name.
fn with(mut base: Value, change: Value) -> Value {
    merge(&mut base, change);
    json!({"metadata": {"name": "x", "uid": "u"}, "spec": base})
}

fn job(change: Value) -> Value {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}});
    with(json!({ "template": template }), change)
}
fn indexed(change: Value) -> Value {
    let mut base = json!({"completionMode": "Indexed", "completions": 3});
    merge(&mut base, change);
    job(base)
}

#[test]
fn jobs() {
    check_kind(
        "batch",
        "jobs",
        vec![
            (job(json!({})), ""),
            (job(json!({"parallelism": -1})), "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
            (
                job(json!({"template": {"spec": {"restartPolicy": "Always"}}})),
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ),
            (job(json!({"completionMode": "X"})), "spec.completionMode: Unsupported value: \"X\": supported values: \"NonIndexed\", \"Indexed\""),
            (job(json!({"completionMode": "Indexed", "parallelism": 1})), "spec.completions: Required value: when completion mode is Indexed"),
            (job(json!({"backoffLimitPerIndex": 1})), "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"),
            (
                indexed(json!({"maxFailedIndexes": 4, "backoffLimitPerIndex": 1})),
                "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
            ),
            (indexed(json!({"successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 1}]}})), ""),
            (
                indexed(json!({"successPolicy": {"rules": [{"succeededIndexes": "0,5"}]}})),
                "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"0,5\": error parsing succeededIndexes: too large index: \"5\"",
            ),
            (
                job(json!({"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 1, 0]}}]}})),
                "spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Invalid value: 0: must not be 0 for the In operator | spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1,0]: must be ordered",
            ),
            (
                job(json!({"podFailurePolicy": {"rules": [{"action": "Ignore"}]}})),
                "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            ),
            (job(json!({"managedBy": "me"})), "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")"),
            (job(json!({"template": {"metadata": {"labels": {"job-name": "other"}}}})), "spec.template.metadata.labels[job-name]: Invalid value: …"),
        ],
    );
}

#[test]
fn what_is_made_of_jobs() {
    let kind = crate::kinds::builtin().resource("batch", "jobs").unwrap().clone();
    let mut made = Object::from_value(job(json!({}))).unwrap();
    kind.strategy.default(&mut made);
    kind.strategy.prepare_create(&mut made);
    assert_eq!(made.at(&["spec", "selector"]), Some(&json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}})));
    assert_eq!(made.str_at(&["spec", "template", "metadata", "labels", "job-name"]), "x");
    assert_eq!((made.int_at(&["spec", "completions"]), made.int_at(&["spec", "backoffLimit"])), (Some(1), Some(6)));
    check_kind_change(
        "batch",
        "jobs",
        vec![
            (job(json!({"parallelism": 1})), job(json!({"parallelism": 5, "suspend": true})), ""),
            (job(json!({"completions": 1})), job(json!({"completions": 2})), "spec.completions: Invalid value: 2: field is immutable"),
            (indexed(json!({})), indexed(json!({"completions": 5, "parallelism": 5})), ""),
            (
                indexed(json!({})),
                indexed(json!({"completions": 5})),
                "spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism",
            ),
            (job(json!({})), job(json!({"template": {"spec": {"nodeSelector": {"a": "b"}}}})), "spec.template: Invalid value: …"),
            (job(json!({"suspend": true})), job(json!({"suspend": true, "template": {"spec": {"nodeSelector": {"a": "b"}}}})), ""),
        ],
    );
}

#[test]
fn failure_policies() {
    let failure = |rule: Value| job(json!({"podFailurePolicy": {"rules": [rule]}}));
    let codes = |change: Value| {
        let mut codes = json!({"operator": "In", "values": [1]});
        merge(&mut codes, change);
        failure(json!({"action": "Count", "onExitCodes": codes}))
    };
    let rule = "spec.podFailurePolicy.rules[0]";
    check_kind(
        "batch",
        "jobs",
        vec![
            (failure(json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]})), ""),
            (codes(json!({"containerName": "c"})), ""),
            (codes(json!({"containerName": "d"})), &format!("{rule}.onExitCodes.containerName: Invalid value: \"d\": must be one of the…")),
            (codes(json!({"operator": ""})), &format!("{rule}.onExitCodes.operator: Required value: valid values: [\"In\" \"NotIn\"]")),
            (codes(json!({"values": []})), &format!("{rule}.onExitCodes.values: Invalid value: []: at least one value is required")),
            (codes(json!({"values": [1, 1]})), &format!("{rule}.onExitCodes.values[1]: Duplicate value: 1")),
            (codes(json!({"values": (1..=256).collect::<Vec<i64>>()})), &format!("{rule}.onExitCodes.values: Too many: 256: must have at most 255 items")),
            (
                failure(json!({"onPodConditions": [{"type": "A"}]})),
                &format!("{rule}.action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"),
            ),
            (
                failure(json!({"action": "FailIndex", "onPodConditions": [{"type": "A"}]})),
                &format!("{rule}.action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set"),
            ),
            (
                failure(json!({"action": "Count", "onPodConditions": [{"type": "A", "status": "X"}], "onExitCodes": {"operator": "In", "values": [1]}})),
                &format!(
                    "{rule}.onPodConditions[0].status: Unsupported value: \"X\": supported values: \"False\", \"True\", \"Unknown\" | {rule}: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"
                ),
            ),
            (
                job(json!({"podFailurePolicy": {"rules": []}, "podReplacementPolicy": "TerminatingOrFailed"})),
                "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
            ),
            (
                job(json!({"podFailurePolicy": {"rules": []}, "template": {"spec": {"restartPolicy": "OnFailure"}}})),
                "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified",
            ),
        ],
    );
}

#[test]
fn success_policies() {
    let success = |rule: Value| indexed(json!({"successPolicy": {"rules": [rule]}}));
    let at = "spec.successPolicy.rules[0]";
    check_kind(
        "batch",
        "jobs",
        vec![
            (
                job(json!({"successPolicy": {"rules": [{"succeededCount": 1}]}})),
                "spec.successPolicy: Invalid value: {\"Rules\":[{\"SucceededIndexes\":null,\"SucceededCount\":1}]}: requires indexed completion mode",
            ),
            (
                indexed(json!({"successPolicy": {"rules": []}})),
                "spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified",
            ),
            (success(json!({})), &format!("{at}: Required value: at least one of succeededCount or succeededIndexes must be specified")),
            (
                success(json!({"succeededIndexes": "0-1-2"})),
                &format!(
                    "{at}.succeededIndexes: Invalid value: \"0-1-2\": error parsing succeededIndexes: the fragment \"0-1-2\" violates the requirement that an index interval can have at most two parts separated by '-'"
                ),
            ),
            (
                success(json!({"succeededIndexes": "1,1"})),
                &format!("{at}.succeededIndexes: Invalid value: \"1,1\": error parsing succeededIndexes: non-increasing order, previous: 1, current: 1"),
            ),
            (
                success(json!({"succeededIndexes": "0,,1"})),
                &format!("{at}.succeededIndexes: Invalid value: \"0,,1\": error parsing succeededIndexes: cannot convert string to integer for index: \"\""),
            ),
            (
                success(json!({"succeededIndexes": "0", "succeededCount": 2})),
                &format!(
                    "{at}.succeededCount: Invalid value: 2: must be less than or equal to 1 (the number of indexes in the specified succeededIndexes field)"
                ),
            ),
            (
                success(json!({"succeededCount": 4})),
                &format!("{at}.succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)"),
            ),
        ],
    );
}

#[test]
fn selectors() {
    let manual = |change: Value| {
        let mut base = json!({"manualSelector": true, "selector": {"matchLabels": {"a": "b"}}});
        merge(&mut base, change);
        job(base)
    };
    let unmatched = "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`";
    check_kind(
        "batch",
        "jobs",
        vec![
            (manual(json!({})), ""),
            (manual(json!({"selector": null})), &format!("spec.selector: Required value | {unmatched}")),
            (manual(json!({"selector": {"matchLabels": {"a": "c"}}})), unmatched),
            (
                job(json!({"selector": {"matchLabels": {"a": "b"}}})),
                "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"batch.kubernetes.io/controller-uid\":\"u\"}}: `selector` not auto-generated",
            ),
            (indexed(json!({"maxFailedIndexes": 1})), "spec.backoffLimitPerIndex: Required value: …"),
            (job(json!({"managedBy": ""})), "spec.managedBy: Required value"),
            (job(json!({"managedBy": "A/b"})), "spec.managedBy: Invalid value: \"A\": a lowercase RFC 1123 subdomain…"),
        ],
    );
}

#[test]
fn templates_of_suspended_jobs() {
    let of = |suspend: bool, status: Value, spec: Value| {
        let mut job = job(json!({"suspend": suspend, "template": {"spec": spec}}));
        merge(&mut job, json!({ "status": status }));
        job
    };
    let sized = json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]});
    let placed = json!({"nodeSelector": {"a": "b"}, "tolerations": [], "affinity": {"nodeAffinity": {}}});
    let other = json!({"hostNetwork": true});
    let none = json!({});
    let suspended = json!({"startTime": "2026-01-01T00:00:00Z", "conditions": [{"type": "Suspended", "status": "True"}]});
    let began = json!({"startTime": "2026-01-01T00:00:00Z"});
    check_kind_change(
        "batch",
        "jobs",
        vec![
            (of(true, none.clone(), none.clone()), of(false, none.clone(), sized.clone()), ""),
            (of(true, suspended, none.clone()), of(true, none.clone(), placed.clone()), ""),
            (of(true, none.clone(), none.clone()), of(true, none.clone(), other), "spec.template.spec: Invalid value: …"),
            (of(true, began, none.clone()), of(true, none.clone(), placed), "spec.template: Invalid value: …"),
            (of(true, json!({"active": 1}), none.clone()), of(true, none.clone(), sized.clone()), "spec.template: Invalid value: …"),
            (of(false, none.clone(), none.clone()), of(true, none, sized), "spec.template: Invalid value: …"),
        ],
    );
}

/// A status, what it was, and what is wrong with it.
type Row<'a> = (Value, Value, &'a str);

/// The spec of a job, and statuses of it.
fn check_statuses(spec: Value, rows: Vec<Row<'_>>) {
    let of = |status: Value| {
        let mut job = job(spec.clone());
        merge(&mut job, json!({ "status": status }));
        job
    };
    check_kind_status("batch", "jobs", rows.into_iter().map(|(old, new, expected)| (of(old), of(new), expected)).collect());
}

fn conditions(of: &[&str]) -> Value {
    of.iter().map(|kind| json!({"type": kind, "status": "True"})).collect()
}

const START: &str = "2026-01-01T00:00:00Z";
const END: &str = "2026-01-01T00:01:00Z";
const CONDITIONS: &str = "status.conditions: Invalid value";

/// The status of a job that is complete, with this changed.
fn complete_but(change: Value) -> Value {
    let mut status = json!({"conditions": conditions(&["SuccessCriteriaMet", "Complete"]), "startTime": START, "completionTime": END, "succeeded": 1});
    merge(&mut status, change);
    status
}

#[test]
fn ends() {
    let (none, but) = (json!({}), complete_but);
    check_statuses(
        json!({}),
        vec![
            (none.clone(), complete_but(json!({})), ""),
            (none.clone(), but(json!({"completionTime": null})), "status.completionTime: Required value: completionTime is required for Complete jobs"),
            (none.clone(), but(json!({"startTime": null})), "status.startTime: Required value: startTime is required for finished job"),
            (
                none.clone(),
                but(json!({"startTime": "2027-01-01T00:00:00Z"})),
                &format!("status.completionTime: Invalid value: \"{END}\": must be equal to or after `startTime`"),
            ),
            (none.clone(), but(json!({"active": 1})), "status.active: Invalid value: 1: active>0 is invalid for finished job"),
            (
                none.clone(),
                but(json!({"active": 1, "ready": 2})),
                "status.active: Invalid value: 1: active>0 is invalid for finished job | status.ready: Invalid value: 2: cannot set more ready pods than active",
            ),
            (none.clone(), but(json!({"terminating": 1})), "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job"),
            (
                none.clone(),
                but(json!({"uncountedTerminatedPods": {"succeeded": ["a"]}})),
                "status.uncountedTerminatedPods: Invalid value: {\"Succeeded\":[\"a\"],\"Failed\":null}: must be empty for finished job",
            ),
            (
                none.clone(),
                but(json!({"conditions": conditions(&["Complete"])})),
                &format!("{CONDITIONS}: cannot set Complete=True condition without the SuccessCriteriaMet=true condition"),
            ),
            (
                none.clone(),
                json!({"conditions": conditions(&["Failed"]), "startTime": START}),
                &format!("{CONDITIONS}: cannot set Failed=True condition without the FailureTarget=true condition"),
            ),
            (
                none.clone(),
                json!({"conditions": conditions(&["Failed", "FailureTarget", "SuccessCriteriaMet"]), "startTime": START}),
                &format!(
                    "{CONDITIONS}: cannot set SuccessCriteriaMet=True and Failed=true conditions | {CONDITIONS}: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"
                ),
            ),
            (
                none.clone(),
                json!({"completionTime": END}),
                &format!("status.completionTime: Invalid value: \"{END}\": cannot set completionTime when there is no Complete=True condition"),
            ),
        ],
    );
}

#[test]
fn statuses() {
    let (none, but) = (json!({}), complete_but);
    check_statuses(
        json!({}),
        vec![
            (
                none.clone(),
                json!({"failed": -1}),
                "status.failed: Invalid value: -1: must be greater than or equal to 0 | status.failed: Invalid value: -1: cannot decrease the failed counter",
            ),
            (
                none.clone(),
                json!({"uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]}}),
                "status.uncountedTerminatedPods.succeeded[1]: Invalid value: \"\": must not be empty | status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"",
            ),
            (
                none.clone(),
                json!({"completedIndexes": "0"}),
                "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
            ),
            (
                none.clone(),
                json!({"failedIndexes": "0"}),
                "status.failedIndexes: Invalid value: \"0\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
            ),
            (complete_but(json!({})), but(json!({"succeeded": 0})), "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter"),
            (
                complete_but(json!({})),
                but(json!({"completionTime": "2026-01-02T00:00:00Z"})),
                "status.completionTime: Invalid value: \"2026-01-02T00:00:00Z\": field is immutable",
            ),
            (
                complete_but(json!({})),
                but(json!({"conditions": [], "completionTime": null})),
                &format!(
                    "{CONDITIONS}: cannot disable the terminal Complete=True condition | {CONDITIONS}: cannot disable the SuccessCriteriaMet=True condition"
                ),
            ),
            (
                json!({"startTime": START}),
                json!({"startTime": END}),
                &format!("status.startTime: Invalid value: \"{END}\": field is immutable for unsuspended job once set"),
            ),
        ],
    );
}

#[test]
fn statuses_of_indexed_jobs() {
    let none = json!({});
    check_statuses(
        json!({"completionMode": "Indexed", "completions": 4, "parallelism": 2, "backoffLimitPerIndex": 1}),
        vec![
            (none.clone(), json!({"completedIndexes": "0,2", "failedIndexes": "1"}), ""),
            (
                none.clone(),
                json!({"completedIndexes": "7"}),
                "status.completedIndexes: Invalid value: \"7\": error parsing completedIndexes: too large index: \"7\"",
            ),
            (
                none.clone(),
                json!({"completedIndexes": "0,2-3", "failedIndexes": "1-2"}),
                "status.failedIndexes: Invalid value: \"1-2\": failedIndexes and completedIndexes overlap at index: 2",
            ),
            (json!({"completedIndexes": "7"}), json!({"completedIndexes": "7", "active": 1}), ""),
        ],
    );
}
