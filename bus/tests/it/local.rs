//! The bus within one process.
use bus::actor::{Actor, Context, Options, System};
use bus::bus::ActorRequest;
use bus::{Bus, BusError, Call, Caller, Duplex, Incoming, Notice, Open, Opening, Role, StreamError, To};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
struct Double(u64);
impl Call for Double {
    type Reply = (u64, Caller);
    const SERVICE: &'static str = "test.double";
}

#[derive(Debug, Serialize, Deserialize)]
struct Count(u64);
impl Open for Count {
    type Up = u64;
    type Down = u64;
    type Refusal = String;
    const SERVICE: &'static str = "test.count";
}

fn bus() -> Bus {
    Bus::local("test", Caller::new(Role::State, "s"))
}

async fn double(incoming: Incoming<Double>) -> (u64, Caller) {
    (incoming.message.0 * 2, incoming.caller)
}

#[tokio::test]
async fn a_call_is_answered_and_knows_its_caller() {
    let bus = bus();
    let service = bus.serve("s", 4, double).await.unwrap();
    let agent = bus.speaking_as(Caller::new(Role::Agent, "n1"));
    assert_eq!(agent.call(&To::Any, Double(4), SECOND).await, Ok((8, Caller::new(Role::Agent, "n1"))));
    assert_eq!(agent.call(&To::instance("s"), Double(4), SECOND).await.unwrap().0, 8);
    assert_eq!(agent.call(&To::instance("t"), Double(4), SECOND).await, Err(BusError::NoResponder { service: "test.double" }));
    assert_eq!((service.stats().requests(), service.stats().errors()), (2, 0));
    drop(service);
    assert_eq!(agent.call(&To::Any, Double(4), SECOND).await, Err(BusError::NoResponder { service: "test.double" }));
}

