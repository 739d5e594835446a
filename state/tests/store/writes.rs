//! Compare-and-swap, deletion markers, group commit.
use crate::fixture::{Nats, delete, key, put, value};
use state::store::CommitError;

#[tokio::test(flavor = "multi_thread")]
async fn compare_and_swap() {
    let nats = Nats::start();
    let store = nats.store().await;
    let a = key("a");
    let one = put(&store, &a, 0, 1).await.unwrap();
    assert_eq!(one.object().resource_version(), one.revision.to_string());
    assert_eq!(store.get(&a).unwrap().revision, one.revision);
    assert_eq!(put(&store, &a, 0, 2).await.unwrap_err(), CommitError::Conflict, "it exists");
    assert_eq!(put(&store, &key("b"), one.revision, 2).await.unwrap_err(), CommitError::Conflict, "it doesn't exist");
    let two = put(&store, &a, one.revision, 2).await.unwrap();
    assert!(two.revision > one.revision);
    assert_eq!(put(&store, &a, one.revision, 3).await.unwrap_err(), CommitError::Conflict, "it is older");
    assert_eq!(value(&store.get(&a).unwrap()), 2);
    let gone = delete(&store, &two).await.unwrap();
    assert!(gone.revision > two.revision && value(&gone) == 2);
    assert!(store.get(&a).is_none());
    assert_eq!(put(&store, &a, two.revision, 3).await.unwrap_err(), CommitError::Conflict, "it is gone");
    let again = put(&store, &a, 0, 4).await.unwrap();
    assert!(again.revision > gone.revision);
}
