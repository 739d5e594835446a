//! How a webhook is reached: `clientConfig` of webhook configurations and of definitions of custom resources.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fmt;

/// The port of a Service whose reference names none.
const PORT: u16 = 443;

/// Where a webhook is served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// At a URL of scheme `https`.
    Url(String),
    /// By a Service of the cluster.
    Service {
        /// The Service's namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The path that is asked for: empty, or with a leading `/`.
        path: String,
        /// The Service's port.
        port: u16,
    },
}

/// Where a webhook is served, and whose certificate it shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientConfig {
    /// Where.
    pub endpoint: Endpoint,
    /// The certificates that the server's is verified by, in PEM; empty: those that this machine trusts.
    pub authorities: Vec<u8>,
}

impl ClientConfig {
    /// Reads a `clientConfig`. What is refused when it is written is refused here as well: what is stored may be older.
    ///
    /// # Errors
    /// One sentence.
    pub fn parse(config: &Value) -> Result<Self, String> {
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let authorities = STANDARD.decode(text(config, "caBundle")).map_err(|e| format!("caBundle is not base64: {e}"))?;
        let service = &config["service"];
        let endpoint = match config["url"].as_str() {
            Some(url) => Endpoint::Url(url.to_owned()),
            None if service.is_object() => Endpoint::Service {
                namespace: text(service, "namespace"),
                name: text(service, "name"),
                path: text(service, "path"),
                port: service["port"].as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0).unwrap_or(PORT),
            },
            None => return Err("exactly one of url or service is required".to_owned()),
        };
        Ok(Self { endpoint, authorities })
    }
}

impl fmt::Display for ClientConfig {
    /// The URL that is asked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Url(url) => f.write_str(url),
            Endpoint::Service { namespace, name, path, port } => write!(f, "https://{name}.{namespace}.svc:{port}{}", if path.is_empty() { "/" } else { path }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn by_url_and_by_service() {
        let of = |config: Value| ClientConfig::parse(&config).map(|c| c.to_string());
        assert_eq!(of(json!({"url": "https://a:1/b"})), Ok("https://a:1/b".to_owned()));
        assert_eq!(of(json!({"service": {"namespace": "n", "name": "s"}})), Ok("https://s.n.svc:443/".to_owned()));
        assert_eq!(of(json!({"service": {"namespace": "n", "name": "s", "path": "/p", "port": 8443}})), Ok("https://s.n.svc:8443/p".to_owned()));
        assert!(of(json!({})).is_err() && of(json!({"url": "https://a", "caBundle": "%"})).is_err());
        assert_eq!(ClientConfig::parse(&json!({"url": "https://a", "caBundle": "YQ=="})).unwrap().authorities, b"a");
    }
}
