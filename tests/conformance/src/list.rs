//! Which tests the suite has, as it lists them: Ginkgo's report of a run in which nothing is done.
use crate::failure::Failure;
use serde::Deserialize;
use std::path::Path;

/// The report, as far as it is looked at. Its fields are those of Ginkgo's `types.Report`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    #[serde(default)]
    spec_reports: Option<Vec<Spec>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    #[serde(default)]
    container_hierarchy_texts: Option<Vec<String>>,
    leaf_node_type: String,
    #[serde(default)]
    leaf_node_text: String,
    state: String,
}

impl Spec {
    fn name(&self) -> String {
        let texts = self.container_hierarchy_texts.iter().flatten().chain([&self.leaf_node_text]);
        texts.filter(|t| !t.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// The full names of the tests that are chosen in this report, in the order of the alphabet.
///
/// # Errors
/// When there is no report.
pub fn names(path: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read(path).map_err(Failure::file(path))?;
    parse(&text).map_err(|source| Failure::Content { path: path.to_owned(), source })
}

fn parse(text: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let specs = serde_json::from_slice::<Vec<Report>>(text)?.into_iter().flat_map(|report| report.spec_reports.unwrap_or_default());
    let mut names: Vec<String> = specs.filter(|s| s.leaf_node_type == "It" && s.state == "passed").map(|s| s.name()).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_are_chosen_have_passed_without_being_run() -> Result<(), serde_json::Error> {
        let spec = |kind: &str, text: &str, state: &str| {
            format!(r#"{{"ContainerHierarchyTexts":["[sig-node] Pods",""],"LeafNodeType":"{kind}","LeafNodeText":"{text}","State":"{state}"}}"#)
        };
        let specs = [spec("It", "b", "passed"), spec("It", "c", "skipped"), spec("ReportAfterSuite", "", "passed"), spec("It", "a", "passed")];
        assert_eq!(parse(format!(r#"[{{"SpecReports":[{}]}}]"#, specs.join(",")).as_bytes())?, ["[sig-node] Pods a", "[sig-node] Pods b"]);
        assert_eq!(parse(br#"[{"SpecReports":null}]"#)?, Vec::<String>::new());
        Ok(())
    }
}
