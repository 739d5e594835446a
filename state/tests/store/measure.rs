//! What it costs. The figures are printed; only gross failures fail.
use crate::fixture::{Nats, key, put};
use futures::stream::{self, StreamExt};
use state::store::{Store, WatchFrom};
use std::time::{Duration, Instant};

async fn puts(store: &Store, what: &str, n: usize, concurrency: usize) -> (f64, Duration, Duration) {
    let body = "x".repeat(1_000);
    let started = Instant::now();
    let mut times: Vec<Duration> = stream::iter(0..n)
        .map(|n| {
            let (store, key, body) = (store.clone(), key(&format!("{what}-{n}")), body.clone());
            async move {
                let started = Instant::now();
                tokio::spawn(async move { put(&store, &key, 0, body).await }).await.unwrap().unwrap();
                started.elapsed()
            }
        })
        .buffer_unordered(concurrency)
        .collect()
        .await;
    times.sort_unstable();
    (n as f64 / started.elapsed().as_secs_f64(), times[n / 2], times[n * 99 / 100])
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_objects_load_quickly() {
    let nats = Nats::start();
    let store = nats.store().await;
    puts(&store, "load", 20_000, 2_000).await;
    let started = Instant::now();
    let late = nats.store().await;
    let took = started.elapsed();
    println!("20,000 objects of 1 kB loaded in {took:?}");
    assert_eq!(late.list("", "configmaps", "").items.len(), 20_000);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn figures() {
    let nats = Nats::start();
    let store = nats.store().await;
    puts(&store, "warm", 200, 1).await;
    let only = std::env::var("CONCURRENCY").ok().and_then(|c| c.parse::<usize>().ok());
    let runs = [(1_000, 1), (3_000, 4), (6_000, 16), (10_000, 64), (20_000, 256), (20_000, 1_000)];
    for (n, concurrency) in runs.into_iter().filter(|(_, c)| only.is_none_or(|o| o == *c)) {
        let before = store.stats().remove(0);
        let (rate, p50, p99) = puts(&store, &format!("c{concurrency}"), n, concurrency).await;
        let after = store.stats().remove(0);
        let (batches, batched) = (after.batches - before.batches, after.batched - before.batched);
        println!(
            "{concurrency:5} at once: {rate:7.0}/s, p50 {p50:?}, p99 {p99:?}; {} singles, {batches} batches of {}",
            after.singles - before.singles,
            batched.checked_div(batches).unwrap_or(0)
        );
    }
    let started = Instant::now();
    let n = 2_000;
    stream::iter(0..n).for_each_concurrent(256, |_| async { store.barrier("", "configmaps").await.unwrap() }).await;
    println!("{n} barriers, 256 at once: {:?}; {} questions", started.elapsed(), store.stats()[0].barriers);
    let started = Instant::now();
    for _ in 0..100 {
        store.barrier("", "configmaps").await.unwrap();
    }
    println!("a barrier alone: {:?}", started.elapsed() / 100);
    let mut feed = store.watch("", "configmaps", "", WatchFrom::Now).unwrap();
    let started = Instant::now();
    for n in 0..200 {
        put(&store, &key(&format!("w{n}")), 0, n).await.unwrap();
        feed.next().await.unwrap();
    }
    println!("write and see, alone: {:?}", started.elapsed() / 200);
}
