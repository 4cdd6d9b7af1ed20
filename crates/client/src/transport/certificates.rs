//! Certificates for single registries, where Docker, Podman and skopeo look for them (containers-certs.d(5)):
//! `<folder>/<host[:port]>/*.crt` are authorities that are trusted too, `<name>.cert` with `<name>.key` is what this machine is
//! known by.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Identity};
use tokio::io::AsyncReadExt as _;

/// The most that is read of one file. A bundle of every authority of the web has 220 KiB.
const LIMIT: u64 = 1 << 20;
/// The most files that are looked at for one registry.
const FILES: usize = 64;

/// What is known for one registry.
#[derive(Debug, Default)]
pub(crate) struct HostCertificates {
    pub(crate) authorities: Vec<Certificate>,
    pub(crate) identity: Option<Identity>,
}

/// What stands in the first of `folders` that has something for `host` (`host[:port]`). `None`: none has.
///
/// # Errors
/// What is wrong, for people: a file that cannot be read or is not what its name says, a certificate without its key. A folder
/// that we may not look into is as good as none (containers-certs.d's readers do the same): `/etc/docker` may be root's alone.
pub(crate) async fn of(folders: &[PathBuf], host: &str) -> Result<Option<HostCertificates>, String> {
    // Hosts come from answers too.
    if host.starts_with('.') || host.contains(['/', '\0']) {
        return Ok(None);
    }
    for folder in folders {
        let folder = folder.join(host);
        let mut entries = match tokio::fs::read_dir(&folder).await {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(format!("cannot read {}: {error}", folder.display())),
        };
        let mut files = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(|error| format!("{}: {error}", folder.display()))? {
            if files.len() == FILES {
                return Err(format!("{} holds more than {FILES} files", folder.display()));
            }
            files.push(entry.path());
        }
        files.sort();
        return read(&files).await.map(Some);
    }
    Ok(None)
}

async fn read(files: &[PathBuf]) -> Result<HostCertificates, String> {
    let mut found = HostCertificates::default();
    for path in files {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => {
                let bundle = Certificate::from_pem_bundle(&bytes(path).await?).unwrap_or_default();
                if bundle.is_empty() {
                    return Err(format!("{} is not a PEM file with certificates", path.display()));
                }
                found.authorities.extend(bundle);
            }
            Some("cert") => {
                let key = path.with_extension("key");
                let mut both = bytes(path).await?;
                both.push(b'\n');
                both.extend(bytes(&key).await?);
                let identity = Identity::from_pem(&both);
                // The parser's message is left out: it could quote the key.
                found.identity = Some(identity.map_err(|_| {
                    format!("{} and {} are not a certificate and its key (PEM)", path.display(), key.display())
                })?);
            }
            // As with Docker: the registry would only say that it saw no certificate.
            Some("key") if !files.contains(&path.with_extension("cert")) => {
                return Err(format!("{} has no certificate beside it (`.cert`)", path.display()));
            }
            _ => {}
        }
    }
    Ok(found)
}

async fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        return Err(format!("{} has more than {LIMIT} bytes", path.display()));
    }
    Ok(bytes)
}
