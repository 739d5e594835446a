use e2e::{Cluster, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A Job whose pods do what `script` says.
fn job(name: &str, script: &str, more: &Value) -> String {
    let pod =
        json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "none", "command": ["sh", "-c", script]}]});
    let mut spec = json!({"template": {"spec": pod}});
    more.as_object().unwrap().iter().for_each(|(field, value)| spec[field] = value.clone());
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}).to_string()
}

fn status(cluster: &Cluster, name: &str) -> Value {
    cluster.get(&["job", name])["status"].clone()
}

fn waits(cluster: &Cluster, name: &str, condition: &str) {
    cluster.k(&["wait", &format!("--for=condition={condition}"), &format!("job/{name}"), "--timeout=60s"]);
}

fn none_left(cluster: &Cluster, of: &str) {
    eventually(&format!("nothing is left of {of}"), MINUTE, || {
        let left = cluster.k(&["get", "jobs,pods", "-l", &format!("job-name={of}"), "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

/// A Job with a limit of time after its end, and one whose pods fail.
fn ends(cluster: &Cluster) {
    cluster.apply(&job("quick", "sleep 0.2", &json!({"completions": 3, "parallelism": 2, "ttlSecondsAfterFinished": 3})));
    waits(cluster, "quick", "complete");
    let status = status(cluster, "quick");
    assert_eq!((&status["succeeded"], &status["uncountedTerminatedPods"], &status["ready"]), (&json!(3), &json!({}), &json!(0)), "{status}");
    let described = cluster.k(&["describe", "job", "quick"]);
    for text in ["Pods Statuses:", "0 Active (0 Ready) / 3 Succeeded / 0 Failed", "SuccessfulCreate", "Completed", "job-controller"] {
        assert!(described.contains(text), "{text}: {described}");
    }
    let row = cluster.k(&["get", "job", "quick", "--no-headers"]);
    assert!(row.contains("Complete") && row.contains("3/3"), "{row}");
    none_left(cluster, "quick");

    let policy = json!({"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]});
    cluster.apply(&job("broken", "exit 42", &json!({"podFailurePolicy": policy})));
    waits(cluster, "broken", "failed");
    let described = cluster.k(&["describe", "job", "broken"]);
    assert!(described.contains("failed with exit code 42 matching FailJob rule at index 0"), "{described}");
    cluster.apply(&job("limit", "exit 1", &json!({"backoffLimit": 0})));
    waits(cluster, "limit", "failed");
    let limit = self::status(cluster, "limit");
    assert_eq!((&limit["failed"], &limit["conditions"][1]["reason"]), (&json!(1), &json!("BackoffLimitExceeded")), "{limit}");
}

/// Indexes, and a pause in between.
fn indexes(cluster: &Cluster) {
    let spec = json!({"completions": 4, "parallelism": 2, "completionMode": "Indexed", "suspend": true});
    cluster.apply(&job("many", "sleep 0.5", &spec));
    cluster.k(&["wait", "--for=condition=suspended", "job/many", "--timeout=60s"]);
    assert_eq!(cluster.k(&["get", "pods", "-l", "job-name=many", "-o", "name"]), "");
    cluster.k(&["patch", "job", "many", "-p", r#"{"spec": {"suspend": false}}"#]);
    waits(cluster, "many", "complete");
    assert_eq!(status(cluster, "many")["completedIndexes"], "0-3");
    let pods = cluster.get(&["pods", "-l", "job-name=many"])["items"].clone();
    for pod in pods.as_array().unwrap() {
        let index = pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"].as_str().unwrap();
        assert_eq!((pod["spec"]["hostname"].as_str(), &pod["metadata"]["finalizers"]), (Some(&*format!("many-{index}")), &Value::Null), "{pod}");
    }
}

/// Jobs that are deleted while they run, their pods with them or not.
fn deletions(cluster: &Cluster) {
    for cascade in ["foreground", "background"] {
        cluster.apply(&job("endless", "serve", &json!({"parallelism": 2})));
        eventually("its pods run", MINUTE, || {
            let status = status(cluster, "endless");
            if status["ready"] == 2 { Ok(()) } else { Err(status.to_string()) }
        });
        cluster.k(&["delete", "job", "endless", &format!("--cascade={cascade}")]);
        none_left(cluster, "endless");
    }
    cluster.apply(&job("endless", "serve", &json!({})));
    eventually("its pod runs", MINUTE, || if status(cluster, "endless")["ready"] == 1 { Ok(()) } else { Err(String::new()) });
    cluster.k(&["delete", "job", "endless", "--cascade=orphan"]);
    eventually("its pod is nobody's", MINUTE, || {
        let pods = cluster.get(&["pods", "-l", "job-name=endless"])["items"].clone();
        let metadata = &pods[0]["metadata"];
        if metadata["ownerReferences"].is_null() && metadata["finalizers"].is_null() && !pods[0].is_null() { Ok(()) } else { Err(pods.to_string()) }
    });
    cluster.k(&["delete", "pods", "-l", "job-name=endless"]);
}

/// A CronJob every minute, and a Job that somebody makes of it.
fn cron_jobs(cluster: &Cluster) {
    cluster.k(&["create", "cronjob", "clock", "--image=none", "--schedule=* * * * *", "--", "true"]);
    cluster.k(&["create", "job", "by-hand", "--from=cronjob/clock"]);
    waits(cluster, "by-hand", "complete");
    let cron = eventually("a Job of the schedule's has succeeded", Duration::from_secs(90), || {
        let cron = cluster.get(&["cronjob", "clock"]);
        let done = cron["status"]["lastScheduleTime"].is_string() && cron["status"]["lastSuccessfulTime"].is_string() && cron["status"]["active"].is_null();
        if done { Ok(cron) } else { Err(cron["status"].to_string()) }
    });
    let described = cluster.k(&["describe", "cronjob", "clock"]);
    for text in ["UnexpectedJob", "SuccessfulCreate", "SawCompletedJob", "Last Schedule Time:"] {
        assert!(described.contains(text), "{text}: {described}");
    }
    let row = cluster.k(&["get", "cronjob", "clock", "--no-headers"]);
    assert!(row.contains("* * * * *") && row.contains("False"), "{row}");
    let jobs = cluster.get(&["jobs"])["items"].clone();
    let minute = |job: &&Value| job["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("clock-"));
    let jobs: Vec<&Value> = jobs.as_array().unwrap().iter().filter(minute).collect();
    assert_eq!(jobs[0]["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"], cron["status"]["lastScheduleTime"]);
    cluster.k(&["delete", "cronjob", "clock"]);
    eventually("its Jobs go with it", MINUTE, || {
        let left = cluster.k(&["get", "jobs", "-o", "name"]);
        if left.contains("clock-") || left.contains("by-hand") { Err(left) } else { Ok(()) }
    });
}

#[test]
fn jobs_and_cron_jobs() {
    let cluster = Cluster::start_hollow(2);
    cluster.node_ready("hollow-0");
    ends(&cluster);
    indexes(&cluster);
    deletions(&cluster);
    cron_jobs(&cluster);
}
