//! Puts configuration and manifest together. Pure.

use std::collections::BTreeMap;

use schleuse_model::json;
use schleuse_model::{Release, Timestamp};
use schleuse_oci::manifest::{Empty, History, RootFs, RuntimeConfig};
use schleuse_oci::{Descriptor, ImageConfig, ImageManifest, media_type};

use super::base::ReadBase;
use super::{BuildError, Built, ImageSpec, NewLayer, Runtime, SourceInfo};

const PREFIX: &str = "org.opencontainers.image.";

/// The checked part of an [`ImageSpec`].
#[derive(Debug)]
pub(super) struct Settings {
    /// The image's time, whole seconds since 1970.
    pub(super) seconds: u64,
    created: Timestamp,
    labels: BTreeMap<String, String>,
}

/// Checks what a specification says before anything is read or written.
pub(super) fn check(spec: &ImageSpec) -> Result<Settings, BuildError> {
    let wrong = |what: &str, reason| Err(BuildError::Setting { what: what.to_owned(), reason });
    let Ok(seconds) = u64::try_from(spec.created.as_seconds()) else {
        return wrong("the time of the image", "lies before 1970");
    };
    let version = spec.source.version.as_deref();
    if version.is_some_and(|version| Release::clean_version(version).is_none()) {
        return wrong("the version", "is empty, longer than 128 characters or has control characters");
    }
    if spec.source.uri.is_empty() || spec.source.uri.chars().any(char::is_control) {
        return wrong("the source's address", "is empty or has control characters");
    }
    check_runtime(&spec.runtime)?;
    let created = Timestamp::from_seconds(spec.created.as_seconds());
    Ok(Settings { seconds, created, labels: source_labels(&spec.source, created) })
}

/// What every image of ours says about its source, whoever built it: `promote` reads commit and version from there.
pub fn source_labels(source: &SourceInfo, created: Timestamp) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (format!("{PREFIX}created"), created.to_string()),
        (format!("{PREFIX}revision"), source.commit.to_string()),
        (format!("{PREFIX}source"), source.uri.clone()),
    ]);
    if let Some(version) = &source.version {
        labels.insert(format!("{PREFIX}version"), version.clone());
    }
    labels
}

fn check_runtime(runtime: &Runtime) -> Result<(), BuildError> {
    let wrong = |what: String, reason| Err(BuildError::Setting { what, reason });
    for (name, value) in &runtime.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return wrong(format!("`env` {name:?}"), "has an impossible name or value");
        }
    }
    let words = [&runtime.entrypoint, &runtime.cmd].into_iter().flatten().flatten();
    if words.chain(&runtime.user).chain(&runtime.stop_signal).any(|word| word.contains('\0')) {
        return wrong("an argument, the user or the signal".to_owned(), "has a NUL character");
    }
    if runtime.entrypoint.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty)) {
        return wrong("`entrypoint`".to_owned(), "names no program");
    }
    if runtime.expose.iter().any(|port| port.number == 0) {
        return wrong("`expose`".to_owned(), "has the port 0");
    }
    for name in ["created", "revision", "source", "version"] {
        let label = format!("{PREFIX}{name}");
        if runtime.labels.contains_key(&label) {
            return wrong(format!("the label `{label}`"), "is written by the build");
        }
    }
    Ok(())
}

