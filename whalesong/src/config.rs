//! Options from three places: flags, `WHALESONG_*` variables, which the command line reads as it reads flags, and the TOML file that `--config` names.
use clap::ArgMatches;
use clap::parser::ValueSource;
use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;

use crate::failure::Failure;

/// What is said beside a command's own flags.
#[derive(Debug, Default)]
pub struct Config {
    file: Option<PathBuf>,
    /// The keys of switches that a variable turns off.
    off: Vec<String>,
}

impl Config {
    /// What `--config` names, and what the environment says that flags can't: no.
    pub fn new(file: Option<PathBuf>, matches: &ArgMatches) -> Self {
        let command = matches.subcommand().map(|(_, command)| command.subcommand().map_or(command, |(_, command)| command));
        let off = |command: &ArgMatches, id: &str| {
            let no = matches!(command.try_get_one::<bool>(id), Ok(Some(false)));
            no && command.value_source(id) == Some(ValueSource::EnvVariable)
        };
        let ids = command.into_iter().flat_map(|command| command.ids().map(|id| id.as_str()).filter(|id| off(command, id)));
        Self { file, off: ids.map(str::to_owned).collect() }
    }

    /// The options of one command: a flag wins over the environment, the environment over the file. `flags` has the first two.
    ///
    /// # Errors
    /// When the file can't be read, or a value has the wrong type: a sentence that names the key and where it came from.
    pub fn resolve<T: Serialize + DeserializeOwned>(&self, flags: &T) -> Result<T, Failure> {
        let mut figment = Figment::new();
        if let Some(path) = &self.file {
            if !path.is_file() {
                return Err(Failure::new(format!("the configuration file {} can't be read", path.display()), "name an existing TOML file with --config"));
            }
            figment = figment.merge(Toml::file(path));
        }
        // a switch that is off isn't in `flags`
        for key in &self.off {
            figment = figment.merge(Serialized::default(key, false));
        }
        figment.merge(Serialized::defaults(flags)).extract().map_err(|e| Failure::new(format!("an option doesn't fit: {e}"), "see --help for what it takes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{
        self, AgentArgs, ControllersArgs, CredsArgs, DownArgs, GatewayArgs, GetArgs, HollowArgs, RoleArgs, StateArgs, StatusArgs, TokenArgs, UpArgs,
    };
    use clap::{ArgAction, Args};
    use serde_json::Value;
    use std::path::Path;

    fn at(file: &Path) -> Config {
        Config { file: Some(file.to_owned()), off: Vec::new() }
    }

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
            let from_flag: Value = serde_json::to_value(Config::default().resolve(&read(&[flag]).unwrap()).unwrap()).unwrap();
            assert!(!from_flag[&key].is_null(), "{name} --{long} isn't the key {key}: {from_flag}");
            let from_file = values.into_iter().find_map(|value| {
                let file = dir.path().join(&key);
                std::fs::write(&file, format!("{key} = {value}\n")).unwrap();
                at(&file).resolve(&read(&[]).unwrap()).ok()
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
        same::<TokenArgs>("token");
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("w.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\nnats_port = 5\nno_node = true\n").unwrap();
        let flags = UpArgs { nats_port: Some(7), ..UpArgs::default() };
        let got = at(&file).resolve(&flags).unwrap();
        assert_eq!((got.nats_port, got.api.listen.as_deref(), got.no_node), (Some(7), Some("127.0.0.1:1"), true));
    }

    #[test]
    fn a_wrong_type_says_which_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("w.toml");
        std::fs::write(&file, "nats_port = \"many\"\n").unwrap();
        let e = at(&file).resolve(&UpArgs::default()).unwrap_err();
        assert!(e.to_string().contains("nats_port"), "{e}");
    }
}
