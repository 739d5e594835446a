//! The way between processes and the server: in order on each connection as with TCP, but late, cut, or without an answer, as a seed has it.
use crate::stream::{Accepted, BatchFate, Stream};
use async_nats::{Subject, header};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryFutureExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use state::store::server::{ConsumerOptions, DeliveredMessage, Delivery, LastMessage, Outgoing, PushConsumer, RequestError, StreamServer, StreamState};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// What a client of NATS waits for an answer of JetStream's API.
const API_TIMEOUT: Duration = Duration::from_secs(5);

/// How likely what goes wrong by itself is, of a thousand messages each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mood {
    /// It never arrives, or its answer doesn't.
    pub lost: u32,
    /// It arrives twice.
    pub doubled: u32,
    /// It, and all behind it, is seconds late.
    pub stalled: u32,
    /// The server takes no batch now.
    pub busy: u32,
    /// The power fails while the server stores a batch.
    pub torn: u32,
}

/// All that one life shares.
pub struct World {
    pub rng: StdRng,
    pub mood: Mood,
    pub streams: Vec<Stream>,
    /// Nobody answers for the streams until then.
    pub silent_until: Instant,
    /// Changes with each new leader; consumers live no longer than theirs.
    pub term: u64,
    /// Processes whose connection is cut until then.
    pub cut: Vec<Instant>,
    /// What flow control asked, and was answered.
    answered: HashSet<u64>,
    questions: u64,
}

/// A shared world.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<World>>, Arc<Notify>);

impl Shared {
    pub fn new(seed: u64, processes: usize, streams: Vec<Stream>) -> Self {
        let now = Instant::now();
        let world = World {
            rng: StdRng::seed_from_u64(seed),
            mood: Mood::default(),
            streams,
            silent_until: now,
            term: 0,
            cut: vec![now; processes],
            answered: HashSet::new(),
            questions: 0,
        };
        Self(Arc::new(Mutex::new(world)), Arc::new(Notify::new()))
    }

    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Something new is in a stream.
    pub fn wake(&self) {
        self.1.notify_waiters();
    }

    pub fn chance(&self, of_thousand: u32) -> bool {
        self.lock().chance(of_thousand)
    }

    pub fn between(&self, low: u64, high: u64) -> u64 {
        self.lock().rng.random_range(low..=high)
    }
}

impl World {
    fn chance(&mut self, of_thousand: u32) -> bool {
        of_thousand > 0 && self.rng.random_range(0..1000) < of_thousand
    }

    /// Whether nothing passes between the process and the server now.
    fn is_cut(&self, process: usize) -> bool {
        let now = Instant::now();
        self.cut[process] > now || self.silent_until > now
    }

    fn fate(&mut self) -> BatchFate {
        let Mood { busy, torn, .. } = self.mood;
        if self.chance(busy) {
            return BatchFate::Refused;
        }
        if self.chance(torn) { BatchFate::Torn(self.rng.random_range(0..1_000)) } else { BatchFate::Taken }
    }

    /// The server is another process from now on.
    pub fn restart(&mut self) {
        self.term += 1;
        self.streams.iter_mut().for_each(Stream::restart);
    }

    fn delay(&mut self) -> Duration {
        let stalled = self.mood.stalled;
        let millis = if self.chance(stalled) { self.rng.random_range(500..8_000) } else { self.rng.random_range(0..4) };
        Duration::from_millis(millis)
    }
}

/// What is asked.
#[derive(Clone)]
enum Question {
    Publish(Outgoing),
    State,
    Last(String),
    HoldsAfter(u64),
    Consume(ConsumerOptions),
    Answered(u64),
}

enum Answer {
    Reply(Bytes),
    State(StreamState),
    Last(Option<LastMessage>),
    Holds(bool),
    Consumer(PushConsumer),
}

type Asked = (Question, Option<oneshot::Sender<Answer>>);

/// A process's connection to the server of one stream.
pub struct Connection {
    name: String,
    asked: mpsc::UnboundedSender<Asked>,
}

/// The server's end of a connection.
#[derive(Clone)]
struct ServerEnd {
    shared: Shared,
    process: usize,
    stream: usize,
}

