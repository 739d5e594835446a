use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::VecDeque;

/// What happens around a log: writes, acknowledgements, the tail's reading. Names are few, so that they collide.
#[derive(Clone, Debug)]
enum Step {
    Write {
        name: u8,
        delete: bool,
        own: bool,
    },
    /// The oldest acknowledgement arrives, or is lost.
    Acknowledge {
        lost: bool,
    },
    Read {
        messages: usize,
    },
    /// The consumer starts again: all that was read and not applied is read again.
    Restart,
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4u8, any::<bool>(), any::<bool>()).prop_map(|(name, delete, own)| Step::Write { name, delete, own }),
        3 => proptest::bool::weighted(0.1).prop_map(|lost| Step::Acknowledge { lost }),
        2 => (1..5usize).prop_map(|messages| Step::Read { messages }),
        1 => Just(Step::Restart),
    ]
}

fn key(name: u8) -> Key {
    Key::new("", "configmaps", "default", format!("k{name}"))
}

fn object(name: u8, sequence: u64) -> model::Object {
    model::Object::from_value(json!({"metadata": {"name": format!("k{name}"), "namespace": "default"}, "n": sequence})).unwrap()
}

/// One message of the simulated stream.
#[derive(Clone)]
struct Message {
    sequence: u64,
    name: u8,
    delete: bool,
    own: Option<u64>,
}

impl Message {
    fn fed(&self) -> ReceivedMessage {
        let kind = if self.delete { ReceivedKind::Delete } else { ReceivedKind::Put };
        let payload = Stored::encode(&object(self.name, self.sequence)).unwrap();
        ReceivedMessage { sequence: self.sequence, key: key(self.name), own: self.own, kind, payload }
    }
}

/// A stream that keeps one message a subject, and a log beside it.
struct World {
    log: Log,
    stream: BTreeMap<u64, Message>,
    end: u64,
    read: u64,
    acknowledgements: VecDeque<(u64, u64)>,
    answers: Vec<(u64, oneshot::Receiver<WriteResult>)>,
}

impl World {
    fn new() -> Self {
        let log = Log::new("$KV.c".into(), Duration::from_secs(60), WindowLimits::default(), CancellationToken::new());
        log.replace(Vec::new(), 0);
        Self { log, stream: BTreeMap::new(), end: 0, read: 0, acknowledgements: VecDeque::new(), answers: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write { name, delete, own } => self.write(name, delete, own),
            Step::Acknowledge { lost } => {
                if let Some(acknowledged) = self.acknowledgements.pop_front().filter(|_| !lost) {
                    self.log.acknowledged(&[acknowledged]);
                }
            }
            Step::Read { messages } => self.feed(messages),
            Step::Restart => self.read = self.log.applied(),
        }
    }

    fn write(&mut self, name: u8, delete: bool, own: bool) {
        self.end += 1;
        let sequence = self.end;
        let own = own.then(|| {
            let (id, answer) = self.log.register(key(name), delete, Stored::encode(&object(name, sequence)).unwrap());
            self.acknowledgements.push_back((id, sequence));
            self.answers.push((sequence, answer));
            id
        });
        self.stream.retain(|_, m| m.name != name);
        self.stream.insert(sequence, Message { sequence, name, delete, own });
    }

    fn feed(&mut self, messages: usize) {
        let next: Vec<Message> = self.stream.range(self.read + 1..).take(messages).map(|(_, m)| m.clone()).collect();
        self.read = next.last().map_or(self.read, |m| m.sequence);
        self.log.fed(next.iter().map(Message::fed).collect());
    }

    fn listed(&self) -> Vec<(String, u64)> {
        let table = self.log.table("", "configmaps");
        let data = table.read();
        data.after("", None).map(|s| (s.key.name.to_string(), s.object().int_at(&["n"]).unwrap() as u64)).collect()
    }

    fn expected(&self) -> Vec<(String, u64)> {
        let mut live: Vec<_> = self.stream.values().filter(|m| !m.delete).map(|m| (format!("k{}", m.name), m.sequence)).collect();
        live.sort();
        live
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// However acknowledgements and the tail interleave, the tables end as the stream, watchers see each key's changes in order and without
    /// contradiction, and each acknowledged write is answered with its own revision.
    #[test]
    fn any_interleaving_ends_as_the_stream(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        for acknowledged in std::mem::take(&mut world.acknowledgements) {
            world.log.acknowledged(&[acknowledged]);
        }
        world.read = world.log.applied();
        world.feed(usize::MAX);
        world.log.advance(world.end);
        prop_assert_eq!(world.log.applied(), world.end);
        prop_assert_eq!(world.listed(), world.expected());

        let table = world.log.table("", "configmaps");
        let data = table.read();
        let (mut seen, mut last) = (BTreeMap::new(), 0);
        for change in data.window().from(0).into_iter().flatten() {
            prop_assert!(change.revision > last && change.new.revision == change.revision);
            last = change.revision;
            let name = change.new.key.name.to_string();
            prop_assert_eq!(seen.remove(&name), change.old.as_ref().map(|o| o.revision));
            if !change.deleted {
                seen.insert(name, change.revision);
            }
        }
        prop_assert_eq!(seen, world.expected().into_iter().collect::<BTreeMap<_, _>>());
        drop(data);
        for (sequence, mut answer) in world.answers {
            match answer.try_recv() {
                Ok(Ok(stored)) => prop_assert_eq!(stored.revision, sequence),
                Ok(Err(e)) => prop_assert!(false, "{:?}", e),
                // A lost acknowledgement of a write that was overwritten before the tail saw it: the committer asks the log.
                Err(_) => prop_assert!(!world.stream.contains_key(&sequence)),
            }
        }
    }

    /// A load at any point ends the same.
    #[test]
    fn a_load_is_the_stream(steps in proptest::collection::vec(step(), 1..60), more in proptest::collection::vec(step(), 0..30)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.log.start_load();
        let loaded: Vec<ReceivedMessage> = world.stream.values().map(Message::fed).collect();
        let end = world.end;
        for acknowledged in world.acknowledgements.drain(..).take(2) {
            world.log.acknowledged(&[acknowledged]);
        }
        world.log.replace(loaded, end);
        world.read = end;
        prop_assert_eq!(world.listed(), world.expected());
        for step in more {
            world.step(step);
        }
        world.read = world.log.applied();
        world.feed(usize::MAX);
        prop_assert_eq!(world.listed(), world.expected());
    }
}

#[test]
fn the_window_lets_go_of_parsed_objects() {
    let mut world = World::new();
    for _ in 0..600 {
        world.write(1, false, true);
        world.step(Step::Acknowledge { lost: false });
    }
    let table = world.log.table("", "configmaps");
    let data = table.read();
    assert_eq!(data.window().from(0).unwrap().count(), 600);
    let change = data.window().from(0).unwrap().next().unwrap();
    assert_eq!(change.new.object().int_at(&["n"]), Some(1), "and parses them again when asked");
}
