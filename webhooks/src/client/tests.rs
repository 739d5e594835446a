use super::*;
use crate::client_config::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// What a server does with a request once it has read some of it.
#[derive(Clone, Copy)]
enum Answer {
    Text(&'static str),
    Endless,
    Silent,
}

struct Here(SocketAddr);

impl Services for Here {
    fn resolve(&self, _namespace: &str, name: &str, _port: u16) -> Result<SocketAddr, String> {
        if name == "gone" { Err("service \"gone\" not found".to_owned()) } else { Ok(self.0) }
    }
}

/// A server whose certificate, which it has signed itself, is of these names. Returns its address and the certificate.
async fn server(names: &[&str], answer: Answer) -> (SocketAddr, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(socket).await else { return };
                let mut request = [0; 4_096];
                let _read = stream.read(&mut request).await;
                match answer {
                    Answer::Text(text) => {
                        stream.write_all(text.as_bytes()).await.unwrap_or_default();
                        stream.shutdown().await.unwrap_or_default();
                    }
                    Answer::Silent => std::future::pending().await,
                    Answer::Endless => {
                        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                        while sent.is_ok() {
                            sent = stream.write_all(&[b' '; 65_536]).await;
                        }
                    }
                }
            });
        }
    });
    (address, made.cert.pem().into_bytes())
}

fn service(name: &str, authorities: Vec<u8>) -> ClientConfig {
    let endpoint = Endpoint::Service { namespace: "n".to_owned(), name: name.to_owned(), path: "/p".to_owned(), port: 443 };
    ClientConfig { endpoint, authorities }
}

async fn ask(config: &ClientConfig, address: SocketAddr, timeout: Duration) -> Result<String, String> {
    let answer = Client::default().post(config, &Here(address), timeout, b"{}".to_vec()).await;
    answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|e| e.to_string())
}

const WELL: Answer = Answer::Text("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_service_is_known_by_its_certificate() {
    let (address, pem) = server(&["s.n.svc"], WELL).await;
    assert_eq!(ask(&service("s", pem.clone()), address, SECOND).await, Ok("ok".to_owned()));
    let other = ask(&service("other", pem.clone()), address, SECOND).await.unwrap_err();
    assert!(other.contains("certificate not valid for name"), "{other}");
    let (_, stranger) = server(&["s.n.svc"], WELL).await;
    let unknown = ask(&service("s", stranger), address, SECOND).await.unwrap_err();
    assert!(unknown.contains("invalid peer certificate"), "{unknown}");
    assert_eq!(ask(&service("gone", pem), address, SECOND).await, Err("service \"gone\" not found".to_owned()));
    assert!(ask(&service("s", b"no pem".to_vec()), address, SECOND).await.is_err());
}

#[tokio::test]
async fn a_url_is_asked_as_it_is() {
    let (address, authorities) = server(&["localhost"], WELL).await;
    let config = |url: String| ClientConfig { endpoint: Endpoint::Url(url), authorities: authorities.clone() };
    assert_eq!(ask(&config(format!("https://localhost:{}/x", address.port())), address, SECOND).await, Ok("ok".to_owned()));
    let plain = ask(&config(format!("http://localhost:{}/x", address.port())), address, SECOND).await;
    assert!(plain.is_err());
    let nobody = ask(&config("https://localhost:1/x".to_owned()), address, SECOND).await.unwrap_err();
    assert!(nobody.starts_with("Post \"https://localhost:1/x?timeout=1s\": ") && nobody.to_lowercase().contains("connection refused"), "{nobody}");
}

#[tokio::test]
async fn what_hangs_or_never_ends_is_left() {
    let (address, authorities) = server(&["s.n.svc"], Answer::Silent).await;
    let late = ask(&service("s", authorities), address, Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(late, "Post \"https://s.n.svc:443/p?timeout=1s\": context deadline exceeded");
    let (address, authorities) = server(&["s.n.svc"], Answer::Endless).await;
    let large = ask(&service("s", authorities), address, Duration::from_secs(60)).await.unwrap_err();
    assert!(large.contains("larger than"), "{large}");
    let (address, authorities) = server(&["s.n.svc"], Answer::Text("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")).await;
    let failed = ask(&service("s", authorities.clone()), address, SECOND).await.unwrap_err();
    assert!(failed.contains("500"), "{failed}");
    let (address, authorities) = server(&["s.n.svc"], Answer::Text("garbage\r\n\r\n")).await;
    assert!(ask(&service("s", authorities), address, SECOND).await.is_err());
}
