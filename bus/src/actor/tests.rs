use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

type Log = Arc<Mutex<Vec<String>>>;

enum Told {
    Say(&'static str),
    Fail,
    Panic,
    Stop,
    Wait(oneshot::Receiver<()>),
    Child(&'static str),
    Echo(u32, oneshot::Sender<u32>),
}

struct Recorder {
    log: Log,
}

impl Recorder {
    fn note(&self, words: impl Into<String>) {
        self.log.lock().unwrap().push(words.into());
    }
}

impl Actor for Recorder {
    type Message = Told;
    type Error = &'static str;

    async fn started(&mut self, ctx: &Context<Told>) -> Result<(), &'static str> {
        self.note(format!("{} started", ctx.me().path()));
        Ok(())
    }
    async fn handle(&mut self, message: Told, ctx: &Context<Told>) -> Result<(), &'static str> {
        match message {
            Told::Say(words) => self.note(words),
            Told::Fail => return Err("told to fail"),
            Told::Panic => panic!("told to panic"),
            Told::Stop => ctx.stop(),
            Told::Wait(until) => _ = until.await.ok(),
            Told::Echo(n, reply) => _ = reply.send(n).ok(),
            Told::Child(name) => {
                let (log, path) = (self.log.clone(), format!("{}/{name}", ctx.me().path()));
                let options = Options { restarts: Some(Restarts { max: 2, within: Duration::from_secs(60) }), ..Options::default() };
                let child = ctx.spawn(name, options, move || Recorder { log: log.clone() });
                assert_eq!(child.path(), path);
                if name == "bad" {
                    for _ in 0..3 {
                        child.send(Told::Fail).await.map_err(|_| "the child is gone")?;
                    }
                }
            }
        }
        Ok(())
    }
    async fn stopping(&mut self) {
        self.note("stopping");
    }
}

fn recorder(system: &System, options: Options) -> (ActorRef<Told>, Log) {
    let log = Log::default();
    let theirs = log.clone();
    (system.spawn("a", options, move || Recorder { log: theirs.clone() }), log)
}

