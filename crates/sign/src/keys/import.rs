//! Plain private keys of other tools, on their way into an encrypted file: PKCS#8 (RFC 5208) and SEC1 (RFC 5915), as PEM
//! (RFC 7468).

use p256::pkcs8::SecretDocument;
use schleuse_model::Secret;

use super::error::PLAIN;
use super::secret::SecretKey;
use super::{KEY_FILE_LIMIT, KeyError, KeyPair};
use crate::error::shown;

const PKCS8: &str = "PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";
/// What `openssl ecparam -genkey` writes before the key. It says which curve, and so does the key.
const PARAMETERS_END: &str = "-----END EC PARAMETERS-----";

impl KeyPair {
    /// Reads a plain private key, at most [`KEY_FILE_LIMIT`] bytes of PEM.
    ///
    /// # Errors
    /// [`KeyError`]; never with any of the key's content.
    pub fn import(file: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let bytes = file.expose();
        if bytes.len() > KEY_FILE_LIMIT {
            return Err(KeyError::TooLarge { size: bytes.len() });
        }
        let not_pem = || KeyError::Malformed("it is not PEM".to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| not_pem())?;
        let text = text.split_once(PARAMETERS_END).map_or(text, |(_, key)| key).trim_start();
        let label = p256::pkcs8::der::pem::decode_label(text.as_bytes()).map_err(|_| not_pem())?;
        if ![PKCS8, SEC1].contains(&label) {
            return Err(KeyError::Label { expected: PLAIN, found: shown(label) });
        }
        // Wiped on drop, unlike what a general PEM reader leaves behind.
        let (label, document) = SecretDocument::from_pem(text.trim_end()).map_err(|_| not_pem())?;
        let secret =
            if label == SEC1 { sec1(document.as_bytes())? } else { SecretKey::from_pkcs8(document.as_bytes())? };
        Self::from_secret(secret)
    }
}

/// A SEC1 key. Each curve's reader refuses a key that names another curve, or is of another length.
fn sec1(der: &[u8]) -> Result<SecretKey, KeyError> {
    if let Ok(key) = p256::SecretKey::from_sec1_der(der) {
        return Ok(SecretKey::P256(key.into()));
    }
    match p384::SecretKey::from_sec1_der(der) {
        Ok(key) => Ok(SecretKey::P384(key.into())),
        Err(_) => Err(KeyError::Malformed("it is no EC key on P-256 or P-384".to_owned())),
    }
}
