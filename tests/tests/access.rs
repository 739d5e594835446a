//! Who is let in: machines that join with a token, by TLS, and how that ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Cluster, Machine, eventually, output, run};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn error(command: &mut std::process::Command) -> String {
    let out = output(command);
    assert!(!out.status.success(), "it succeeded: {}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// One more try of a node's agent, in the foreground, on a directory of its own.
fn agent(cluster: &Cluster, machine: &Machine, node: &str, more: &[&str]) -> std::process::Command {
    let nats = format!("nats://{}:4222", cluster.machines[0].address);
    let mut command = machine.command(e2e::whalesong());
    command.args(["agent", "--nats", &nats, "--node-name", node]).args(more);
    command
}

fn keys_on(machine: &Machine) -> String {
    machine.sh(&format!("cat {}/data/keys/*", machine.disk().display()))
}

/// All that the machine is told is the address and one word.
#[test]
fn a_machine_joins_by_a_token_until_its_node_is_deleted() {
    let mut cluster = Cluster::start(&["--no-node", "--nats-listen", "0.0.0.0"]);
    cluster.join();
    cluster.node_ready("node2");
    let token_file = cluster.machines[1].disk().join("token");
    // who only looks on the first machine speaks TLS as well
    assert!(cluster.status().contains("node2"));
    let seeds = keys_on(&cluster.machines[1]);
    assert!(seeds.starts_with("SU") && seeds.lines().count() == 1);
    assert!(!keys_on(&cluster.machines[0]).contains(seeds.trim()), "the first machine doesn't have the node's seed");
    assert!(run(&mut cluster.whalesong(&["creds", "list"])).lines().any(|line| line.starts_with("agent ") && line.contains(" node2 ")));

    let fresh = tempfile_dir(&cluster.machines[1], "fresh");
    let of_another = run(&mut cluster.whalesong(&["token", "--node", "node7"]));
    let said = error(&mut agent(&cluster, &cluster.machines[1], "node3", &["--data", &fresh, "--token", of_another.trim()]));
    assert!(said.contains("the join token is for the node \"node7\""), "{said}");
    let any = run(&mut cluster.whalesong(&["token"]));
    let said = error(&mut agent(&cluster, &cluster.machines[1], "node2", &["--data", &fresh, "--token", any.trim()]));
    assert!(said.contains("a machine with another key is the node \"node2\""), "{said}");
    // a cluster with another CA isn't talked to, and one without TLS isn't either
    let (digest, seed) = any.trim().split_once('.').unwrap();
    let wrong = format!("{}.{seed}", "0".repeat(digest.len()));
    let said = error(&mut agent(&cluster, &cluster.machines[1], "node4", &["--data", &fresh, "--token", &wrong]));
    assert!(said.contains("is not trusted"), "{said}");
    let plain = format!("plain.{seed}");
    let said = error(&mut agent(&cluster, &cluster.machines[1], "node4", &["--data", &fresh, "--token", &plain]));
    assert!(said.contains("is not trusted"), "{said}");
    // a token ends
    let ended = run(&mut cluster.whalesong(&["token", "--ttl", "1ms"]));
    let said = error(&mut agent(&cluster, &cluster.machines[1], "node4", &["--data", &fresh, "--token", ended.trim()]));
    assert!(said.contains("it has ended"), "{said}");

    // a node may not keep its key by keeping its Node
    cluster.k(&["patch", "node", "node2", "--type=merge", "-p", r#"{"metadata":{"finalizers":["example.com/kept"]}}"#]);
    cluster.k(&["delete", "node", "node2", "--wait=false"]);
    let listed = || run(&mut cluster.whalesong(&["creds", "list"]));
    eventually("the key ends with the Node", MINUTE, || if listed().contains("\nagent ") { Err(listed()) } else { Ok(()) });
    let own = cluster.machines[1].disk().join("data");
    cluster.machines[1].sh("pkill -f '[w]halesong agent'; while pgrep -f '[w]halesong agent' >/dev/null; do sleep 0.02; done");
    let said = error(&mut agent(&cluster, &cluster.machines[1], "node2", &["--data", own.to_str().unwrap()]));
    assert!(said.contains("doesn't let agent/node2 in"), "{said}");
    // nor does the token undo it by which it came in, which its unit file still has
    let token = std::fs::read_to_string(&token_file).unwrap();
    let said = error(&mut agent(&cluster, &cluster.machines[1], "node2", &["--data", own.to_str().unwrap(), "--token", token.trim()]));
    assert!(said.contains("has let \"node2\" in before"), "{said}");
    cluster.k(&["patch", "node", "node2", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    cluster.agent(1);
    cluster.node_ready("node2");
}

fn tempfile_dir(machine: &Machine, name: &str) -> String {
    machine.disk().join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_key_is_made_once_and_revoked_while_it_is_used() {
    let mut cluster = Cluster::start(&["--no-node", "--nats-listen", "0.0.0.0"]);
    let machine = e2e::Machine::boot(&cluster.lab, 2);
    cluster.machines.push(machine);
    let file = cluster.machines[1].disk().join("node2.nk");
    let out = file.to_str().unwrap();
    assert_eq!(run(&mut cluster.whalesong(&["creds", "agent", "node2", "--out", out])).trim(), out);
    assert!(error(&mut cluster.whalesong(&["creds", "agent", "node2", "--out", "other.nk"])).contains("has a key already"));
    // the file says by which CA the server is known; with the key alone it isn't talked to
    let fresh = tempfile_dir(&cluster.machines[1], "fresh");
    let alone = tempfile_dir(&cluster.machines[1], "alone.nk");
    cluster.machines[1].sh(&format!("grep -q ^ca-sha256: {out} && grep ^S {out} > {alone}"));
    let said = error(&mut agent(&cluster, &cluster.machines[1], "node2", &["--creds", &alone, "--data", &fresh]));
    assert!(said.contains("is not trusted"), "{said}");
    cluster.agent_with(1, &["--creds", out]);
    cluster.node_ready("node2");
    run(&mut cluster.whalesong(&["creds", "revoke", "agent", "node2"]));
    let log = || cluster.machines[1].sh(&format!("cat {}/agent.log", cluster.machines[1].disk().display()));
    eventually("the agent is cut off", MINUTE, || if log().contains("the connection to NATS is lost") { Ok(()) } else { Err(log()) });
    let said = error(&mut agent(&cluster, &cluster.machines[1], "node2", &["--creds", out, "--data", &fresh]));
    assert!(said.contains("doesn't let agent/node2 in"), "{said}");
    assert!(error(&mut cluster.whalesong(&["creds", "revoke", "agent", "node2"])).contains("has no key"));
    assert!(error(&mut cluster.whalesong(&["creds", "revoke", "gateway", "node1"])).contains("this machine's own"));
    // the cluster goes on for others
    cluster.k(&["get", "nodes"]);
}
