//! Writing evidence into a folder.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use schleuse_model::predicate::PredicateKind;
use schleuse_model::{Digest, Exit, Explain};
use schleuse_sign::Evidence;

use crate::failure::Failure;
use crate::files::{self, FileError};

/// What was written, and why not everything was.
#[derive(Debug, Default)]
pub(super) struct Downloaded {
    /// The files, written or there already with this content.
    pub(super) files: Vec<String>,
    /// What stood in the way of the others.
    pub(super) problem: Option<Failure>,
}

/// Not everything can be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadProblem {
    /// The folder is something else.
    #[error("{} is not a folder", _0.display())]
    NotAFolder(PathBuf),
    /// What has the name of a file does not have its content. Whoever owns it decides.
    #[error("{}", listed(_0))]
    InTheWay(Vec<(PathBuf, Obstacle)>),
}

/// What stands where a file belongs.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Obstacle {
    /// It was changed since, or a run was cut off.
    #[error("is there with other content")]
    OtherContent,
    /// A FIFO, a link, a folder: opening it could wait for ever, or reach what is not meant.
    #[error("is there and is not a regular file")]
    NotAFile,
}

fn listed(obstacles: &[(PathBuf, Obstacle)]) -> String {
    let line = |(path, obstacle): &(PathBuf, Obstacle)| format!("{} {obstacle}", path.display());
    match obstacles {
        [one] => format!("{}; it was not overwritten", line(one)),
        several => {
            let lines: Vec<String> = several.iter().map(line).collect();
            format!("{} files were not overwritten\n{}", several.len(), lines.join("\n"))
        }
    }
}

impl Explain for DownloadProblem {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NotAFolder(_) => "`--download` makes a folder, or writes into one: name another".to_owned(),
            Self::InTheWay(_) => "everything else is downloaded: move this away, or name another folder".to_owned(),
        }]
    }
}

/// Refuses what is there and no folder, before the registry is asked.
pub(super) fn can_be_folder(path: &Path) -> Result<(), DownloadProblem> {
    match path.metadata() {
        Ok(there) if !there.is_dir() => Err(DownloadProblem::NotAFolder(path.to_owned())),
        _ => Ok(()),
    }
}

/// Writes each piece under a name made of its type and its digest, so that the same content has the same name: what is there already
/// is left. One that cannot be written does not keep the others from it.
pub(super) fn write(folder: &Path, evidence: &[Evidence], unverified: bool) -> Downloaded {
    let (mut written, mut obstacles) = (Downloaded::default(), Vec::new());
    if let Err(problem) = make(folder) {
        written.problem = Some(problem);
        return written;
    }
    for (name, bytes) in evidence.iter().filter(|one| unverified || one.verdict.is_ok()).flat_map(pieces) {
        let path = folder.join(name);
        match place(&path, bytes) {
            Ok(None) => written.files.push(files::shown(&path)),
            Ok(Some(obstacle)) => obstacles.push((path, obstacle)),
            // The disk is full, or the folder is not ours: the next one fails as well.
            Err(error) => {
                written.problem = Some(error.into());
                return written;
            }
        }
    }
    if !obstacles.is_empty() {
        written.problem = Some(DownloadProblem::InTheWay(obstacles).into());
    }
    written
}

fn make(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => DownloadProblem::NotAFolder(folder.to_owned()).into(),
        _ => FileError::Write { path: folder.to_owned(), source }.into(),
    })
}

/// The files of one piece: what was signed, and what it says. A name tells what nobody vouches for: files are passed on without the
/// page that said so.
fn pieces(one: &Evidence) -> Vec<(String, &[u8])> {
    let Some(bytes) = &one.bytes else { return Vec::new() };
    let doubt = if one.verdict.is_ok() { "" } else { "unverified-" };
    let name = format!("{doubt}{}-{}", word(one.predicate_type.as_deref()), Digest::sha256(bytes).short());
    let statement = one.verdict.as_ref().ok().and_then(|believed| believed.statement.as_ref());
    let predicate = statement.map(|statement| (format!("{name}.predicate.json"), statement.predicate_bytes()));
    [Some((format!("{name}.json"), &bytes[..])), predicate].into_iter().flatten().collect()
}

/// `None`: it stands there now.
fn place(path: &Path, bytes: &[u8]) -> Result<Option<Obstacle>, FileError> {
    match files::create_new(path, bytes, 0o644) {
        Ok(()) => Ok(None),
        Err(FileError::Exists { .. }) if !path.symlink_metadata().is_ok_and(|there| there.is_file()) => {
            Ok(Some(Obstacle::NotAFile))
        }
        Err(FileError::Exists { .. }) if files::read(path, bytes.len()).is_ok_and(|there| there == bytes) => Ok(None),
        Err(FileError::Exists { .. }) => Ok(Some(Obstacle::OtherContent)),
        Err(error) => Err(error),
    }
}

/// The type as part of a file's name: nothing of an untrusted type goes into it.
fn word(predicate_type: Option<&str>) -> String {
    match predicate_type.map(PredicateKind::of) {
        Some(PredicateKind::Other(_)) | None => "other".to_owned(),
        Some(known) => known.short_name().to_owned(),
    }
}
