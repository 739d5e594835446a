use super::*;
use futures::FutureExt;
use futures::future::BoxFuture;
use proptest::prelude::*;
use serde_json::json;
use state_client::{Body, Request};

const SMALL: LevelLimits = LevelLimits { seats: 2, in_flight: 12, each: 12, bytes: 12_000, parked: 4 * REQUEST_MIN };

fn seats() -> FlowControl {
    FlowControl::new(PriorityLevels { components: SMALL, nodes: SMALL, users: SMALL })
}

fn gateway() -> Caller {
    Caller::new(Role::Gateway, "g")
}

fn user(name: &str) -> User {
    User { name: name.to_owned(), ..User::default() }
}

/// As many requests of this user as are let in.
fn flood(seats: &FlowControl, name: &str, bytes: usize) -> Vec<InFlightRequest> {
    std::iter::from_fn(|| seats.enter(&gateway(), &user(name), bytes).ok()).take(1_000).collect()
}

fn idle(level: &PriorityLevel) {
    let state = level.lock();
    assert_eq!((state.free, state.in_flight, state.bytes, state.parked), (level.limits.seats, 0, 0, 0));
    assert!(state.flows.is_empty() && state.round_robin.is_empty(), "{:?}", state.round_robin);
}

#[test]
fn nobody_takes_all_the_room() {
    let seats = seats();
    let (first, second, third) = (flood(&seats, "a", 0), flood(&seats, "b", 0), flood(&seats, "c", 0));
    assert_eq!((first.len(), second.len(), third.len()), (6, 3, 2));
    let refusal = seats.enter(&gateway(), &user("a"), 0).err().unwrap();
    assert_eq!((refusal.code(), refusal.details.unwrap().retry_after_seconds), (429, 1));
    assert!(seats.enter(&gateway(), &user("newcomer"), 0).is_ok());
    drop((first, second, third));
    // the same of bytes: a request is as large as it is
    assert_eq!(flood(&seats, "a", 2_000).len(), 3);
    assert_eq!(flood(&seats, "a", 12_001).len(), 0);
    idle(&seats.users);
}

#[test]
fn each_kind_of_callers_has_a_room_of_its_own() {
    let seats = seats();
    let _users: Vec<Vec<InFlightRequest>> = (0..50).map(|n| flood(&seats, &format!("u{n}"), 0)).collect();
    assert!(seats.enter(&gateway(), &user("other"), 0).is_err());
    let node = |name: &str| User { name: format!("system:node:{name}"), groups: vec!["system:nodes".into()], ..User::default() };
    let agent = |name: &str| seats.enter(&Caller::new(Role::Agent, name), &node(name), 0);
    assert!(seats.enter(&gateway(), &user("system:apiserver"), 0).is_ok());
    // components don't compete: one may have all of their level
    let controllers: Vec<_> = (0..12).map_while(|_| seats.enter(&Caller::new(Role::Controllers, "c"), &user("c"), 0).ok()).collect();
    assert_eq!(controllers.len(), 12);
    let hostile: Vec<_> = std::iter::from_fn(|| agent("n1").ok()).take(100).collect();
    assert_eq!(hostile.len(), 6);
    // a node's first request comes in, however many nodes there are
    let others: Vec<_> = (2..30).map(|n| agent(&format!("n{n}")).unwrap()).collect();
    assert!(agent("n2").is_err());
    // by whichever way it comes
    assert!(seats.enter(&gateway(), &node("n40"), 0).is_ok());
    drop((controllers, hostile, others));
    [&seats.components, &seats.nodes].into_iter().for_each(|level| idle(level));
}

#[test]
fn one_callers_share_has_an_end_of_its_own() {
    let seats = FlowControl::new(PriorityLevels { users: LevelLimits { in_flight: 1_000, each: 3, ..SMALL }, ..PriorityLevels::of_watches() });
    assert_eq!((flood(&seats, "a", 0).len(), flood(&seats, "b", 0).len()), (3, 3));
}

