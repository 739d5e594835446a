//! Connections to a server that speaks TLS: which servers are trusted, and that nobody gets in without.

use crate::common::{CLUSTER, SECOND};
use bus::server::{Server, ServerOptions, Tls};
use bus::{Bus, Caller, ConnectError, ConnectOptions, Pin, Role, SERVER_NAME, Trust};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::from_ca_cert_pem(&pem, key).unwrap(), pem }
    }

    fn issue(&self, name: &str) -> Tls {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Tls { certificates: cert + &self.pem, key: key.serialize_pem() }
    }
}

async fn connects(server: &Server, trust: Trust) -> Result<Bus, ConnectError> {
    Bus::connect(ConnectOptions::new(server.url(), CLUSTER, Caller::new(Role::State, "s")).trust(trust)).await
}

async fn server(tls: Tls) -> (Server, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Server::start(ServerOptions { tls: Some(tls), ..ServerOptions::new(directory.path()) }).await.unwrap(), directory)
}

#[tokio::test]
async fn a_server_is_known_by_the_clusters_authority_or_its_digest() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (mut server, directory) = server(ours.issue(SERVER_NAME)).await;
    assert!(server.url().starts_with("tls://127.0.0.1:"), "{}", server.url());
    let pin = Pin::new(Pin::digest(&ours.pem).unwrap());
    for trust in [Trust::Ca(ours.pem.clone()), Trust::Pinned(pin.clone())] {
        let bus = connects(&server, trust).await.unwrap();
        assert!(bus.last_heard().elapsed() < 5 * SECOND);
    }
    assert_eq!(
        Pin::digest(&ours.pem).unwrap(),
        <[u8; 32]>::from(sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), pin.seen().unwrap())))
    );
    let wrong = [Trust::Ca(other.pem.clone()), Trust::Pinned(Pin::new(Pin::digest(&other.pem).unwrap())), Trust::Pinned(Pin::new([0; 32])), Trust::System];
    for trust in wrong {
        let refused = connects(&server, trust.clone()).await.err();
        assert!(matches!(refused, Some(ConnectError::Untrusted { .. })), "{trust:?}: {refused:?}");
    }
    assert!(matches!(connects(&server, Trust::Ca("nonsense".to_owned())).await, Err(ConnectError::Trust(_))));
    // the key and the configuration are their owner's; a reload keeps what it had
    for file in ["nats-server.key", "nats-server.json"] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(directory.path().join(file)).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    server.authorize(vec![]).unwrap().done().await.unwrap();
    connects(&server, Trust::Ca(ours.pem)).await.unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_the_servers() {
    let ours = Authority::new();
    let (other, _directory) = server(ours.issue("gateway.example")).await;
    let refused = connects(&other, Trust::Ca(ours.pem.clone())).await.err();
    assert!(matches!(refused, Some(ConnectError::Untrusted { .. })), "{refused:?}");
    let (reached, _directory) = server(ours.issue("127.0.0.1")).await;
    connects(&reached, Trust::Ca(ours.pem)).await.unwrap();
}

#[tokio::test]
async fn who_wants_tls_does_not_do_without() {
    let ours = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let plain = Server::start(ServerOptions::new(directory.path())).await.unwrap();
    let refused = connects(&plain, Trust::Ca(ours.pem)).await.err();
    assert!(matches!(refused, Some(ConnectError::Untrusted { .. })), "{refused:?}");
}