pub(super) fn assemble(spec: &ImageSpec, settings: &Settings, base: Option<ReadBase>, layers: Vec<NewLayer>) -> Built {
    let mut annotations = settings.labels.clone();
    let (mut config, base) = match base {
        Some(ReadBase { config, built }) => {
            annotations.insert(format!("{PREFIX}base.name"), built.image.repository().to_string());
            annotations.insert(format!("{PREFIX}base.digest"), built.image.digest().to_string());
            (padded(config), Some(built))
        }
        None => (empty(spec), None),
    };
    config.created = Some(settings.created);
    config.config = merged(std::mem::take(&mut config.config), &spec.runtime);
    config.config.labels.extend(annotations.clone());
    for layer in &layers {
        config.rootfs.diff_ids.push(layer.diff_id.clone());
        config.history.push(step(settings.created, "schleuse build"));
    }

    let config_bytes = json::to_bytes(&config);
    let config = Descriptor::of(media_type::IMAGE_CONFIG, &config_bytes);
    let below = base.iter().flat_map(|base| base.layers.iter().cloned());
    let all = below.chain(layers.iter().map(|layer| layer.blob.clone())).collect();
    let mut manifest = ImageManifest::new(config.clone(), all);
    manifest.annotations = annotations;
    Built {
        manifest: manifest.to_manifest(),
        config,
        config_bytes: config_bytes.into(),
        layers: layers.into_iter().map(|layer| (layer.blob, layer.path)).collect(),
        base,
        platform: spec.platform.clone(),
        source: spec.source.clone(),
        created: settings.created,
    }
}

fn empty(spec: &ImageSpec) -> ImageConfig {
    ImageConfig {
        created: None,
        architecture: spec.platform.architecture.clone(),
        os: spec.platform.os.clone(),
        variant: spec.platform.variant.clone(),
        config: RuntimeConfig::default(),
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() },
        history: Vec::new(),
    }
}

fn step(created: Timestamp, by: &str) -> History {
    History { created: Some(created), created_by: Some(by.to_owned()), empty_layer: false }
}

/// Tools that pair history with layers fail where the numbers differ, so a base with a shorter or longer history gets a plain
/// one.
fn padded(mut base: ImageConfig) -> ImageConfig {
    let layers = base.rootfs.diff_ids.len();
    if base.history.iter().filter(|step| !step.empty_layer).count() != layers {
        let unknown = History { created: base.created, created_by: None, empty_layer: false };
        base.history = vec![unknown; layers];
    }
    base
}

fn merged(base: RuntimeConfig, own: &Runtime) -> RuntimeConfig {
    let mut config = base;
    if let Some(entrypoint) = &own.entrypoint {
        config.entrypoint = entrypoint.clone();
        config.cmd = Vec::new();
    }
    if let Some(cmd) = &own.cmd {
        config.cmd = cmd.clone();
    }
    for (name, value) in &own.env {
        let line = format!("{name}={value}");
        let same = |old: &&mut String| old.split('=').next() == Some(name);
        match config.env.iter_mut().find(same) {
            Some(old) => *old = line,
            None => config.env.push(line),
        }
    }
    config.user = own.user.clone().or(config.user);
    config.working_dir = own.workdir.as_ref().map(|path| path.as_str().to_owned()).or(config.working_dir);
    config.exposed_ports.extend(own.expose.iter().map(|port| (port.to_string(), Empty {})));
    // The base describes itself with these (`…version = 24.04`); on our image they would be wrong.
    config.labels.retain(|name, _| !name.starts_with(PREFIX));
    config.labels.extend(own.labels.clone());
    config.stop_signal = own.stop_signal.clone().or(config.stop_signal);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_extended_name_by_name_and_its_self_description_dropped() {
        let base = RuntimeConfig {
            env: vec!["PATH=/bin".to_owned(), "NODE_ENV=development".to_owned()],
            entrypoint: vec!["/entry".to_owned()],
            cmd: vec!["node".to_owned()],
            user: Some("node".to_owned()),
            labels: [("maintainer", "them"), ("org.opencontainers.image.version", "24.04")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..RuntimeConfig::default()
        };
        let own = Runtime {
            entrypoint: Some(vec!["/app/run".to_owned()]),
            env: [("NODE_ENV", "production"), ("PORT", "3000")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            ..Runtime::default()
        };
        let config = merged(base, &own);
        assert_eq!(config.env, ["PATH=/bin", "NODE_ENV=production", "PORT=3000"]);
        assert_eq!((config.entrypoint, config.cmd), (vec!["/app/run".to_owned()], Vec::<String>::new()));
        assert_eq!(config.user.as_deref(), Some("node"));
        assert_eq!(config.labels.into_keys().collect::<Vec<_>>(), ["maintainer"]);
    }
}
