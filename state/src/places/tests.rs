use super::*;
use futures::FutureExt;
use futures::future::BoxFuture;
use proptest::prelude::*;
use serde_json::json;

const SMALL: LevelLimits = LevelLimits { seats: 2, present: 12, each: 12, bytes: 12_000, aside: 4 * LEAST };

fn places() -> FlowControl {
    FlowControl::new(PriorityLevels { components: SMALL, nodes: SMALL, users: SMALL })
}

fn gateway() -> Caller {
    Caller::new(Role::Gateway, "g")
}

fn user(name: &str) -> User {
    User { name: name.to_owned(), ..User::default() }
}

/// As many requests of this user as are let in.
fn flood(places: &FlowControl, name: &str, bytes: usize) -> Vec<InFlightRequest> {
    std::iter::from_fn(|| places.enter(&gateway(), &user(name), bytes).ok()).take(1_000).collect()
}

fn idle(room: &PriorityLevel) {
    let state = room.lock();
    assert_eq!((state.free, state.present, state.bytes, state.aside), (room.limits.seats, 0, 0, 0));
    assert!(state.flows.is_empty() && state.round_robin.is_empty(), "{:?}", state.round_robin);
}

#[test]
fn nobody_takes_all_the_room() {
    let places = places();
    let (first, second, third) = (flood(&places, "a", 0), flood(&places, "b", 0), flood(&places, "c", 0));
    assert_eq!((first.len(), second.len(), third.len()), (6, 3, 2));
    let refusal = places.enter(&gateway(), &user("a"), 0).err().unwrap();
    assert_eq!((refusal.code(), refusal.details.unwrap().retry_after_seconds), (429, 1));
    assert!(places.enter(&gateway(), &user("newcomer"), 0).is_ok());
    drop((first, second, third));
    // the same of bytes: a request is as large as it is
    assert_eq!(flood(&places, "a", 2_000).len(), 3);
    assert_eq!(flood(&places, "a", 12_001).len(), 0);
    idle(&places.users);
}

#[test]
fn each_kind_of_callers_has_a_room_of_its_own() {
    let places = places();
    let _users: Vec<Vec<InFlightRequest>> = (0..50).map(|n| flood(&places, &format!("u{n}"), 0)).collect();
    assert!(places.enter(&gateway(), &user("other"), 0).is_err());
    let node = |name: &str| User { name: format!("system:node:{name}"), groups: vec!["system:nodes".into()], ..User::default() };
    let agent = |name: &str| places.enter(&Caller::new(Role::Agent, name), &node(name), 0);
    assert!(places.enter(&gateway(), &user("system:apiserver"), 0).is_ok());
    // components don't compete: one may have all of their room
    let controllers: Vec<_> = (0..12).map_while(|_| places.enter(&Caller::new(Role::Controllers, "c"), &user("c"), 0).ok()).collect();
    assert_eq!(controllers.len(), 12);
    let hostile: Vec<_> = std::iter::from_fn(|| agent("n1").ok()).take(100).collect();
    assert_eq!(hostile.len(), 6);
    // a node's first request comes in, however many nodes there are
    let others: Vec<_> = (2..30).map(|n| agent(&format!("n{n}")).unwrap()).collect();
    assert!(agent("n2").is_err());
    // by whichever way it comes
    assert!(places.enter(&gateway(), &node("n40"), 0).is_ok());
    drop((controllers, hostile, others));
    [&places.components, &places.nodes].into_iter().for_each(|room| idle(room));
}

#[test]
fn one_callers_share_has_an_end_of_its_own() {
    let places = FlowControl::new(PriorityLevels { users: LevelLimits { present: 1_000, each: 3, ..SMALL }, ..PriorityLevels::of_watches() });
    assert_eq!((flood(&places, "a", 0).len(), flood(&places, "b", 0).len()), (3, 3));
}