async fn settled(actor: &ActorRef<Told>) {
    let (reply, answer) = oneshot::channel();
    actor.send(Told::Echo(1, reply)).await.unwrap();
    answer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_come_in_order_and_survive_failures_and_panics() {
    let system = System::new();
    let (actor, log) = recorder(&system, Options::default());
    for message in [Told::Say("1"), Told::Fail, Told::Say("2"), Told::Panic, Told::Say("3")] {
        actor.send(message).await.unwrap();
    }
    settled(&actor).await;
    assert_eq!(*log.lock().unwrap(), ["a started", "1", "a started", "2", "a started", "3"]);
    let report = system.report();
    assert_eq!((report[0].path.as_str(), report[0].state, report[0].restarts), ("a", State::Running, 2));
    assert_eq!(report[0].last_failure, "panicked: told to panic");
    assert_eq!((report[0].mailbox, report[0].capacity), (0, 256));
}

#[tokio::test(start_paused = true)]
async fn backoff_doubles_up_to_its_limit_and_starts_over_after_a_stable_run() {
    let system = System::new();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let seen = starts.clone();
    system.task("loop", move |_| {
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        let stable = seen.len() == 13;
        async move {
            if stable {
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
            Err::<(), _>("again")
        }
    });
    tokio::time::sleep(Duration::from_secs(100)).await;
    let starts = starts.lock().unwrap();
    let pauses: Vec<u128> = starts.windows(2).map(|w| (w[1] - w[0]).as_millis()).collect();
    assert_eq!(pauses[..14], [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000, 10_000, 30_010, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_is_back_pressure() {
    let system = System::new();
    let (actor, _) = recorder(&system, Options { mailbox: 2, ..Options::default() });
    let (go, wait) = oneshot::channel();
    actor.send(Told::Wait(wait)).await.unwrap();
    tokio::task::yield_now().await;
    actor.try_send(Told::Say("1")).unwrap();
    actor.try_send(Told::Say("2")).unwrap();
    assert_eq!(actor.try_send(Told::Say("3")), Err(TrySendError::Full("a".into())));
    assert_eq!(system.report()[0].mailbox, 2);
    assert!(tokio::time::timeout(Duration::from_secs(1), actor.send(Told::Say("3"))).await.is_err());
    go.send(()).unwrap();
    actor.send(Told::Say("4")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_child_that_keeps_failing_fails_its_parent() {
    let system = System::new();
    let (actor, log) = recorder(&system, Options::default());
    actor.send(Told::Child("good")).await.unwrap();
    actor.send(Told::Child("bad")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    settled(&actor).await;
    let parent = system.report().into_iter().find(|r| r.path == "a").unwrap();
    assert_eq!((parent.state, parent.restarts), (State::Running, 1));
    assert_eq!(parent.last_failure, "a/bad gave up: told to fail");
    assert!(log.lock().unwrap().ends_with(&["stopping".to_owned(), "a started".to_owned()]), "the good child was stopped before the parent's restart");
}

#[tokio::test(start_paused = true)]
async fn what_gives_up_at_the_root_fails_the_system() {
    let system = System::new();
    let (actor, _) = recorder(&system, Options { restarts: Some(Restarts { max: 1, within: Duration::from_secs(9) }), ..Options::default() });
    actor.send(Told::Fail).await.unwrap();
    actor.send(Told::Fail).await.unwrap();
    assert_eq!(system.failed().await, "a gave up: told to fail");
    actor.stopped().await;
    assert_eq!(actor.send(Told::Stop).await, Err(Stopped("a".into())));
    assert_eq!(system.report()[0].state, State::Failed);
}

#[tokio::test(start_paused = true)]
async fn shutdown_stops_children_before_parents() {
    let system = System::new();
    let (actor, log) = recorder(&system, Options::default());
    actor.send(Told::Child("good")).await.unwrap();
    settled(&actor).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(system.shutdown(Duration::from_secs(1)).await);
    assert_eq!(*log.lock().unwrap(), ["a started", "a/good started", "stopping", "stopping"]);
    assert_eq!(system.report(), []);
}

#[tokio::test(start_paused = true)]
async fn an_actor_may_stop_itself() {
    let system = System::new();
    let (actor, log) = recorder(&system, Options::default());
    actor.send(Told::Stop).await.unwrap();
    actor.stopped().await;
    assert_eq!(*log.lock().unwrap(), ["a started", "stopping"]);
    assert_eq!(system.report(), []);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_stop_within_the_grace_is_dropped() {
    let system = System::new();
    let began = Instant::now();
    system.task("stuck", |_| async {
        std::future::pending::<()>().await;
        Ok::<(), String>(())
    });
    tokio::task::yield_now().await;
    assert!(!system.shutdown(Duration::from_secs(2)).await);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(system.report(), []);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_well_is_not_repeated() {
    let system = System::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    system.task("once", move |_| {
        let run = count.fetch_add(1, Ordering::SeqCst);
        async move { if run == 0 { Err("first") } else { Ok(()) } }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(system.report(), []);
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_question_is_an_error() {
    let system = System::new();
    let (actor, _) = recorder(&system, Options::default());
    assert_eq!(actor.ask(|reply| Told::Echo(7, reply)).await, Ok(7));
    let dropped = actor.ask(|reply: oneshot::Sender<()>| {
        drop(reply);
        Told::Fail
    });
    assert_eq!(dropped.await, Err(Stopped("a".into())));
}

#[tokio::test(start_paused = true)]
async fn what_is_vital_fails_the_system_at_once() {
    let system = System::new();
    system.vital("fine", |_| async {});
    system.vital("log", |_| async { panic!("it broke") });
    assert_eq!(system.failed().await, "log gave up: panicked: it broke");
    assert_eq!(system.report().iter().map(|r| (r.path.as_str(), r.state)).collect::<Vec<_>>(), [("log", State::Failed)]);

    let stopped = System::new();
    stopped.vital("log", |cancel| async move { cancel.cancelled().await });
    assert!(stopped.shutdown(Duration::from_secs(1)).await && stopped.report().is_empty());
}
