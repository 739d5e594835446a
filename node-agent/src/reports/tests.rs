//! What comes at `state` of many reports.
use super::*;
use bus::actor::{Actor, Context, Options, System};
use bus::{Bus, Caller, Incoming, Role};
use model::{Key, Object};
use state_client::Batch;
use tokio::sync::{mpsc, oneshot};

type Answers = Vec<Result<Reply, ApiError>>;
/// A message that came, and where its answer goes.
type Come = (Vec<Request>, oneshot::Sender<Answers>);

/// Passes on what it is told.
struct Ear(mpsc::UnboundedSender<(String, bool)>);

impl Actor for Ear {
    type Message = Box<Message>;
    type Error = &'static str;

    async fn handle(&mut self, message: Box<Message>, _: &Context<Box<Message>>) -> Result<(), &'static str> {
        let Message::Written(status, result) = *message else { return Err("not about a report") };
        self.0.send((status.phase.unwrap_or_default(), result.is_ok())).map_err(|_| "nobody listens")
    }
}

struct Node {
    reports: Arc<Reports>,
    from: ActorRef<Box<Message>>,
    told: mpsc::UnboundedReceiver<(String, bool)>,
    come: mpsc::UnboundedReceiver<Come>,
    system: System,
    _service: bus::Service,
}

impl Node {
    async fn new() -> Self {
        let bus = Bus::local("test", Caller::new(Role::State, "s"));
        let ((tell, told), (comes, come)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel::<Come>());
        let service = bus.serve("s", 64, move |asked: Incoming<Batch>| {
            let (answer, answered) = oneshot::channel();
            comes.send((asked.message.0, answer)).unwrap();
            async move { answered.await.unwrap() }
        });
        let (system, reports) = (System::new(), Arc::new(Reports::default()));
        let from = system.spawn("ear", Options::default(), move || Ear(tell.clone()));
        let (running, client) = (reports.clone(), Client::new(bus.speaking_as(Caller::new(Role::Agent, "n"))));
        system.task("reports", move |cancel| {
            let (reports, client) = (running.clone(), client.clone());
            async move {
                reports.run(&client, cancel).await;
                Ok::<(), ApiError>(())
            }
        });
        Self { reports, from, told, come, system, _service: service.await.unwrap() }
    }

    fn report(&self, pod: usize, phase: &str) -> Report {
        let pod = PodRef { uid: format!("u{pod}"), namespace: "a".to_owned(), name: format!("p{pod}") };
        Report { pod, status: Box::new(PodStatus { phase: Some(phase.to_owned()), ..PodStatus::default() }), from: self.from.clone() }
    }

    /// What the next message says: phases by pods' names.
    async fn next(&mut self) -> (Vec<(String, String)>, oneshot::Sender<Answers>) {
        let (requests, answer) = self.come.recv().await.unwrap();
        let said = |r: &Request| {
            let Body::Patch(PatchKind::Merge, patch) = &r.body else { panic!("{r:?}") };
            let patch: Value = serde_json::from_slice(patch).unwrap();
            (r.name.to_string(), patch["status"]["phase"].as_str().unwrap().to_owned())
        };
        (requests.iter().map(said).collect(), answer)
    }

    async fn told(&mut self) -> (String, bool) {
        self.told.recv().await.unwrap()
    }
}

fn good() -> Result<Reply, ApiError> {
    let object = Object::from_value(json!({"metadata": {"name": "p", "resourceVersion": "7"}})).unwrap();
    Ok(Reply::Object { object: Arc::new(Stored::from_object(Key::new("", "pods", "a", "p"), object).unwrap()), created: false, warnings: Vec::new() })
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, phase)| ((*name).to_owned(), (*phase).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn what_gathers_while_a_message_is_under_way_goes_with_the_next_one() {
    let mut node = Node::new().await;
    node.reports.put(node.report(0, "Pending"));
    let (first, answer) = node.next().await;
    assert_eq!(first, pairs(&[("p0", "Pending")]));
    // 0 is under way: what it says now is said after it was told; 1 waits, and says the newest
    node.reports.renew(node.report(0, "Running"));
    for pod in 1..=MOST + 1 {
        node.reports.put(node.report(pod, "Pending"));
    }
    node.reports.renew(node.report(1, "Running"));
    assert!(node.come.try_recv().is_err());
    answer.send(vec![good()]).unwrap();
    assert_eq!(node.told().await, ("Pending".to_owned(), true));
    let (second, answer) = node.next().await;
    assert_eq!((second.len(), &second[..2]), (MOST, &pairs(&[("p1", "Running"), ("p2", "Pending")])[..]));
    answer.send((0..MOST).map(|_| good()).collect()).unwrap();
    let (third, answer) = node.next().await;
    assert_eq!(third.len(), 1);
    answer.send(vec![Err(ApiError::not_found("", "pods", "p"))]).unwrap();
    for _ in 0..MOST {
        assert!(node.told().await.1);
    }
    assert_eq!(node.told().await, ("Pending".to_owned(), false));
    assert!(node.system.shutdown(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn while_nobody_is_there_a_node_asks_again_for_all_at_once_and_with_pauses() {
    let mut node = Node::new().await;
    for pod in 0..3 {
        node.reports.put(node.report(pod, "Pending"));
    }
    let begun = tokio::time::Instant::now();
    for _ in 0..5 {
        let (said, answer) = node.next().await;
        assert_eq!(said.len(), 3);
        answer.send((0..3).map(|_| Err(ApiError::unavailable("the log can't be written"))).collect()).unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(200 + 400 + 800 + 1_600), "{:?}", begun.elapsed());
    // the pause goes on
    tokio::time::sleep(Duration::from_millis(10)).await;
    node.reports.renew(node.report(1, "Running"));
    let (said, answer) = node.next().await;
    assert_eq!(said, pairs(&[("p0", "Pending"), ("p1", "Running"), ("p2", "Pending")]));
    answer.send(vec![good(), Err(ApiError::timeout("no answer")), Err(ApiError::internal("a fault"))]).unwrap();
    // the one that nobody took waits; the one that was refused is told
    assert_eq!((node.told().await, node.told().await), (("Pending".to_owned(), true), ("Pending".to_owned(), false)));
    let (said, answer) = node.next().await;
    assert_eq!(said, pairs(&[("p1", "Running")]));
    answer.send(vec![good()]).unwrap();
    assert_eq!(node.told().await, ("Running".to_owned(), true));
}
