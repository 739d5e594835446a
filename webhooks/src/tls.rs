//! Whose certificates are accepted of a webhook: those that its authorities vouch for, and those that are among its authorities themselves. The latter are
//! what `openssl req -x509` makes; Go's clients, for which webhooks are written, accept them.
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use tokio_rustls::rustls;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The TLS of connections to servers that `authorities` (PEM) vouch for; those of this machine, when there are none.
///
/// # Errors
/// One sentence, when no certificate can be read.
pub fn config(authorities: &[u8]) -> Result<ClientConfig, String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let given = if authorities.is_empty() { system() } else { certificates(authorities)? };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(given.iter().cloned());
    if roots.is_empty() {
        return Err("there is no certificate of an authority to verify the server's by".to_owned());
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().map_err(|e| e.to_string())?;
    let verifier = Verifier { verifier, given, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|e| format!("caBundle can't be read: {e}"))
}

/// What this machine trusts.
fn system() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::debug!(%error, "some authorities of this machine can't be read");
    }
    found.certs
}

#[derive(Debug)]
struct Verifier {
    verifier: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

/// A certificate that is trusted by itself is of the right name and in its time.
fn is_itself_valid(shown: &CertificateDer<'_>, server: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    let wrong = |error| Error::InvalidCertificate(error);
    let (_, certificate) = X509Certificate::from_der(shown).map_err(|_| wrong(CertificateError::BadEncoding))?;
    let (validity, now) = (certificate.validity(), i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    if now < validity.not_before.timestamp() {
        return Err(wrong(CertificateError::NotValidYet));
    }
    if now > validity.not_after.timestamp() {
        return Err(wrong(CertificateError::Expired));
    }
    verify_server_name(&ParsedCertificate::try_from(shown)?, server)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.given.iter().any(|given| given == shown) {
            return is_itself_valid(shown, server, now).map(|()| ServerCertVerified::assertion());
        }
        self.verifier.verify_server_cert(shown, chain, server, ocsp, now)
    }

    fn verify_tls12_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
