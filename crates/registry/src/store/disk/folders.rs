//! What is known about the durability of folders' entries: which syncs are needed, and which one sync serves.
//!
//! A sync of a folder is the dearest thing a push does. Two rules save most of them without weakening one: pushes that wait for
//! the same folder share the sync that began after all of them had made their change; and a folder in which nothing has changed
//! since its last sync needs none. That a folder *was* clean is only known of those this process has synced itself: what an earlier
//! one left may be visible and not durable.
//!
//! After a failed sync a later one that succeeds says nothing about the entries that the failed one was for ("fsyncgate", 2018). So
//! whoever made them takes them back (`files`), and the folder never counts as clean again.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Folders that are remembered. Forgetting one costs a sync.
const REMEMBERED: usize = 4096;

#[derive(Debug)]
struct Folder {
    /// Changes begun and not yet durable.
    open: AtomicU64,
    /// Changes made, ever.
    made: AtomicU64,
    /// How many of them were there when the last sync began that succeeded. Held while syncing.
    durable: Mutex<u64>,
    /// Syncs that succeeded.
    syncs: AtomicU64,
    /// Nothing in it is an earlier process' or a failed change's and not durable.
    inherited: AtomicBool,
}

impl Default for Folder {
    /// One change that we know nothing of: an earlier process'.
    fn default() -> Self {
        Self {
            open: AtomicU64::new(0),
            made: AtomicU64::new(1),
            durable: Mutex::new(0),
            syncs: AtomicU64::new(0),
            inherited: AtomicBool::new(false),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Folders(Mutex<HashMap<PathBuf, Arc<Folder>>>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is held below can be left half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Folders {
    fn get(&self, path: &Path) -> Arc<Folder> {
        let mut known = locked(&self.0);
        if let Some(folder) = known.get(path) {
            return folder.clone();
        }
        if known.len() >= REMEMBERED {
            // Those in use stay: two states of one folder would not know of each other.
            known.retain(|_, folder| Arc::strong_count(folder) > 1);
        }
        known.entry(path.to_owned()).or_default().clone()
    }

    /// Says that an entry of `path` is about to change.
    pub(super) fn change(&self, path: &Path) -> Change {
        let folder = self.get(path);
        folder.open.fetch_add(1, SeqCst);
        let since = folder.syncs.load(SeqCst);
        Change { folder, made: false, since }
    }

    /// Whether every entry that can be seen now is durable without a further sync.
    pub(super) fn is_clean(&self, path: &Path) -> bool {
        let folder = self.get(path);
        let durable = *locked(&folder.durable);
        folder.open.load(SeqCst) == 0 && durable >= folder.made.load(SeqCst)
    }

    /// Says that this process has just made it: nothing in it is an earlier one's.
    pub(super) fn own(&self, path: &Path) {
        let folder = self.get(path);
        let mut durable = locked(&folder.durable);
        *durable = (*durable).max(1);
        folder.inherited.store(true, SeqCst);
    }

    /// Whether this process has made it, or synced it once. Does not wait for a sync that is under way.
    pub(super) fn is_ours(&self, path: &Path) -> bool {
        self.get(path).inherited.load(SeqCst)
    }
}

/// A change of a folder between its beginning and its being durable. Dropped before [`Change::made`], it has failed: whether it
/// happened all the same is not known.
#[derive(Debug)]
pub(super) struct Change {
    folder: Arc<Folder>,
    made: bool,
    /// How many syncs had succeeded before it.
    since: u64,
}

impl Change {
    /// The change is there: makes it durable by `sync`, or finds that another's sync has. If that fails it is undone before anybody
    /// else syncs, so that whoever has relied upon it sees so after their own sync; unless a sync has succeeded since it was begun:
    /// then somebody may have been promised what it made.
    pub(super) fn made(mut self, sync: impl FnOnce() -> io::Result<()>, undo: impl FnOnce()) -> io::Result<()> {
        self.made = true;
        let mine = self.folder.made.fetch_add(1, SeqCst) + 1;
        let mut durable = locked(&self.folder.durable);
        if *durable < mine {
            let covered = self.folder.made.load(SeqCst);
            // If it fails, the change stays open for good: nobody may take the folder for clean.
            if let Err(error) = sync() {
                if self.folder.syncs.load(SeqCst) == self.since {
                    undo();
                }
                return Err(error);
            }
            *durable = covered;
            self.folder.syncs.fetch_add(1, SeqCst);
            self.folder.inherited.store(true, SeqCst);
        }
        drop(durable);
        self.folder.open.fetch_sub(1, SeqCst);
        Ok(())
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.made {
            self.folder.made.fetch_add(1, SeqCst);
            self.folder.inherited.store(false, SeqCst);
            self.folder.open.fetch_sub(1, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(count: &AtomicU64) -> io::Result<()> {
        count.fetch_add(1, SeqCst);
        Ok(())
    }

    #[test]
    fn one_sync_serves_all_that_wait_for_it() {
        let (folders, count) = (Folders::default(), AtomicU64::new(0));
        let path = Path::new("a");
        let (first, second) = (folders.change(path), folders.change(path));
        // The second change is made while the first one's sync is on its way: that sync does not serve it.
        let (started, go) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        let (started, go, count_all) = (&started, &go, &count);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let sync = || {
                    started.wait();
                    go.wait();
                    ok(count_all)
                };
                first.made(sync, || {}).unwrap();
            });
            started.wait();
            let waiting: Vec<_> = [second, folders.change(path), folders.change(path)]
                .into_iter()
                .map(|change| scope.spawn(move || change.made(|| ok(count_all), || {}).unwrap()))
                .collect();
            while folders.get(path).made.load(SeqCst) < 5 {
                std::thread::yield_now();
            }
            go.wait();
            waiting.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(count.load(SeqCst), 2);
        assert!(folders.is_clean(path));
    }

    #[test]
    fn a_folder_is_clean_only_when_this_process_has_seen_to_it() {
        let (folders, path) = (Folders::default(), Path::new("a"));
        assert!(!folders.is_clean(path), "an earlier process may have left something");
        folders.change(path).made(|| Ok(()), || {}).unwrap();
        assert!(folders.is_clean(path));
        let change = folders.change(path);
        assert!(!folders.is_clean(path), "under way: it may be visible already");
        drop(change);
        assert!(!folders.is_clean(path), "it failed, and may have happened all the same");
        folders.change(path).made(|| Ok(()), || {}).unwrap();
        assert!(folders.is_clean(path));
    }

    #[test]
    fn a_folder_with_a_failed_sync_is_never_clean_again() {
        let (folders, path) = (Folders::default(), Path::new("a"));
        assert!(folders.change(path).made(|| Err(io::ErrorKind::Other.into()), || {}).is_err());
        folders.change(path).made(|| Ok(()), || {}).unwrap();
        assert!(!folders.is_clean(path));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_in_use_is_kept() {
        let (folders, path, count) = (Folders::default(), Path::new("a"), AtomicU64::new(0));
        let change = folders.change(path);
        for other in 0..2 * REMEMBERED {
            folders.get(Path::new(&other.to_string()));
        }
        assert!(folders.0.lock().unwrap().len() <= REMEMBERED);
        assert!(!folders.is_clean(path));
        change.made(|| ok(&count), || {}).unwrap();
        assert!(folders.is_clean(path));
    }

    #[test]
    fn what_failed_is_undone_unless_somebody_may_rely_on_it() {
        let (folders, path) = (Folders::default(), Path::new("a"));
        let fail = || Err(io::ErrorKind::Other.into());
        for (other_succeeds, expected) in [(false, true), (true, false)] {
            let (mut undone, change) = (false, folders.change(path));
            if other_succeeds {
                folders.change(path).made(|| Ok(()), || {}).unwrap();
            }
            assert!(change.made(fail, || undone = true).is_err());
            assert_eq!(undone, expected);
        }
    }
}