impl Connection {
    pub fn new(shared: &Shared, process: usize, stream: usize) -> Self {
        let (asked, queue) = mpsc::unbounded_channel();
        tokio::spawn(ServerEnd { shared: shared.clone(), process, stream }.serve(queue));
        Self { name: format!("{process}/{stream}"), asked }
    }

    /// Asks, and takes out of the answer what was asked for.
    fn ask<T: Send + 'static>(&self, question: Question, within: Duration, take: fn(Answer) -> Option<T>) -> BoxFuture<'_, Result<T, String>> {
        async move {
            let (sender, answer) = oneshot::channel();
            self.asked.send((question, Some(sender))).map_err(|e| e.to_string())?;
            // who lost the way to answer says nothing until the time is over
            let answer = async {
                match answer.await {
                    Ok(answer) => answer,
                    Err(_) => std::future::pending().await,
                }
            };
            let answer = timeout(within, answer).await.map_err(|_| "no answer in time".to_owned())?;
            take(answer).ok_or_else(|| "another answer".to_owned())
        }
        .boxed()
    }

    fn send(&self, question: Question) -> BoxFuture<'_, Result<(), String>> {
        futures::future::ready(self.asked.send((question, None)).map_err(|e| e.to_string())).boxed()
    }
}

impl StreamServer for Connection {
    fn stream(&self) -> &str {
        &self.name
    }

    fn max_payload(&self) -> usize {
        1 << 20
    }

    fn publish(&self, message: Outgoing) -> BoxFuture<'_, Result<(), String>> {
        self.send(Question::Publish(message))
    }

    fn request(&self, message: Outgoing, timeout: Duration) -> BoxFuture<'_, Result<Bytes, RequestError>> {
        let reply = |answer| if let Answer::Reply(reply) = answer { Some(reply) } else { None };
        self.ask(Question::Publish(message), timeout, reply).map_err(RequestError::NoReply).boxed()
    }

    fn state(&self) -> BoxFuture<'_, Result<StreamState, String>> {
        self.ask(Question::State, API_TIMEOUT, |answer| if let Answer::State(state) = answer { Some(state) } else { None })
    }

    fn last<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<Option<LastMessage>, String>> {
        self.ask(Question::Last(subject.to_owned()), API_TIMEOUT, |answer| if let Answer::Last(last) = answer { Some(last) } else { None })
    }

    fn holds_after(&self, sequence: u64) -> BoxFuture<'_, Result<bool, String>> {
        self.ask(Question::HoldsAfter(sequence), API_TIMEOUT, |answer| if let Answer::Holds(holds) = answer { Some(holds) } else { None })
    }

    fn consume(&self, options: ConsumerOptions) -> BoxFuture<'_, Result<PushConsumer, String>> {
        self.ask(Question::Consume(options), API_TIMEOUT, |answer| if let Answer::Consumer(consumer) = answer { Some(consumer) } else { None })
    }

    fn answer(&self, to: String) -> BoxFuture<'_, Result<(), String>> {
        match to.parse() {
            Ok(id) => self.send(Question::Answered(id)),
            Err(_) => futures::future::ready(Err("no such question".to_owned())).boxed(),
        }
    }
}

impl ServerEnd {
    /// What is on its way arrives in order, even when who sent it has gone.
    async fn serve(self, mut queue: mpsc::UnboundedReceiver<Asked>) {
        while let Some((question, answer)) = queue.recv().await {
            let delay = self.shared.lock().delay();
            sleep(delay).await;
            let (lost, doubled) = {
                let mut world = self.shared.lock();
                let Mood { lost, doubled, .. } = world.mood;
                (world.is_cut(self.process) || world.chance(lost), world.chance(doubled))
            };
            if lost {
                continue;
            }
            // of two answers to one request the first counts
            let said = self.arrived(question.clone());
            if doubled {
                self.arrived(question);
            }
            if let (Some(said), Some(to)) = (said, answer) {
                self.reply(said, to);
            }
        }
    }

    fn reply(&self, said: Answer, to: oneshot::Sender<Answer>) {
        let server = self.clone();
        tokio::spawn(async move {
            let delay = server.shared.lock().delay();
            sleep(delay).await;
            let mut world = server.shared.lock();
            let lost = world.mood.lost;
            if !world.is_cut(server.process) && !world.chance(lost) {
                _ = to.send(said);
            }
        });
    }

