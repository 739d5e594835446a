//! The controller: a lamp has a ConfigMap with its colour, and leaves one when it goes.
use crate::lamp::{Lamp, LampStatus, MANAGER};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event as Told, EventType, Recorder};
use kube::runtime::finalizer::{self, Event, finalizer};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const FINALIZER: &str = "clients.whalesong.dev/dark";

/// Why a lamp could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("{0}")]
    Api(#[from] kube::Error),
    #[error("{0}")]
    Finalizer(#[from] Box<finalizer::Error<Failed>>),
}

struct Context {
    client: Client,
    recorder: Recorder,
}

/// Reconciles until the process is told to end.
pub async fn run(client: Client) {
    let (lamps, maps): (Api<Lamp>, Api<ConfigMap>) = (Api::all(client.clone()), Api::all(client.clone()));
    let recorder = Recorder::new(client.clone(), MANAGER.into());
    let controller = Controller::new(lamps, watcher::Config::default().streaming_lists()).owns(maps, watcher::Config::default()).shutdown_on_signal();
    let done = controller.run(reconcile, |_, error, _| retry(error), Arc::new(Context { client, recorder }));
    done.for_each(|done| async move {
        match done {
            Ok((lamp, _)) => println!("reconciled {}", lamp.name),
            Err(e) => println!("failed: {e}"),
        }
    })
    .await;
}

fn retry(_: &Failed) -> Action {
    Action::requeue(Duration::from_secs(1))
}

async fn reconcile(lamp: Arc<Lamp>, context: Arc<Context>) -> Result<Action, Failed> {
    let lamps: Api<Lamp> = Api::namespaced(context.client.clone(), &lamp.namespace().unwrap_or_default());
    let reconciled = finalizer(&lamps, FINALIZER, lamp, |event| async {
        match event {
            Event::Apply(lamp) => shine(&lamp, &context).await,
            Event::Cleanup(lamp) => darken(&lamp, &context).await,
        }
    });
    Ok(reconciled.await.map_err(Box::new)?)
}

async fn shine(lamp: &Lamp, context: &Context) -> Result<Action, Failed> {
    let (name, namespace) = (lamp.name_any(), lamp.namespace().unwrap_or_default());
    let metadata =
        ObjectMeta { name: Some(name.clone()), owner_references: Some(lamp.controller_owner_ref(&()).into_iter().collect()), ..ObjectMeta::default() };
    let data = BTreeMap::from([("colour".to_owned(), format!("{:?} {}", lamp.spec.colour, lamp.spec.brightness))]);
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &namespace);
    let map = ConfigMap { metadata, data: Some(data), ..ConfigMap::default() };
    maps.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(map)).await?;
    if lamp.status.is_none() {
        let told = Told { type_: EventType::Normal, reason: "Lit".into(), note: Some("the lamp shines".into()), action: "Light".into(), secondary: None };
        context.recorder.publish(&told, &lamp.object_ref(&())).await?;
    }
    report(lamp, context).await?;
    Ok(Action::requeue(Duration::from_secs(300)))
}

/// The status is applied; a condition keeps the time of its last change.
async fn report(lamp: &Lamp, context: &Context) -> Result<(), Failed> {
    let before = lamp.status.as_ref().and_then(|s| s.conditions.first()).map(|c| c.last_transition_time.clone());
    let condition = Condition {
        type_: "Shines".into(),
        status: "True".into(),
        reason: "Lit".into(),
        message: format!("in {:?}", lamp.spec.colour),
        observed_generation: lamp.metadata.generation,
        last_transition_time: before.unwrap_or_else(|| Time(Timestamp::now())),
    };
    let status = LampStatus { observed_generation: lamp.metadata.generation, conditions: vec![condition] };
    let patch = serde_json::json!({"apiVersion": Lamp::api_version(&()), "kind": Lamp::kind(&()), "status": status});
    let lamps: Api<Lamp> = Api::namespaced(context.client.clone(), &lamp.namespace().unwrap_or_default());
    lamps.patch_status(&lamp.name_any(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await?;
    Ok(())
}

async fn darken(lamp: &Lamp, context: &Context) -> Result<Action, Failed> {
    let name = format!("dark-{}", lamp.name_any());
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &lamp.namespace().unwrap_or_default());
    let map = ConfigMap { metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() }, ..ConfigMap::default() };
    maps.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(map)).await?;
    Ok(Action::await_change())
}
