//! Loading: layer over layer, with every wrong key and value collected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::providers::Serialized;
use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider};

use crate::error::{ConfigError, Problem, Source};
use crate::reference::{KEYS, Key, SECRETS};
use crate::validate::validate;
use crate::{Config, Sources};

impl Config {
    /// The effective configuration: the defaults, over them the file, over it the environment.
    ///
    /// # Errors
    /// Everything that is wrong with it: unknown keys, values that are not what is expected, values
    /// that do not go together.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let file =
            read(sources.file.as_deref()).map_err(|problem| ConfigError { problems: vec![problem] })?;
        let environment = sources.settings();
        let set_in = set_in(&file, sources.file.as_deref(), &environment);

        let data_dir = environment.get("data_dir").map(|(_, value)| (*value).to_owned());
        let data_dir = data_dir.or_else(|| file.extract_inner("data_dir").ok());
        let Some(data_dir) = data_dir.map(PathBuf::from).or_else(|| sources.data_dir()) else {
            let message = "no home directory to keep data in; set it to a path".to_owned();
            let problem = Problem { key: "data_dir".to_owned(), source: Source::Default, message };
            return Err(ConfigError { problems: vec![problem] });
        };
        let defaults = Figment::from(Serialized::defaults(Self::defaults(&absolute(data_dir))));
        let mut figment = defaults.clone().merge(&file);
        for (key, (_, value)) in &environment {
            figment = figment.merge(Serialized::default(key, typed(value, defaults.find_value(key).ok())));
        }

        let mut problems = unknown(&set_in);
        let config = extract(figment, &defaults, &set_in, &mut problems);
        let Some(mut config) = config else { return Err(ConfigError { problems }) };
        config.sources = set_in;
        config.make_paths_absolute();
        validate(&config, &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }

    fn make_paths_absolute(&mut self) {
        let given = [
            Some(&mut self.data_dir),
            Some(&mut self.kek_file),
            Some(&mut self.record.checkpoint_file),
            self.database.binaries.as_mut(),
            self.egress.ca_file.as_mut(),
            self.policies.installation_dir.as_mut(),
            self.server.tls.certificate.as_mut(),
            self.server.tls.key.as_mut(),
        ];
        for path in given.into_iter().flatten() {
            *path = absolute(std::mem::take(path));
        }
    }
}

/// The path, from the working directory if it is relative.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The file's layer. A parser's own message quotes the line, which may hold a password: only the
/// place and the reason are told.
fn read(path: Option<&Path>) -> Result<Figment, Problem> {
    let Some(path) = path else { return Ok(Figment::new()) };
    let problem = |message| Problem { key: String::new(), source: Source::File(path.to_owned()), message };
    let text = std::fs::read_to_string(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.lines().count().max(1);
        problem(format!("is not TOML, near line {line}: {}", error.message()))
    })?;
    Ok(Figment::from(Serialized::defaults(table)))
}

/// A variable's text as the type of its key's default. Where it does not fit, it stays text, which
/// the extraction then refuses.
fn typed(text: &str, default: Option<Value>) -> Value {
    match default {
        Some(Value::Num(..)) => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
        // In a variable, a list is what stands between commas.
        Some(Value::Array(..)) => {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().into()
        }
        Some(Value::Bool(..)) => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
        _ => text.into(),
    }
}

/// Every key that is set somewhere, and where it counts.
fn set_in(
    file: &Figment,
    path: Option<&Path>,
    environment: &BTreeMap<String, (&str, &str)>,
) -> BTreeMap<String, Source> {
    let mut keys = BTreeMap::new();
    if let Some(path) = path {
        let dict = file.data().ok().and_then(|mut data| data.remove(&Profile::Default)).unwrap_or_default();
        leaves("", &dict, &mut |key| {
            keys.insert(key, Source::File(path.to_owned()));
        });
    }
    keys.extend(
        environment.iter().map(|(key, (name, _))| (key.clone(), Source::Environment((*name).to_owned()))),
    );
    keys
}

fn leaves(section: &str, dict: &Dict, found: &mut impl FnMut(String)) {
    for (name, value) in dict {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        match value {
            Value::Dict(_, inner) => leaves(&key, inner, found),
            _ => found(key),
        }
    }
}

fn unknown(set_in: &BTreeMap<String, Source>) -> Vec<Problem> {
    let unknown = set_in.iter().filter(|(key, _)| known_part(key).is_none() && !is_section(key));
    unknown
        .map(|(key, source)| {
            let section = key.rsplit_once('.').map_or("", |(section, _)| section);
            let known: Vec<_> =
                KEYS.iter().map(|known| known.parts()).filter(|known| known.0 == section).collect();
            let message = if known.is_empty() {
                "unknown section".to_owned()
            } else {
                let names: Vec<_> = known.iter().map(|(_, name)| *name).collect();
                format!("unknown key; expected one of {}", names.join(", "))
            };
            Problem { key: key.clone(), source: source.clone(), message }
        })
        .collect()
}

fn is_section(key: &str) -> bool {
    KEYS.iter().any(|known| known.name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// The known key that `key` is, or lies within when a value was given as a section.
fn known_part(key: &str) -> Option<&'static Key> {
    KEYS.iter().find(|known| {
        key.strip_prefix(known.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The typed configuration. A value of the wrong type is noted and its default put in its place, so
/// that the next one is found too.
fn extract(
    mut figment: Figment,
    defaults: &Figment,
    set_in: &BTreeMap<String, Source>,
    problems: &mut Vec<Problem>,
) -> Option<Config> {
    // A section given as a value counts as one, so there are no more rounds than keys.
    for _ in 0..=KEYS.len() {
        let error = match figment.extract::<Config>() {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let path = error.path.join(".");
        let (key, message) = match known_part(&path) {
            Some(key) if SECRETS.contains(&key.name) => (key.name, format!("expected {}", key.expected)),
            Some(key) => (key.name, format!("{} is not {}", shown(&figment, key.name), key.expected)),
            None if is_section(&path) => (path.as_str(), format!("is a section, to be written `[{path}]`")),
            None => (path.as_str(), error.kind.to_string()),
        };
        let source = set_in.iter().find(|(set, _)| set.starts_with(key)).map(|(_, source)| source.clone());
        problems.push(Problem { key: key.to_owned(), source: source.unwrap_or_default(), message });
        figment = figment.merge(Serialized::default(key, defaults.find_value(key).ok()?));
    }
    None
}

/// A value as it was given.
fn shown(figment: &Figment, key: &str) -> String {
    match figment.find_value(key) {
        Ok(Value::String(_, text)) => format!("{text:?}"),
        Ok(Value::Num(_, number)) => number.to_actual().to_string(),
        Ok(Value::Bool(_, value)) => value.to_string(),
        Ok(Value::Array(..)) => "a list".to_owned(),
        Ok(Value::Dict(..)) => "a section".to_owned(),
        _ => "this".to_owned(),
    }
}

#[cfg(test)]
mod tests;
