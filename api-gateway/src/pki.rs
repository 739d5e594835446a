//! The cluster's keys: its own CA, what the gateway shows, the administrator's certificate, and the key that signs service accounts' tokens.
//!
//! All of it is made on the first start in one directory, readable by its owner only, and kept: a certificate is made anew when it
//! is about to expire or doesn't name what it must.
use crate::kubeconfig;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    date_time_ymd,
};
use state_client::identity::MASTERS;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Names and addresses that the serving certificate always has: loopback, and how pods call the API.
const NAMES: [&str; 8] =
    ["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "10.96.0.1"];

/// A certificate that expires within so many seconds (30 days) is replaced at the start.
const RENEW_BEFORE: i64 = 30 * 24 * 3600;

/// Why the keys can't be had.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file or directory can't be read or written.
    #[error("cannot {what} {path}: {source}; check that the directory exists, is writable and has space")]
    Io {
        /// `read`, `write` or `create`.
        what: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key or certificate isn't what it should be.
    #[error(
        "{path} is not usable: {why}; restore it from a backup, or remove the directory's files to have new ones made (kubeconfigs made before stop working)"
    )]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A certificate can't be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// A certificate with its private key, both PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// The PKCS #8 key.
    pub key: String,
}

/// All keys of a cluster's API.
#[derive(Clone)]
pub struct Pki {
    dir: PathBuf,
    ca: String,
    serving: Pair,
    admin: Pair,
    service_account_key: String,
    service_account_public: String,
}

impl Pki {
    /// Opens the directory, making what is missing or about to expire. `names` are further host names and addresses of the API.
    ///
    /// # Errors
    /// [`PkiError`], with the remedy.
    pub fn open(dir: impl Into<PathBuf>, names: &[String]) -> Result<Self, PkiError> {
        let dir = dir.into();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|source| PkiError::Io { what: "create", path: dir.clone(), source })?;
        let ca = pair(&dir, "ca", |_| true, make_ca)?;
        let issuer = |ca: &Pair| Issuer::from_ca_cert_pem(&ca.cert, KeyPair::from_pem(&ca.key)?);
        let unusable = |e: rcgen::Error| PkiError::Unusable { path: dir.join("ca.crt"), why: e.to_string() };
        let issuer = issuer(&ca).map_err(unusable)?;
        let mut wanted: Vec<String> = NAMES.into_iter().map(str::to_owned).chain(names.iter().cloned()).collect();
        wanted.sort();
        wanted.dedup();
        let of_ca = |cert: &X509Certificate<'_>| issued_by(cert, &ca.cert);
        let serving = pair(&dir, "apiserver", |c| of_ca(c) && names_all(c, &wanted), || make_serving(&issuer, "whalesong-apiserver", &wanted))?;
        let admin = pair(&dir, "admin", of_ca, || make_client(&issuer, "admin", &[MASTERS]))?;
        let service_account_key = key_file(&dir.join("sa.key"))?;
        let unusable = |e: rcgen::Error| PkiError::Unusable { path: dir.join("sa.key"), why: e.to_string() };
        let service_account_public = KeyPair::from_pem(&service_account_key).map_err(unusable)?.public_key_pem();
        write(&dir.join("sa.pub"), &service_account_public)?;
        Ok(Self { dir, ca: ca.cert, serving, admin, service_account_key, service_account_public })
    }

    /// What the cluster's NATS server shows to its clients, with these names; made where it is missing, about to expire or without one of them.
    ///
    /// # Errors
    /// [`PkiError`], with the remedy.
    pub fn nats(&self, names: &[String]) -> Result<Pair, PkiError> {
        let unusable = |e: rcgen::Error| PkiError::Unusable { path: self.dir.join("ca.key"), why: e.to_string() };
        let key = read(&self.dir.join("ca.key"))?.unwrap_or_default();
        let issuer = KeyPair::from_pem(&key).and_then(|key| Issuer::from_ca_cert_pem(&self.ca, key)).map_err(unusable)?;
        pair(&self.dir, "nats", |c| issued_by(c, &self.ca) && names_all(c, names), || make_serving(&issuer, "whalesong-nats", names))
    }

    /// Where the files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// The CA's certificate, PEM: what clients and pods trust.
    pub fn ca(&self) -> &str {
        &self.ca
    }
    /// What the gateway shows to clients.
    pub fn serving(&self) -> &Pair {
        &self.serving
    }
    /// The administrator's certificate (`admin`, in `system:masters`).
    pub fn admin(&self) -> &Pair {
        &self.admin
    }
    /// The ES256 key that signs service accounts' tokens, PKCS #8 PEM.
    pub fn service_account_key(&self) -> &str {
        &self.service_account_key
    }
    /// Its public half, PEM.
    pub fn service_account_public(&self) -> &str {
        &self.service_account_public
    }
    /// A kubeconfig for the administrator.
    pub fn kubeconfig(&self, cluster: &str, server: &str) -> String {
        kubeconfig::render(cluster, server, &self.ca, (&self.admin.cert, &self.admin.key))
    }
    /// Writes [`Pki::kubeconfig`] to a file that only its owner may read.
    ///
    /// # Errors
    /// [`PkiError::Io`].
    pub fn write_kubeconfig(&self, path: &Path, cluster: &str, server: &str) -> Result<(), PkiError> {
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(|source| PkiError::Io { what: "create", path: parent.to_owned(), source })?;
        }
        write(path, &self.kubeconfig(cluster, server))
    }
}

