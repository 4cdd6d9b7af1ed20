//! TLS for the server: one certificate with its key, from PEM files, read again when asked to.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::Error;

/// A chain of certificates has a few KiB.
const FILE_BYTES: u64 = 1 << 20;

const CHAIN_HINT: &str =
    "--tls-cert takes the server's certificate in PEM, followed by the certificates between it and the root";
const KEY_HINT: &str = "--tls-key takes the private key in PEM (PKCS #8, PKCS #1 or SEC 1), not encrypted";

/// A certificate chain and its key (TLS 1.2 and 1.3). Cloning gives another handle on the same ones.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads both files and checks that they belong together.
    ///
    /// # Errors
    /// [`Error::Storage`] if one cannot be read, [`Error::Tls`] if it does not hold what it should or they do not match.
    pub fn open(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, Error> {
        let (chain, key) = (chain.into(), key.into());
        let current = RwLock::new(Arc::new(load(&chain, &key)?));
        Ok(Self(Arc::new(Inner { chain, key, current })))
    }

    /// Reads both files again, for connections made from now on: certificates are renewed.
    ///
    /// # Errors
    /// As [`Tls::open`]; then what was read before still holds.
    pub fn reload(&self) -> Result<(), Error> {
        let fresh = Arc::new(load(&self.0.chain, &self.0.key)?);
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn load(chain_path: &Path, key_path: &Path) -> Result<ServerConfig, Error> {
    let wrong = |path: &Path, reason, hint| Error::Tls { path: path.to_owned(), reason, hint };
    let pem = read(chain_path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| wrong(chain_path, "is damaged: its PEM cannot be read", CHAIN_HINT))?;
    if chain.is_empty() {
        return Err(wrong(chain_path, "holds no certificate in PEM", CHAIN_HINT));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(key_path)?)
        .map_err(|_| wrong(key_path, "holds no private key in PEM that we can read", KEY_HINT))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| wrong(chain_path, "cannot be used", CHAIN_HINT))?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            wrong(key_path, "is not the key of the certificate", "give the key that the certificate was made for")
        }
        rustls::Error::InvalidCertificate(_) => {
            wrong(chain_path, "does not begin with a certificate that can be read", CHAIN_HINT)
        }
        _ => {
            wrong(key_path, "is not a key that TLS can use", "RSA from 2048 bits on, ECDSA P-256 or P-384, or Ed25519")
        }
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = || Error::storage("read", path);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed())?;
    file.take(FILE_BYTES).read_to_end(&mut bytes).map_err(failed())?;
    Ok(bytes)
}
