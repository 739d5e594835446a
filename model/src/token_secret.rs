//! The type and the annotations of Secrets that hold the token of a service account.

/// The type of such a Secret.
pub const TYPE: &str = "kubernetes.io/service-account-token";
/// The annotation that names the account.
pub const ACCOUNT: &str = "kubernetes.io/service-account.name";
/// The annotation with the account's UID, which a controller writes.
pub const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