/// Writes a private file whole or not at all: beside it first, then renamed over it.
fn write(path: &Path, text: &str) -> Result<(), PkiError> {
    let fail = |source| PkiError::Io { what: "write", path: path.to_owned(), source };
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).map_err(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
    fs::rename(&beside, path).map_err(fail)
}

fn read(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PkiError::Io { what: "read", path: path.to_owned(), source }),
    }
}

/// A stored certificate and key that satisfy `good` and last; otherwise new ones.
fn pair(dir: &Path, name: &str, good: impl Fn(&X509Certificate<'_>) -> bool, make: impl FnOnce() -> Result<Pair, rcgen::Error>) -> Result<Pair, PkiError> {
    let (cert_path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    match (read(&cert_path)?, read(&key_path)?) {
        (Some(cert), Some(key)) if still_good(&cert, &cert_path, &good)? => Ok(Pair { cert, key }),
        (Some(_), None) if name == "ca" => Err(PkiError::Unusable { path: key_path, why: "it is missing, and the CA's certificate is there".to_owned() }),
        _ => {
            let made = make()?;
            write(&key_path, &made.key)?;
            write(&cert_path, &made.cert)?;
            Ok(made)
        }
    }
}

fn still_good(pem: &str, path: &Path, good: &impl Fn(&X509Certificate<'_>) -> bool) -> Result<bool, PkiError> {
    let unusable = |why: String| PkiError::Unusable { path: path.to_owned(), why };
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|e| unusable(e.to_string()))?;
    let (_, cert) = X509Certificate::from_der(&block.contents).map_err(|e| unusable(e.to_string()))?;
    let left = cert.validity().not_after.timestamp() - jiff::Timestamp::now().as_second();
    Ok(left > RENEW_BEFORE && good(&cert))
}

/// Whether a certificate names this CA's key as its issuer's: false after the CA was made anew.
fn issued_by(cert: &X509Certificate<'_>, ca_pem: &str) -> bool {
    let key_id = |c: &X509Certificate<'_>, authority: bool| {
        c.extensions().iter().find_map(|e| match e.parsed_extension() {
            x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(a) if authority => a.key_identifier.as_ref().map(|k| k.0.to_vec()),
            x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(k) if !authority => Some(k.0.to_vec()),
            _ => None,
        })
    };
    let Ok((_, block)) = x509_parser::pem::parse_x509_pem(ca_pem.as_bytes()) else { return false };
    let Ok((_, ca)) = X509Certificate::from_der(&block.contents) else { return false };
    key_id(&ca, false).is_some_and(|id| key_id(cert, true) == Some(id))
}

fn names_all(cert: &X509Certificate<'_>, wanted: &[String]) -> bool {
    let Ok(Some(names)) = cert.subject_alternative_name() else { return false };
    let has: Vec<String> = names.value.general_names.iter().filter_map(name_text).collect();
    wanted.iter().all(|w| has.contains(w))
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(dns) => Some((*dns).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|b| std::net::IpAddr::from(b).to_string());
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(|b| std::net::IpAddr::from(b).to_string())).ok()
        }
        _ => None,
    }
}

