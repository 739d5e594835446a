//! TLS of the client: which NATS servers it connects to, and which certificates it accepts.
use async_nats::rustls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};

/// The name in the certificate of a cluster's embedded server. The cluster's CA gives it to no other, so that the address at which a node reaches
/// the server need not be known when the certificate is made.
pub const SERVER_NAME: &str = "nats.whalesong.internal";

/// Which servers are trusted.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// Those whose name the system's authorities vouch for, where the address says `tls://` or the server wants TLS; any other without TLS.
    #[default]
    System,
    /// Those whose name, or [`SERVER_NAME`], this authority (PEM) vouches for. There is no connection without TLS.
    Ca(String),
    /// The same, where the authority is one that the server shows and whose certificate has this digest.
    Pinned(Pin),
}

/// An authority that is known by its digest only, until it was seen.
#[derive(Clone, Debug)]
pub struct Pin {
    digest: [u8; 32],
    seen: Arc<OnceLock<CertificateDer<'static>>>,
}

impl Pin {
    /// An authority by the SHA-256 digest of its certificate (DER).
    pub fn new(digest: [u8; 32]) -> Self {
        Self { digest, seen: Arc::default() }
    }

    /// The digest of the first certificate in a PEM text.
    ///
    /// # Errors
    /// The reason in words when there is none.
    pub fn digest(pem: &str) -> Result<[u8; 32], String> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| e.to_string())?;
        Ok(Sha256::digest(&der).into())
    }

    /// A digest as text, hexadecimal.
    pub fn hex(digest: &[u8; 32]) -> String {
        digest.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
    }

    /// The digest that such a text is.
    pub fn from_hex(text: &str) -> Option<[u8; 32]> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(digest)
    }

    /// The authority's certificate (DER), once a server has shown it and was verified by it.
    pub fn seen(&self) -> Option<&[u8]> {
        self.seen.get().map(AsRef::as_ref)
    }

    fn find<'a>(&self, shown: &'a [CertificateDer<'a>]) -> Option<&'a CertificateDer<'a>> {
        shown.iter().find(|cert| <[u8; 32]>::from(Sha256::digest(cert)) == self.digest)
    }
}

impl Trust {
    /// How TLS is spoken; `None`: as the library does by itself.
    ///
    /// # Errors
    /// The reason in words when the authority can't be used.
    pub(crate) fn client_config(&self) -> Result<Option<ClientConfig>, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authority = match self {
            Self::System => return Ok(None),
            Self::Ca(pem) => {
                let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| format!("the CA's certificate can't be read: {e}"))?;
                Authority::Known(verifier(&der, &provider).map_err(|e| format!("the CA's certificate can't be used: {e}"))?)
            }
            Self::Pinned(pin) => Authority::Pinned(pin.clone()),
        };
        let verifier = Arc::new(Verifier { authority, provider: provider.clone() });
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
        Ok(Some(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
    }
}

fn verifier(authority: &CertificateDer<'_>, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone().into_owned()).map_err(|e| e.to_string())?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().map_err(|e: VerifierBuilderError| e.to_string())
}

#[derive(Debug)]
enum Authority {
    Known(Arc<WebPkiServerVerifier>),
    Pinned(Pin),
}

#[derive(Debug)]
struct Verifier {
    authority: Authority,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// The certificate names the server as it was reached, or as embedded servers are called.
    fn verify(
        by: &WebPkiServerVerifier,
        server: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        reached: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (cert, shown) = server;
        let as_reached = by.verify_server_cert(cert, shown, reached, ocsp, now);
        let Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) = as_reached else {
            return as_reached;
        };
        let name = ServerName::try_from(SERVER_NAME).map_err(|_| rustls::Error::General("the server's name is no name".to_owned()))?;
        by.verify_server_cert(cert, shown, &name, ocsp, now)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        shown: &[CertificateDer<'_>],
        reached: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.authority {
            Authority::Known(by) => Self::verify(by, (cert, shown), reached, ocsp, now),
            Authority::Pinned(pin) => {
                let authority = pin.find(shown).ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
                let by = verifier(authority, &self.provider).map_err(rustls::Error::General)?;
                let verified = Self::verify(&by, (cert, shown), reached, ocsp, now)?;
                pin.seen.get_or_init(|| authority.clone().into_owned());
                Ok(verified)
            }
        }
    }

    fn verify_tls12_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
