//! What the file, the flags and the variables mean together.

mod build;
mod connection;
mod policy;
mod reader;
mod target;
mod trust;

use schleuse_model::EnvironmentName;

pub use build::{Base, Build, Builder, Copied, Dockerfile, Owner, Platform};
pub use connection::{Connection, Login};
pub use target::{Health, Host, Target, VersionAssert};

use crate::document::{Document, position};
use crate::env::Environment;
use crate::error::{ConfigError, Mistake, Place, What};
use crate::policy::Policy;
use crate::raw::File;
use crate::{MAX_BYTES, Shown};

use reader::Reader;

/// A configuration's text and the name it is shown by.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t> {
    /// The file's name for messages, such as `schleuse.toml`.
    pub name: &'t str,
    /// Its text. Empty where there is no file: everything is at its default then.
    pub text: &'t str,
}

/// What the command line says about connections. There is no flag for policy, and so no field.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--image`.
    pub image: Option<String>,
    /// `--journal`.
    pub journal: Option<String>,
    /// `--git-remote`.
    pub git_remote: Option<String>,
    /// `--insecure-registry`, in addition to the file's.
    pub insecure_registries: Vec<String>,
    /// `--source`.
    pub source: Option<String>,
}

/// Settings that are right.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where things are.
    pub connection: Connection,
    /// How the image is built, if the file says it.
    pub build: Option<Build>,
    /// The targets of the environments that have one, in the ladder's order.
    pub targets: Vec<(EnvironmentName, Target)>,
    /// What decides.
    pub policy: Policy,
    shown: Vec<Shown>,
}

impl Config {
    /// The target of an environment; `None` if the environment is unknown or has none.
    pub fn target(&self, name: &EnvironmentName) -> Option<&Target> {
        self.targets.iter().find(|(environment, _)| environment == name).map(|(_, target)| target)
    }

    /// Every setting with its value and where it came from, for `schleuse config show`. Variables of releases show their names,
    /// not their values.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }
}

/// Reads a configuration.
///
/// # Errors
/// [`ConfigError`] with every mistake that was found. Where the text is not TOML, only that is reported: what it means cannot be
/// known.
pub fn load(source: Source<'_>, flags: &Flags, environment: &Environment) -> Result<Config, ConfigError> {
    let Source { name, text } = source;
    let at = |offset| {
        let (line, column) = position(text, offset);
        Place::File { file: name.to_owned(), line, column }
    };
    if text.len() > MAX_BYTES {
        let what = What::TooLarge { size: text.len(), limit: MAX_BYTES };
        return Err(ConfigError::new(name, vec![Mistake { place: at(0), what }]));
    }
    let document = Document::parse(text).map_err(|errors| {
        let mistake = |(message, offset)| Mistake { place: at(offset), what: What::Syntax(message) };
        ConfigError::new(name, errors.into_iter().map(mistake).collect())
    })?;
    let mut reader = Reader::new(name, &document);
    let file = shape(&document, &mut reader);
    let connection = connection::read(&file, flags, environment, &mut reader);
    let build = file.build.as_ref().map(|raw| build::read(raw, &mut reader));
    let targets = target::read_all(&file, environment, &mut reader);
    let policy = policy::read(&file, &mut reader);
    let (mistakes, shown) = reader.finish();
    if !mistakes.is_empty() {
        return Err(ConfigError::new(name, mistakes));
    }
    Ok(Config { connection, build, targets, policy, shown })
}

/// The file without what does not fit the schema.
fn shape(document: &Document<'_>, reader: &mut Reader<'_>) -> File {
    let mut table = document.table();
    for (path, what) in crate::shape::check(&crate::schema::schema(), &mut table) {
        reader.wrong(&path, what);
    }
    match <File as serde::Deserialize>::deserialize(toml::de::Deserializer::from(table)) {
        Ok(file) => file,
        Err(error) => {
            reader.wrong(&crate::document::KeyPath::default(), What::Shape(crate::error::clip(error.message())));
            File::default()
        }
    }
}
