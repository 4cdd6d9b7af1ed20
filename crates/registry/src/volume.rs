//! The file operations that the disk store is made of, and nothing more.
//!
//! Narrow, so that a test can stand in for the disk and answer with every state that a crash may leave and every error that a disk
//! may give. What may be relied on is what POSIX promises, not what one file system happens to do:
//!
//! - bytes are on the disk after [`Written::sync`], an entry of a folder after [`Volume::sync_folder`] of that folder;
//! - before that, each change of a folder may or may not have reached the disk, independently of the others;
//! - [`Volume::rename`] replaces what is there at once or not at all;
//! - after a failed sync nothing is known about what it was to make durable, and a later one that succeeds does not change that.
//!
//! Paths are relative to the volume's root.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use schleuse_model::Timestamp;

mod folder;

pub use folder::FolderVolume;

/// Files and folders that this process alone changes. What is not there is [`io::ErrorKind::NotFound`].
pub trait Volume: Debug + Send + Sync {
    /// How `path` is called in messages for the operator.
    fn shown(&self, path: &Path) -> PathBuf;

    /// A new, empty file.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if there is something of that name.
    fn create(&self, file: &Path) -> io::Result<Box<dyn Written>>;

    /// A file for reading.
    ///
    /// # Errors
    /// Of the file system, as for all methods here.
    fn open(&self, file: &Path) -> io::Result<Box<dyn Readable>>;

    /// Gives a file another name, in place of a file that has it.
    ///
    /// # Errors
    /// Of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Who has it open can go on reading.
    ///
    /// # Errors
    /// Of the file system.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// A new, empty folder in one that is there.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if there is something of that name.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Removes a folder that is empty.
    ///
    /// # Errors
    /// Of the file system.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes the entries of `folder` durable.
    ///
    /// # Errors
    /// Of the file system.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// The names in `folder`, in any order; those that are no UTF-8 are not ours and left out.
    ///
    /// # Errors
    /// Of the file system.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// When a file or folder was last changed, as far as the volume knows.
    ///
    /// # Errors
    /// Of the file system.
    fn modified(&self, path: &Path) -> io::Result<Timestamp>;

    /// Sets what [`Volume::modified`] says of a file. Never needs to be durable.
    ///
    /// # Errors
    /// Of the file system.
    fn set_modified(&self, file: &Path, at: Timestamp) -> io::Result<()>;
}

/// A file open for reading. Its name may be gone by now.
pub trait Readable: Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Of the file system.
    fn length(&self) -> io::Result<u64>;

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are not as many.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
}

/// A file that is being written.
pub trait Written: Debug + Send + Sync {
    /// Adds `bytes` at the end. After an error some of them may have been added.
    ///
    /// # Errors
    /// Of the file system.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes its bytes durable; its name is the folder's affair.
    ///
    /// # Errors
    /// After one the file is not to be used.
    fn sync(&self) -> io::Result<()>;
}
