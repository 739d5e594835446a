//! The harness itself: machines boot, see each other, and die.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Lab, Machine, output};

#[test]
fn machines_see_each_other_and_die() {
    let lab = Lab::new();
    let (one, mut two) = (Machine::boot(&lab, 1), Machine::boot(&lab, 2));
    assert_eq!(one.sh("hostname").trim(), "node1");
    one.sh(&format!("busybox ping -c1 -W2 {}", two.address));
    two.unplug();
    assert!(!output(one.command("busybox").args(["ping", "-c1", "-W1", &two.address])).status.success());
    two.plug();
    one.sh(&format!("busybox ping -c1 -W5 {}", two.address));
    assert!(one.sh("podman image ls --format '{{.Repository}}:{{.Tag}}'").contains("localhost/web:v1"));
    two.pull_plug();
    two.power_on();
    assert!(two.sh("ps -e | wc -l").trim().parse::<u32>().unwrap() < 8);
}
