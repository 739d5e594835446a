//! Options from three places: flags, `WHALESONG_*` variables, which the command line reads as it reads flags, and the TOML file that `--config` names.
use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::path::Path;

use crate::failure::Failure;

/// The options of one command: a flag wins over the environment, the environment over the file. `flags` has the first two.
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
    // a flag that isn't set isn't in `flags`; one that a variable takes back is
    for key in taken_back(std::env::vars_os()) {
        figment = figment.merge(Serialized::default(&key, false));
    }
    figment.merge(Serialized::defaults(flags)).extract().map_err(|e| Failure::new(format!("an option doesn't fit: {e}"), "see --help for what it takes"))
}

/// The keys of variables that say no.
fn taken_back(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let no = |value: &str| ["n", "no", "f", "false", "off", "0"].contains(&value.to_lowercase().as_str());
    let key = |(name, value): (OsString, OsString)| Some(name.to_str()?.strip_prefix("WHALESONG_")?.to_lowercase()).filter(|_| value.to_str().is_some_and(no));
    variables.filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, AgentArgs, ControllersArgs, CredsArgs, DownArgs, GatewayArgs, GetArgs, HollowArgs, RoleArgs, StateArgs, StatusArgs, UpArgs};
    use clap::{ArgAction, Args};
    use serde_json::Value;

    /// Whether each option of a command comes from the file as it comes from the command line.
    fn same<T: Args + Serialize + DeserializeOwned>(name: &str) {
        let dir = tempfile::tempdir().unwrap();
        let command = cli::command().find_subcommand(name).unwrap().clone();
        let required = command.get_positionals().filter(|p| p.is_required_set()).count();
        let read = |flags: &[String]| {
            let words = [name.to_owned()].into_iter().chain(vec!["pods".to_owned(); required]).chain(flags.to_vec());
            command.clone().try_get_matches_from(words).ok().and_then(|matches| T::from_arg_matches(&matches).ok())
        };
        for arg in command.get_arguments().filter(|a| !a.is_global_set() && !matches!(a.get_action(), ArgAction::Help | ArgAction::HelpLong)) {
            let Some(long) = arg.get_long() else { continue };
            let key = long.replace('-', "_");
            assert_eq!(arg.get_env().unwrap().to_str().unwrap(), format!("WHALESONG_{}", key.to_uppercase()));
            let (flag, values) = match arg.get_action() {
                ArgAction::SetTrue => (format!("--{long}"), vec!["true"]),
                _ => (format!("--{long}=7"), vec!["\"7\"", "7", "[\"7\"]"]),
            };
            let from_flag: Value = serde_json::to_value(resolve(&read(&[flag]).unwrap(), None).unwrap()).unwrap();
            assert!(!from_flag[&key].is_null(), "{name} --{long} isn't the key {key}: {from_flag}");
            let from_file = values.into_iter().find_map(|value| {
                let file = dir.path().join(&key);
                std::fs::write(&file, format!("{key} = {value}\n")).unwrap();
                resolve(&read(&[]).unwrap(), Some(&file)).ok()
            });
            assert_eq!(serde_json::to_value(from_file.unwrap()).unwrap(), from_flag, "{name} --{long}");
        }
    }

    #[test]
    fn each_option_is_one_of_the_file_too() {
        same::<UpArgs>("up");
        same::<StateArgs>("state");
        same::<GatewayArgs>("gateway");
        same::<RoleArgs>("scheduler");
        same::<ControllersArgs>("controllers");
        same::<AgentArgs>("agent");
        same::<StatusArgs>("status");
        same::<GetArgs>("get");
        same::<HollowArgs>("hollow");
        same::<DownArgs>("down");
        same::<CredsArgs>("creds");
    }

    #[test]
    fn a_variable_takes_back_what_the_file_says() {
        let variables = [("WHALESONG_NO_NODE", "0"), ("WHALESONG_JSON", "yes"), ("OTHER", "no"), ("WHALESONG_PURGE", "False")];
        assert_eq!(taken_back(variables.into_iter().map(|(k, v)| (k.into(), v.into()))), ["no_node", "purge"]);
    }

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