#[tokio::test]
async fn places_go_around() {
    let places = places();
    let guests = |name: &str, n: usize| -> Vec<InFlightRequest> { (0..n).map(|_| places.inside(&gateway(), &user(name))).collect() };
    let (a, b) = (guests("a", 6), guests("b", 2));
    assert!(a[0].work().now_or_never().is_some() && a[1].work().now_or_never().is_some());
    let mut waiting: Vec<_> = a[2..].iter().chain(&b).map(|guest| guest.work().boxed().fuse()).collect();
    assert!(waiting.iter_mut().all(|wait| wait.now_or_never().is_none()));
    // one of each in turn, though a's came first
    let mut order = Vec::new();
    for done in [&a[0], &a[1], &a[2], &b[0]] {
        done.rest();
        order.extend((0..waiting.len()).filter(|n| (&mut waiting[*n]).now_or_never().is_some()));
    }
    assert_eq!(order, [0, 4, 1, 5]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_too_long_is_told_so() {
    let places = places();
    let guests: Vec<InFlightRequest> = (0..3).map(|_| places.enter(&gateway(), &user("a"), 10).unwrap()).collect();
    guests[0].work().await.unwrap();
    guests[1].work().await.unwrap();
    assert_eq!(guests[2].work().await.unwrap_err().code(), 429);
    drop(guests);
    idle(&places.users);
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_nothing_behind() {
    let places = places();
    let guests: Vec<InFlightRequest> = (0..5).map(|_| places.enter(&gateway(), &user("a"), 10).unwrap()).collect();
    assert!(guests[0].work().now_or_never().is_some() && guests[1].work().now_or_never().is_some());
    let mut waits: Vec<BoxFuture<'_, Result<(), ApiError>>> = guests[2..].iter().map(|guest| guest.work().boxed()).collect();
    assert!(waits.iter_mut().all(|wait| wait.now_or_never().is_none()));
    drop(waits.remove(0));
    guests[0].rest();
    // it was given to the next one, who goes before taking it
    drop(waits.remove(0));
    assert!(waits[0].as_mut().now_or_never().is_some());
    drop(waits);
    drop(guests);
    idle(&places.users);
}

#[tokio::test]
async fn what_is_set_aside_is_bounded_and_has_no_place() {
    let places = places();
    let guests: Vec<InFlightRequest> = (0..3).map(|_| places.enter(&gateway(), &user("a"), 1).unwrap()).collect();
    guests.iter().take(2).for_each(|guest| guest.work().now_or_never().unwrap().unwrap());
    let aside: Vec<ParkedBytes<'_>> = guests.iter().map_while(|guest| guest.aside().ok()).collect();
    assert_eq!(aside.len(), 2);
    assert!(guests[2].work().now_or_never().is_some());
    let other = places.enter(&gateway(), &user("b"), 1).unwrap();
    assert!(other.aside().is_ok());
    drop(aside);
    assert!(guests[2].aside().is_ok());
    drop((guests, other));
    idle(&places.users);
}

#[test]
fn what_is_held_counts() {
    let places = places();
    let guests = flood(&places, "a", 0);
    assert!(guests[0].hold(6_001).is_ok() && guests[1].hold(1).is_err());
    guests[0].release();
    assert!(guests[1].hold(6_000).is_ok());
    drop(guests);
    idle(&places.users);
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
    /// Whatever they do, no more are worked on than there are places, none is lost, and in the end all is as it was.
    #[test]
    fn rooms_are_left_as_they_were_found(steps in prop::collection::vec(step(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let places = places();
        let mut guests: Vec<Arc<InFlightRequest>> = Vec::new();
        let mut waits: Vec<BoxFuture<'static, Result<Seat, ApiError>>> = Vec::new();
        let mut working: Vec<Seat> = Vec::new();
        for step in steps {
            match step {
                Step::Enter(who, bytes) => guests.extend(places.enter(&gateway(), &user(&who.to_string()), bytes).ok().map(Arc::new)),
                Step::Leave(n) if n < guests.len() => drop(guests.swap_remove(n)),
                Step::Work(n) => if let Some(guest) = guests.get(n).cloned() {
                    waits.push(async move { guest.place().await }.boxed());
                },
                Step::Rest(n) if n < working.len() => drop(working.swap_remove(n)),
                Step::GiveUp(n) if n < waits.len() => drop(waits.swap_remove(n)),
                _ => {}
            }
            let mut pending = Vec::new();
            for mut wait in waits {
                match wait.as_mut().now_or_never() {
                    Some(place) => working.push(place.unwrap()),
                    None => pending.push(wait),
                }
            }
            waits = pending;
            prop_assert!(working.len() <= SMALL.seats);
            prop_assert!(waits.is_empty() || working.len() == SMALL.seats, "somebody waits beside a free place");
        }
        drop((waits, working, guests));
        idle(&places.users);
    }
}