#[tokio::test]
async fn instances_take_turns() {
    let bus = bus();
    let named = |name: &'static str| move |_: Incoming<Double>| async move { (0, Caller::new(Role::State, name)) };
    let _a = bus.serve("a", 4, named("a")).await.unwrap();
    let _b = bus.serve("b", 4, named("b")).await.unwrap();
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(bus.call(&To::Any, Double(0), SECOND).await.unwrap().1.name);
    }
    assert_eq!(names, ["a", "b", "a", "b"]);
    assert_eq!(bus.call(&To::instance("b"), Double(0), SECOND).await.unwrap().1.name, "b");
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_callers_wait_within_their_timeout() {
    let bus = bus();
    let gate = Arc::new(Semaphore::new(0));
    let closed = gate.clone();
    let service = bus
        .serve("s", 1, move |incoming: Incoming<Double>| {
            let gate = closed.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                double(incoming).await
            }
        })
        .await
        .unwrap();
    let first = tokio::spawn({
        let bus = bus.clone();
        async move { bus.call(&To::Any, Double(1), 60 * SECOND).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(bus.call(&To::Any, Double(2), SECOND).await, Err(BusError::Timeout { service: "test.double", after: SECOND }));
    gate.add_permits(1);
    assert_eq!(first.await.unwrap().unwrap().0, 2);
    assert_eq!(service.stats().requests(), 1, "a caller that gave up while waiting costs nothing");
    service.drain().await;
}

#[tokio::test]
async fn a_handler_that_panics_is_an_error_at_once() {
    let bus = bus();
    let service = bus.serve("s", 1, |_: Incoming<Double>| async { panic!("no") }).await.unwrap();
    for _ in 0..2 {
        let failed = BusError::Failed { service: "test.double", why: "the handler panicked".to_owned() };
        assert_eq!(bus.call(&To::Any, Double(1), 60 * SECOND).await, Err(failed));
    }
    assert_eq!((service.stats().requests(), service.stats().errors()), (2, 2));
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_stop_the_handler() {
    let bus = bus();
    let (done, finished) = tokio::sync::oneshot::channel();
    let done = std::sync::Mutex::new(Some(done));
    let _service = bus
        .serve("s", 1, move |incoming: Incoming<Double>| {
            let done = done.lock().unwrap().take();
            async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                done.unwrap().send(()).unwrap();
                double(incoming).await
            }
        })
        .await
        .unwrap();
    assert!(bus.call(&To::Any, Double(1), Duration::from_millis(5)).await.is_err());
    finished.await.unwrap();
}

async fn count(opening: Opening<Count>) {
    let upto = opening.message.0;
    match upto {
        0 => return opening.refuse("nothing to count".to_owned()).await,
        1 => panic!("before the answer"),
        _ => {}
    }
    let mut stream = opening.accept().await.unwrap();
    for n in 0..upto {
        if stream.send(n).await.is_err() {
            return;
        }
    }
    match upto {
        2 => stream.cut("enough"),
        3 => panic!("while streaming"),
        _ => {
            while let Ok(Some(n)) = stream.recv().await {
                stream.send(n + 1).await.unwrap();
            }
        }
    }
}

async fn all(stream: &mut Duplex<u64, u64>) -> (u64, Result<(), StreamError>) {
    let mut frames = 0;
    loop {
        match stream.recv().await {
            Ok(Some(_)) => frames += 1,
            Ok(None) => return (frames, Ok(())),
            Err(e) => return (frames, Err(e)),
        }
    }
}

#[tokio::test]
async fn a_stream_flows_both_ways_and_ends() {
    let bus = bus();
    let _service = bus.accept("s", count).await.unwrap();
    let mut stream = bus.open(&To::Any, Count(500), SECOND).await.unwrap().unwrap();
    for n in 0..500 {
        assert_eq!(stream.recv().await, Ok(Some(n)));
    }
    stream.send(41).await.unwrap();
    assert_eq!(stream.recv().await, Ok(Some(42)));
    let (sender, mut receiver) = stream.split();
    drop(sender);
    assert_eq!(receiver.recv().await, Ok(None), "the acceptor saw our end, and ended");
}

#[tokio::test]
async fn a_cut_is_not_an_end() {
    let bus = bus();
    let _service = bus.accept("s", count).await.unwrap();
    let mut cut = bus.open(&To::Any, Count(2), SECOND).await.unwrap().unwrap();
    assert_eq!(all(&mut cut).await, (2, Err(StreamError::Cut("enough".to_owned()))));
    let mut panicked = bus.open(&To::Any, Count(3), SECOND).await.unwrap().unwrap();
    assert_eq!(all(&mut panicked).await, (3, Err(StreamError::Cut("the other side panicked".to_owned()))));
}

#[tokio::test]
async fn a_stream_is_refused_or_fails_at_once() {
    let bus = bus();
    assert!(matches!(bus.open(&To::Any, Count(9), SECOND).await, Err(BusError::NoResponder { service: "test.count" })));
    let _service = bus.accept("s", count).await.unwrap();
    assert!(matches!(bus.open(&To::Any, Count(0), SECOND).await, Ok(Err(why)) if why == "nothing to count"));
    assert!(matches!(bus.open(&To::Any, Count(1), 60 * SECOND).await, Err(BusError::Failed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_makes_the_sender_wait_and_one_that_goes_ends_it() {
    let (mut near, far) = bus::stream::pair::<u64, u64>();
    let mut sent = 0;
    while tokio::time::timeout(SECOND, near.send(sent)).await.is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 64);
    drop(far);
    near.closed().await;
    assert!(matches!(near.send(0).await, Err(StreamError::Cut(_))));
}

struct Doubler;
impl Actor for Doubler {
    type Message = ActorRequest<Double>;
    type Error = String;
    async fn handle(&mut self, ask: ActorRequest<Double>, _: &Context<ActorRequest<Double>>) -> Result<(), String> {
        if ask.incoming.message.0 == 0 {
            return Err("nothing to double".to_owned());
        }
        let reply = double(ask.incoming).await;
        ask.reply.send(reply).map_err(|_| "nobody waits".to_owned())
    }
}

#[tokio::test]
async fn an_actor_answers_on_the_bus() {
    let (bus, system) = (bus(), System::new());
    let actor = system.spawn("doubler", Options::default(), || Doubler);
    let _service = bus.expose::<Double, _>("s", 4, actor).await.unwrap();
    assert_eq!(bus.call(&To::Any, Double(2), SECOND).await.unwrap().0, 4);
    assert!(matches!(bus.call(&To::Any, Double(0), SECOND).await, Err(BusError::Failed { .. })));
    assert_eq!(bus.call(&To::Any, Double(3), SECOND).await.unwrap().0, 6);
}

#[tokio::test]
async fn a_call_costs_microseconds() {
    let bus = bus();
    let _service = bus.serve("s", 64, double).await.unwrap();
    let began = Instant::now();
    for n in 0..10_000 {
        bus.call(&To::Any, Double(n), SECOND).await.unwrap();
    }
    let each = began.elapsed() / 10_000;
    println!("{each:?} a call");
    assert!(each < Duration::from_micros(100), "{each:?} a call");
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct News(u64);
impl Notice for News {
    const TOPIC: &'static str = "test.news";
}

#[tokio::test]
async fn a_notice_is_heard_by_all_who_listen_and_kept_for_nobody() {
    let bus = bus();
    let agent = bus.speaking_as(Caller::new(Role::Agent, "n1"));
    agent.tell(News(1)).await.unwrap();
    let (mut one, mut other) = (bus.listen::<News>().await.unwrap(), bus.listen::<News>().await.unwrap());
    agent.tell(News(2)).await.unwrap();
    for listener in [&mut one, &mut other] {
        let heard = listener.recv().await.unwrap();
        assert_eq!((heard.message.0, heard.caller), (2, Caller::new(Role::Agent, "n1")));
    }
    drop(one);
    agent.tell(News(3)).await.unwrap();
    assert_eq!(other.recv().await.unwrap().message.0, 3);
}