    fn arrived(&self, question: Question) -> Option<Answer> {
        let mut world = self.shared.lock();
        let fate = world.fate();
        let torn = matches!((&question, fate), (Question::Publish(message), BatchFate::Torn(_)) if message.headers.get(header::NATS_BATCH_COMMIT).is_some());
        let stream = &mut world.streams[self.stream];
        let answer = match question {
            Question::Publish(message) => stream.handle(message, Instant::now(), fate).map(Answer::Reply),
            Question::State => Some(Answer::State(StreamState { created: SystemTime::UNIX_EPOCH, last_sequence: stream.end() })),
            Question::Last(subject) => Some(Answer::Last(stream.last(&subject))),
            Question::HoldsAfter(sequence) => Some(Answer::Holds(stream.after(sequence).is_some())),
            Question::Consume(options) => {
                let pending = stream.count_after(options.from - 1);
                let (sender, deliveries) = mpsc::unbounded_channel();
                let consumer = Consumer { server: self.clone(), options, term: world.term, position: options.from - 1, delivered: 0, to: sender };
                tokio::spawn(consumer.run());
                Some(Answer::Consumer(PushConsumer { pending, deliveries: UnboundedReceiverStream::new(deliveries).boxed() }))
            }
            Question::Answered(id) => {
                world.answered.insert(id);
                None
            }
        };
        if torn {
            world.restart();
        }
        drop(world);
        self.shared.wake();
        answer
    }
}

/// Pushes a stream's messages to one process.
struct Consumer {
    server: ServerEnd,
    options: ConsumerOptions,
    term: u64,
    position: u64,
    delivered: u64,
    to: mpsc::UnboundedSender<Delivery>,
}

/// Nobody listens, or its leader has gone.
struct Ended;

impl Consumer {
    async fn run(mut self) {
        while self.step().await.is_ok() {}
    }

    async fn step(&mut self) -> Result<(), Ended> {
        let shared = self.server.shared.clone();
        let next = {
            let world = shared.lock();
            if world.term != self.term || self.to.is_closed() {
                return Err(Ended);
            }
            let stream = &world.streams[self.server.stream];
            stream.after(self.position).map(|message| (message.clone(), stream.count_after(message.sequence)))
        };
        match next {
            Some((message, pending)) => self.deliver(message, pending).await,
            None => {
                let idle = timeout(self.options.heartbeat, shared.1.notified()).await.is_err();
                if idle {
                    self.send(Delivery::Heartbeat { delivered: Some(self.delivered), answer_to: None, idle: true });
                }
                Ok(())
            }
        }
    }

    async fn deliver(&mut self, message: Accepted, pending: u64) -> Result<(), Ended> {
        let shared = self.server.shared.clone();
        if shared.chance(20) {
            self.wait_for_answer().await?;
        }
        let delay = shared.lock().delay();
        sleep(delay).await;
        self.position = message.sequence;
        self.delivered += 1;
        self.send(Delivery::Message(DeliveredMessage {
            subject: Subject::from(message.subject),
            headers: Some(message.headers),
            payload: message.payload,
            sequence: message.sequence,
            consumer_sequence: self.delivered,
            pending,
        }));
        Ok(())
    }

    /// Flow control: it sends no more until the process says that it has what was sent.
    async fn wait_for_answer(&self) -> Result<(), Ended> {
        let shared = &self.server.shared;
        let id = {
            let mut world = shared.lock();
            world.questions += 1;
            world.questions
        };
        let ask = |idle| self.send(Delivery::Heartbeat { delivered: Some(self.delivered), answer_to: Some(id.to_string()), idle });
        ask(false);
        let mut next = Instant::now() + self.options.heartbeat;
        loop {
            let news = shared.1.notified();
            {
                let world = shared.lock();
                if world.term != self.term || self.to.is_closed() {
                    return Err(Ended);
                }
                if world.answered.contains(&id) {
                    return Ok(());
                }
            }
            tokio::select! {
                biased;
                () = news => {}
                () = sleep_until(next) => {
                    ask(false);
                    next = Instant::now() + self.options.heartbeat;
                }
            }
        }
    }

    /// What is lost on the way has been sent all the same.
    fn send(&self, delivery: Delivery) {
        let mut world = self.server.shared.lock();
        let lost = world.mood.lost;
        if !world.is_cut(self.server.process) && !world.chance(lost) {
            _ = self.to.send(delivery);
        }
    }
}
