//! A server of webhooks in the test's own process: it answers as the test says, and remembers what it was asked.
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What a test answers: to a path and a review the body of the answer, `None` for none at all.
pub type Handler = Arc<dyn Fn(&str, &Value) -> Option<String> + Send + Sync>;

/// The server. It ends with the test.
pub struct WebhookServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its certificate, which it has signed itself, in PEM.
    pub pem: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    _runtime: tokio::runtime::Runtime,
}

impl WebhookServer {
    /// Starts to listen on all addresses of this machine, with a certificate of these names and addresses.
    ///
    /// # Panics
    /// When it can't listen.
    pub fn start(names: &[&str], handler: impl Fn(&str, &Value) -> Option<String> + Send + Sync + 'static) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), Arc::new(handler), asked.clone()));
        Self { address, pem: made.cert.pem(), asked, _runtime: runtime }
    }

    /// What it was asked at a path.
    ///
    /// # Panics
    /// When a handler panicked.
    pub fn asked(&self, path: &str) -> Vec<Value> {
        self.asked.lock().unwrap().iter().filter(|(at, _)| at == path).map(|(_, review)| review.clone()).collect()
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, handler: Handler, asked: Arc<Mutex<Vec<(String, Value)>>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, handler, asked) = (tls.clone(), handler.clone(), asked.clone());
        tokio::spawn(async move {
            let Ok(mut stream) = tls.accept(socket).await else { return };
            let Some((path, review)) = request(&mut stream).await else { return };
            asked.lock().unwrap().push((path.clone(), review.clone()));
            // a handler may ask the cluster, and wait for its answer
            let answer = tokio::task::block_in_place(|| handler(&path, &review));
            let Some(body) = answer else { return std::future::pending().await };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await.unwrap_or_default();
            stream.shutdown().await.unwrap_or_default();
        });
    }
}

/// Reads one request: its path without parameters, and its body.
async fn request(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<(String, Value)> {
    let (mut read, mut some) = (Vec::new(), [0; 65_536]);
    loop {
        let n = stream.read(&mut some).await.ok().filter(|n| *n > 0)?;
        read.extend_from_slice(&some[..n]);
        let Some(end) = read.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:").and_then(|n| n.trim().parse::<usize>().ok()))?;
        if read.len() < end + 4 + length {
            continue;
        }
        let path = head.split_whitespace().nth(1)?.split('?').next()?.to_owned();
        return Some((path, serde_json::from_slice(&read[end + 4..]).ok()?));
    }
}