#[tokio::test]
async fn places_go_around() {
    let seats = seats();
    let admitted = |name: &str, n: usize| -> Vec<InFlightRequest> { (0..n).map(|_| seats.uncounted(&gateway(), &user(name))).collect() };
    let (a, b) = (admitted("a", 6), admitted("b", 2));
    assert!(a[0].take_seat().now_or_never().is_some() && a[1].take_seat().now_or_never().is_some());
    let mut waiting: Vec<_> = a[2..].iter().chain(&b).map(|admitted| admitted.take_seat().boxed().fuse()).collect();
    assert!(waiting.iter_mut().all(|wait| wait.now_or_never().is_none()));
    // one of each in turn, though a's came first
    let mut order = Vec::new();
    for done in [&a[0], &a[1], &a[2], &b[0]] {
        done.give_up_seat();
        order.extend((0..waiting.len()).filter(|n| (&mut waiting[*n]).now_or_never().is_some()));
    }
    assert_eq!(order, [0, 4, 1, 5]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_too_long_is_told_so() {
    let seats = seats();
    let admitted: Vec<InFlightRequest> = (0..3).map(|_| seats.enter(&gateway(), &user("a"), 10).unwrap()).collect();
    admitted[0].take_seat().await.unwrap();
    admitted[1].take_seat().await.unwrap();
    assert_eq!(admitted[2].take_seat().await.unwrap_err().code(), 429);
    drop(admitted);
    idle(&seats.users);
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_nothing_behind() {
    let seats = seats();
    let admitted: Vec<InFlightRequest> = (0..5).map(|_| seats.enter(&gateway(), &user("a"), 10).unwrap()).collect();
    assert!(admitted[0].take_seat().now_or_never().is_some() && admitted[1].take_seat().now_or_never().is_some());
    let mut waits: Vec<BoxFuture<'_, Result<(), ApiError>>> = admitted[2..].iter().map(|admitted| admitted.take_seat().boxed()).collect();
    assert!(waits.iter_mut().all(|wait| wait.now_or_never().is_none()));
    drop(waits.remove(0));
    admitted[0].give_up_seat();
    // it was given to the next one, who goes before taking it
    drop(waits.remove(0));
    assert!(waits[0].as_mut().now_or_never().is_some());
    drop(waits);
    drop(admitted);
    idle(&seats.users);
}

#[tokio::test]
async fn what_is_set_aside_is_bounded_and_has_no_place() {
    let seats = seats();
    let admitted: Vec<InFlightRequest> = (0..3).map(|_| seats.enter(&gateway(), &user("a"), 1).unwrap()).collect();
    admitted.iter().take(2).for_each(|admitted| admitted.take_seat().now_or_never().unwrap().unwrap());
    let parked: Vec<ParkedBytes<'_>> = admitted.iter().map_while(|admitted| admitted.park().ok()).collect();
    assert_eq!(parked.len(), 2);
    assert!(admitted[2].take_seat().now_or_never().is_some());
    let other = seats.enter(&gateway(), &user("b"), 1).unwrap();
    assert!(other.park().is_ok());
    drop(parked);
    assert!(admitted[2].park().is_ok());
    drop((admitted, other));
    idle(&seats.users);
}

#[test]
fn what_is_held_counts() {
    let seats = seats();
    let admitted = flood(&seats, "a", 0);
    assert!(admitted[0].charge(6_001).is_ok() && admitted[1].charge(1).is_err());
    admitted[0].refund_all();
    assert!(admitted[1].charge(6_000).is_ok());
    drop(admitted);
    idle(&seats.users);
}

#[test]
fn a_requests_weight_is_its_bodys() {
    let request = |body: Body| Request::new(state_client::Verb::Create, "", "x", "", "").body(body);
    let value = json!({"metadata": {"name": "a", "labels": {"a": "b"}}, "list": ["x", 1, null, true], "text": "x".repeat(10_000)});
    let bytes = value.to_string();
    let (json, patch) = (Body::Json(bytes.clone().into()), Body::Patch(state_client::PatchKind::Merge, bytes.clone().into()));
    assert_eq!((weight(&request(Body::None)), weight(&request(json)), weight(&request(patch))), (0, bytes.len(), bytes.len()));
    let object = weight(&request(Body::Object(Box::new(model::Object::from_value(value).unwrap()))));
    assert!(object.abs_diff(bytes.len()) < 100, "{object} of {}", bytes.len());
}

/// What somebody does next.
#[derive(Clone, Debug)]
enum Step {
    Enter(u8, usize),
    Leave(usize),
    Work(usize),
    Rest(usize),
    GiveUp(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..16_usize;
    prop_oneof![
        (0..4_u8, 0..3_000_usize).prop_map(|(who, bytes)| Step::Enter(who, bytes)),
        which.clone().prop_map(Step::Leave),
        which.clone().prop_map(Step::Work),
        which.clone().prop_map(Step::Rest),
        which.prop_map(Step::GiveUp),
    ]
}

proptest! {
    /// Whatever they do, no more are worked on than there are seats, none is lost, and in the end all is as it was.
    #[test]
    fn rooms_are_left_as_they_were_found(steps in prop::collection::vec(step(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let seats = seats();
        let mut admitted: Vec<Arc<InFlightRequest>> = Vec::new();
        let mut waits: Vec<BoxFuture<'static, Result<Seat, ApiError>>> = Vec::new();
        let mut working: Vec<Seat> = Vec::new();
        for step in steps {
            match step {
                Step::Enter(who, bytes) => admitted.extend(seats.enter(&gateway(), &user(&who.to_string()), bytes).ok().map(Arc::new)),
                Step::Leave(n) if n < admitted.len() => drop(admitted.swap_remove(n)),
                Step::Work(n) => if let Some(admitted) = admitted.get(n).cloned() {
                    waits.push(async move { admitted.seat().await }.boxed());
                },
                Step::Rest(n) if n < working.len() => drop(working.swap_remove(n)),
                Step::GiveUp(n) if n < waits.len() => drop(waits.swap_remove(n)),
                _ => {}
            }
            let mut pending = Vec::new();
            for mut wait in waits {
                match wait.as_mut().now_or_never() {
                    Some(seat) => working.push(seat.unwrap()),
                    None => pending.push(wait),
                }
            }
            waits = pending;
            prop_assert!(working.len() <= SMALL.seats);
            prop_assert!(waits.is_empty() || working.len() == SMALL.seats, "somebody waits beside a free seat");
        }
        drop((waits, working, admitted));
        idle(&seats.users);
    }
}
