//! What is in the folders, for the collector and for `check`.

use std::path::Path;

use schleuse_model::Digest;

use super::{DiskStore, LINKS, MANIFESTS, TAGS, blob_path, folder};
use crate::error::Error;
use crate::route::Name;
use crate::store::Inventory;

impl DiskStore {
    /// The digests that are the names in a folder; with the names that are none.
    pub(crate) fn stems(&self, folder: &Path) -> Result<(Vec<Digest>, Vec<String>), Error> {
        let names = self.files.names(folder)?.unwrap_or_default();
        let (mut digests, mut others) = (Vec::new(), Vec::new());
        for name in names {
            match name.replacen('-', ":", 1).parse::<Digest>() {
                Ok(digest) if digest.as_tag_stem() == name => digests.push(digest),
                _ => others.push(name),
            }
        }
        Ok((digests, others))
    }

    /// The folders in `repos/` that are repositories, below `at`.
    fn walk(&self, at: &Path, name: &str, found: &mut Vec<Name>) -> Result<(), Error> {
        let parts = self.files.names(at)?.unwrap_or_default();
        if parts.iter().any(|part| [LINKS, MANIFESTS, TAGS].contains(&part.as_str()))
            && let Ok(name) = Name::parse(name)
        {
            found.push(name);
        }
        for part in parts.iter().filter(|part| !part.starts_with('_')) {
            let name = if name.is_empty() { part.clone() } else { format!("{name}/{part}") };
            self.walk(&at.join(part), &name, found)?;
        }
        Ok(())
    }
}

impl Inventory for DiskStore {
    fn repositories(&self) -> Result<Vec<Name>, Error> {
        let mut found = Vec::new();
        self.walk(Path::new("repos"), "", &mut found)?;
        Ok(found)
    }

    fn links(&self, name: &Name) -> Result<Vec<Digest>, Error> {
        Ok(self.stems(&folder(name, LINKS))?.0)
    }

    fn manifests(&self, name: &Name) -> Result<Vec<Digest>, Error> {
        Ok(self.stems(&folder(name, MANIFESTS))?.0)
    }

    fn blobs(&self) -> Result<Vec<Digest>, Error> {
        let root = Path::new("blobs");
        let mut blobs = Vec::new();
        for algorithm in self.files.names(root)?.unwrap_or_default() {
            let of = root.join(&algorithm);
            for shelf in self.files.names(&of)?.unwrap_or_default() {
                for hex in self.files.names(&of.join(shelf))?.unwrap_or_default() {
                    blobs.extend(format!("{algorithm}:{hex}").parse::<Digest>().ok());
                }
            }
        }
        Ok(blobs)
    }

    fn remove_blob(&self, digest: &Digest) -> Result<(), Error> {
        self.files.forget(&blob_path(digest)).map(drop)
    }

    fn swept(&self) -> usize {
        self.swept
    }
}