fn key_file(path: &Path) -> Result<String, PkiError> {
    if let Some(pem) = read(path)? {
        return Ok(pem);
    }
    let pem = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_pem();
    write(path, &pem)?;
    Ok(pem)
}

/// A certificate's frame: who, from yesterday (clocks differ), for so many years.
fn params(names: &[String], common_name: &str, organisations: &[&str], years: i16) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    for organisation in organisations {
        subject.push(DnType::OrganizationName, *organisation);
    }
    params.distinguished_name = subject;
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let from = today.yesterday().unwrap_or(today);
    let at = |year: i16, date: jiff::civil::Date| date_time_ymd(year.into(), date.month().unsigned_abs(), date.day().unsigned_abs().min(28));
    params.not_before = at(from.year(), from);
    params.not_after = at(from.year().saturating_add(years), from);
    Ok(params)
}

fn make_ca() -> Result<Pair, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = params(&[], "whalesong-ca", &[], 10)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    Ok(Pair { cert: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

fn issue(issuer: &Issuer<'_, KeyPair>, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Result<Pair, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    Ok(Pair { cert: params.signed_by(&key, issuer)?.pem(), key: key.serialize_pem() })
}

fn make_serving(issuer: &Issuer<'_, KeyPair>, common_name: &str, names: &[String]) -> Result<Pair, rcgen::Error> {
    issue(issuer, params(names, common_name, &[], 1)?, ExtendedKeyUsagePurpose::ServerAuth)
}

fn make_client(issuer: &Issuer<'_, KeyPair>, user: &str, groups: &[&str]) -> Result<Pair, rcgen::Error> {
    issue(issuer, params(&[], user, groups, 5)?, ExtendedKeyUsagePurpose::ClientAuth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki");
        let first = Pki::open(&path, &[]).unwrap();
        let again = Pki::open(&path, &[]).unwrap();
        assert_eq!((first.ca(), &first.admin().cert, &first.serving().cert), (again.ca(), &again.admin().cert, &again.serving().cert));
        assert_eq!(first.service_account_key(), again.service_account_key());
        assert!(first.service_account_public().contains("PUBLIC KEY"));
        for file in fs::read_dir(&path).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        }
    }

    #[test]
    fn a_new_name_makes_a_new_serving_certificate_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pki::open(dir.path(), &[]).unwrap();
        let second = Pki::open(dir.path(), &["192.0.2.7".to_owned(), "api.example".to_owned()]).unwrap();
        assert_ne!(first.serving().cert, second.serving().cert);
        assert_eq!(first.ca(), second.ca());
        assert_eq!(first.admin().cert, second.admin().cert);
    }

    #[test]
    fn a_new_ca_makes_everything_new_and_a_lost_key_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pki::open(dir.path(), &[]).unwrap();
        fs::remove_file(dir.path().join("ca.key")).unwrap();
        assert!(Pki::open(dir.path(), &[]).is_err());
        fs::remove_file(dir.path().join("ca.crt")).unwrap();
        let second = Pki::open(dir.path(), &[]).unwrap();
        assert_ne!(first.admin().cert, second.admin().cert);
        fs::write(dir.path().join("admin.crt"), "nonsense").unwrap();
        assert!(matches!(Pki::open(dir.path(), &[]), Err(PkiError::Unusable { .. })));
    }

    #[test]
    fn kubeconfigs_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::open(dir.path().join("pki"), &[]).unwrap();
        let path = dir.path().join("deep/kubeconfig");
        pki.write_kubeconfig(&path, "sea", "https://127.0.0.1:6443").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let config: serde_json::Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(config["current-context"], "sea");
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://127.0.0.1:6443");
    }
}
