//! The custom resource, and its definition.
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, CustomResource, CustomResourceExt, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{error::Error, time::Duration};

/// Who applies.
pub const MANAGER: &str = "kube-rs-operator";

/// What is wanted of a lamp.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, KubeSchema)]
#[kube(group = "clients.whalesong.dev", version = "v1", kind = "Lamp", namespaced, status = "LampStatus", shortname = "lmp")]
#[kube(printcolumn = r#"{"name": "Colour", "type": "string", "jsonPath": ".spec.colour"}"#)]
#[x_kube(validation = Rule::new("self.colour != 'red' || self.brightness != 99").message("red lamps are never at 99"))]
#[x_kube(validation = Rule::new("self.brightness >= oldSelf.brightness / 10").message("dim it slowly").field_path(".brightness"))]
#[serde(rename_all = "camelCase")]
pub struct LampSpec {
    /// What it shines in.
    pub colour: Colour,
    /// How bright, in percent.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "full")]
    pub brightness: u8,
    pub note: Option<String>,
}

fn full() -> u8 {
    100
}

/// Colours that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    Red,
    Green,
    Blue,
}

/// What the controller has seen and done.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LampStatus {
    pub observed_generation: Option<i64>,
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Applies the definition, and waits until it is served.
pub async fn define(client: Client) -> Result<(), Box<dyn Error>> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let name = Lamp::crd_name();
    definitions.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(Lamp::crd())).await?;
    let established = await_condition(definitions, name, conditions::is_crd_established());
    tokio::time::timeout(Duration::from_secs(30), established).await??;
    Ok(())
}
