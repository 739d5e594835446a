//! Leases on a real server.

use crate::common::{Rig, SECOND};
use bus::{LeaseOptions, Role};
use std::time::{Duration, Instant};

const SHORT: LeaseOptions = LeaseOptions { ttl: SECOND, inherit: false };

#[tokio::test]
async fn one_holds_it_at_a_time_and_releases_are_seen_at_once() {
    let rig = Rig::open().await;
    let (a, b) = (rig.bus(Role::Scheduler, "a").await.leases(1), rig.bus(Role::Scheduler, "b").await.leases(1));
    let first = a.acquire("s", LeaseOptions::default()).await;
    let waiting = tokio::spawn(async move { b.acquire("s", LeaseOptions::default()).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    assert_eq!(a.holder("s").await.unwrap().unwrap().0, "scheduler/a");
    let (fence, began) = (first.fence().clone(), Instant::now());
    first.release().await;
    let second = waiting.await.unwrap();
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert!(second.token() > fence.token);
    assert!(a.check(&fence).await.is_err());
    a.check(second.fence()).await.unwrap();
}

/// A hint of the release may come before the log shows it.
#[tokio::test]
async fn a_lease_goes_to_and_fro_without_running_out() {
    let rig = Rig::open().await;
    let both = [rig.bus(Role::Scheduler, "a").await.leases(1), rig.bus(Role::Scheduler, "b").await.leases(1)];
    let mut held = both[0].acquire("s", LeaseOptions::default()).await;
    for turn in 1..200 {
        let next = both[turn % 2].clone();
        let waiting = tokio::spawn(async move { next.acquire("s", LeaseOptions::default()).await });
        tokio::time::sleep(Duration::from_millis(5)).await;
        let began = Instant::now();
        held.release().await;
        held = waiting.await.unwrap();
        assert!(began.elapsed() < SECOND, "turn {turn}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_holder_that_is_cut_off_notices_and_is_succeeded() {
    let rig = Rig::open().await;
    let elsewhere = std::thread::spawn({
        let options = rig.options(Role::Scheduler, "a");
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let lease = runtime.block_on(async { bus::Bus::connect(options).await.unwrap().leases(1).acquire("s", SHORT).await });
            let fence = lease.fence().clone();
            std::mem::forget((lease, runtime));
            fence
        }
    });
    let fence = elsewhere.join().unwrap();
    let b = rig.bus(Role::Scheduler, "b").await.leases(1);
    let began = Instant::now();
    let second = b.acquire("s", SHORT).await;
    assert!((SECOND..2 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(b.check(&fence).await.is_err());
    // without a server nobody can renew, and the holder knows
    rig.server.stop().await;
    tokio::time::timeout(2 * SECOND, second.lost()).await.unwrap();
    assert!(second.is_lost());
}

#[tokio::test]
async fn a_lease_survives_a_restart_of_the_server() {
    let rig = Rig::open().await;
    let a = rig.bus(Role::Scheduler, "a").await.leases(1);
    let lease = a.acquire("s", LeaseOptions { ttl: 5 * SECOND, inherit: false }).await;
    rig.kill();
    tokio::time::sleep(6 * SECOND).await;
    assert!(!lease.is_lost());
    a.check(lease.fence()).await.unwrap();
}
