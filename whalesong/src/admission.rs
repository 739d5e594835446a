//! What `--admission-control-config-file` says: Kubernetes' AdmissionConfiguration, of which the plug-in PodSecurity takes one.
use crate::cli::AdmissionArgs;
use crate::failure::Failure;
use serde::Deserialize;
use state::admission::pod_security::PodSecurity;
use std::path::Path;

/// The version of the document that is read.
const VERSION: &str = "apiserver.config.k8s.io/v1";
/// Its kind.
const KIND: &str = "AdmissionConfiguration";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    kind: String,
    #[serde(default)]
    plugins: Vec<Plugin>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plugin {
    name: String,
    #[serde(default)]
    path: Option<std::path::PathBuf>,
    #[serde(default)]
    configuration: Option<serde_json::Value>,
}

/// The cluster's defaults and exemptions of pod security.
///
/// # Errors
/// When the file can't be read, or says something that can't be done.
pub fn pod_security(args: &AdmissionArgs) -> Result<PodSecurity, Failure> {
    let Some(path) = &args.admission_control_config_file else { return Ok(PodSecurity::default()) };
    let wrong = |why: String| Failure::new(format!("{} can't be used: {why}", path.display()), "see Kubernetes' documentation of AdmissionConfiguration");
    let document: Document = parse(&read(path)?).map_err(wrong)?;
    if document.api_version != VERSION || document.kind != KIND {
        return Err(wrong(format!("it is {} {}, not {VERSION} {KIND}", document.api_version, document.kind)));
    }
    let mut security = None;
    for plugin in document.plugins {
        if plugin.name != "PodSecurity" {
            return Err(wrong(format!("there is no plug-in {:?} to configure", plugin.name)));
        }
        let one = match (plugin.configuration, plugin.path) {
            (Some(configuration), None) => serde_json::from_value(configuration).map_err(|e| wrong(e.to_string()))?,
            // as Kubernetes has it: a path that isn't absolute is below the document's own directory
            (None, Some(beside)) => parse(&read(&path.parent().unwrap_or(Path::new(".")).join(beside))?).map_err(wrong)?,
            _ => return Err(wrong("a plug-in needs either a path or a configuration".to_owned())),
        };
        if security.replace(one).is_some() {
            return Err(wrong("PodSecurity is there twice".to_owned()));
        }
    }
    Ok(security.unwrap_or_default())
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|e| Failure::new(format!("{} can't be read ({e})", path.display()), "name an existing file with --admission-control-config-file"))
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURATION: &str = "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\ndefaults: {enforce: baseline, \
         enforce-version: latest, warn: restricted}\nexemptions: {namespaces: [kube-system]}\n";

    fn read(document: &str) -> Result<PodSecurity, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("security.yaml"), CONFIGURATION).unwrap();
        let file = dir.path().join("admission.yaml");
        std::fs::write(&file, document).unwrap();
        pod_security(&AdmissionArgs { admission_control_config_file: Some(file) }).map_err(|e| e.to_string())
    }

    #[test]
    fn a_configuration_stands_in_the_file_or_beside_it() {
        let indented = CONFIGURATION.replace('\n', "\n    ");
        let head = format!("apiVersion: {VERSION}\nkind: {KIND}\nplugins:\n- name: PodSecurity\n");
        let within = read(&format!("{head}  configuration:\n    {indented}")).unwrap();
        let beside = read(&format!("{head}  path: security.yaml\n")).unwrap();
        assert_eq!(within, beside);
        assert_ne!(within, PodSecurity::default());
        assert!(within.namespaces.contains("kube-system"));
        assert_eq!(pod_security(&AdmissionArgs::default()).unwrap(), PodSecurity::default());
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let head = format!("apiVersion: {VERSION}\nkind: {KIND}\n");
        let rows = [
            ("kind: x", "missing field"),
            ("apiVersion: v1\nkind: Pod\n", "it is v1 Pod"),
            (&format!("{head}plugins: [{{name: ImagePolicyWebhook, path: x}}]"), "no plug-in"),
            (&format!("{head}plugins: [{{name: PodSecurity}}]"), "either a path or a configuration"),
            (&format!("{head}plugins: [{{name: PodSecurity, path: absent}}]"), "can't be read"),
            (&format!("{head}plugins: [{{name: PodSecurity, configuration: {{defaults: {{enforce: none}}}}}}]"), "enforce"),
            (&format!("{head}plugins: [{{name: PodSecurity, path: security.yaml}}, {{name: PodSecurity, path: security.yaml}}]"), "twice"),
            (&format!("{head}more: 1"), "unknown field"),
        ];
        for (document, expected) in rows {
            let said = read(document).unwrap_err();
            assert!(said.contains(expected), "{document}: {said}");
        }
    }
}
