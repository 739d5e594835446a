//! Options from three places: flags, `WHALESONG_*` variables, and the TOML file that `--config` names.
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

use crate::failure::Failure;

/// The options of one command: a flag wins over the environment, the environment over the file.
///
/// # Errors
/// When the file can't be read, or a value has the wrong type: a sentence that names the key and where it came from.
pub fn resolve<T: Serialize + DeserializeOwned>(flags: &T, file: Option<&Path>) -> Result<T, Failure> {
    let mut figment = Figment::new();
    if let Some(path) = file {
        if !path.is_file() {
            return Err(Failure::new(format!("the configuration file {} can't be read", path.display()), "name an existing TOML file with --config"));
        }
        figment = figment.merge(Toml::file(path));
    }
    figment
        .merge(Env::prefixed("WHALESONG_"))
        .merge(Serialized::defaults(flags))
        .extract()
        .map_err(|e| Failure::new(format!("an option doesn't fit: {e}"), "see --help for what it takes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::UpArgs;

    #[test]
    fn a_flag_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("w.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\nnats_port = 5\nno_node = true\n").unwrap();
        let flags = UpArgs { nats_port: Some(7), ..UpArgs::default() };
        let got = resolve(&flags, Some(&file)).unwrap();
        assert_eq!((got.nats_port, got.api.listen.as_deref(), got.no_node), (Some(7), Some("127.0.0.1:1"), true));
    }

    #[test]
    fn a_wrong_type_says_which_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("w.toml");
        std::fs::write(&file, "nats_port = \"many\"\n").unwrap();
        let e = resolve(&UpArgs::default(), Some(&file)).unwrap_err();
        assert!(e.to_string().contains("nats_port"), "{e}");
    }
}
