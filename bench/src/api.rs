//! A client of any Kubernetes API server, by kubeconfig: raw requests, so that as little as possible of what is measured is the client's own.
use futures::io::{AsyncBufRead, AsyncBufReadExt};
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use serde_json::Value;
use std::path::Path;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The kubeconfig can't be read or lacks something.
    #[error("the kubeconfig is of no use: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// No answer, or an error as answer.
    #[error(transparent)]
    Request(#[from] kube::Error),
    /// A path that is no URI.
    #[error(transparent)]
    Uri(#[from] http::Error),
    /// An answer that isn't JSON.
    #[error("the answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A stream that broke.
    #[error("the stream broke: {0}")]
    Stream(#[from] std::io::Error),
}

/// A way to the API server. Clones share its connections.
#[derive(Clone)]
pub struct Api {
    config: Config,
    client: Client,
}

impl Api {
    /// From a kubeconfig.
    ///
    /// # Errors
    /// [`ApiError::Kubeconfig`] when it can't be used.
    pub async fn new(kubeconfig: &Path) -> Result<Self, ApiError> {
        let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &KubeConfigOptions::default()).await?;
        Ok(Self { client: Client::try_from(config.clone())?, config })
    }

    /// The same access over connections of its own.
    ///
    /// # Errors
    /// When the client can't be made.
    pub fn fresh(&self) -> Result<Self, ApiError> {
        Ok(Self { client: Client::try_from(self.config.clone())?, config: self.config.clone() })
    }

    /// Sends a request and reads the answer without parsing it.
    ///
    /// # Errors
    /// [`ApiError`] when there is no answer or it is an error.
    pub async fn text(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Result<String, ApiError> {
        let request = Request::builder().method(method).uri(path).header("content-type", content_type).body(body)?;
        Ok(self.client.request_text(request).await?)
    }

    /// Reads without parsing.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn read(&self, path: &str) -> Result<String, ApiError> {
        self.text(Method::GET, path, "application/json", Vec::new()).await
    }

    /// Reads.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        Ok(serde_json::from_str(&self.read(path).await?)?)
    }

    /// Creates.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn post(&self, path: &str, object: &Value) -> Result<String, ApiError> {
        self.text(Method::POST, path, "application/json", object.to_string().into_bytes()).await
    }

    /// Merge-patches.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn merge(&self, path: &str, patch: &Value) -> Result<String, ApiError> {
        self.text(Method::PATCH, path, "application/merge-patch+json", patch.to_string().into_bytes()).await
    }

    /// Deletes, with options.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn delete(&self, path: &str, options: &Value) -> Result<String, ApiError> {
        self.text(Method::DELETE, path, "application/json", options.to_string().into_bytes()).await
    }

    /// Opens a watch; each line of the stream is one event.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn watch(&self, path: &str) -> Result<Events<impl AsyncBufRead + use<>>, ApiError> {
        let request = Request::get(path).body(Vec::new())?;
        Ok(Events { stream: Box::pin(self.client.request_stream(request).await?), line: String::new() })
    }

    /// Makes a namespace of a name that starts with `prefix`, and waits until pods can be made there: until its default service account is.
    ///
    /// # Errors
    /// As [`Api::text`].
    pub async fn namespace(&self, prefix: &str) -> Result<String, ApiError> {
        let name = format!("{prefix}-{}", std::process::id());
        self.post("/api/v1/namespaces", &serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await?;
        let mut accounts = self.watch(&format!("/api/v1/namespaces/{name}/serviceaccounts?watch=true&resourceVersion=0&timeoutSeconds=10")).await?;
        while let Some(event) = accounts.next().await? {
            if event["object"]["metadata"]["name"] == "default" {
                break;
            }
        }
        Ok(name)
    }
}

/// The events of a watch.
pub struct Events<S> {
    stream: std::pin::Pin<Box<S>>,
    line: String,
}

impl<S: AsyncBufRead> Events<S> {
    /// The next event; `None` at the stream's end.
    ///
    /// # Errors
    /// [`ApiError::Stream`] and [`ApiError::Json`].
    pub async fn next(&mut self) -> Result<Option<Value>, ApiError> {
        self.line.clear();
        if self.stream.read_line(&mut self.line).await? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&self.line)?))
    }
}
