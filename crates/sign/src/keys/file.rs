//! cosign's encrypted key file: PEM around JSON around a PKCS#8 key in a NaCl secretbox, its key derived by scrypt.
//!
//! Source: secure-systems-lab/go-securesystemslib `encrypted`, as cosign 2 and 3 use it; observed with both.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use pem::{EncodeConfig, LineEnding, Pem};
use rand_core::CryptoRngCore;
use schleuse_model::{Secret, json};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::KeyError;
use super::secret::SecretKey;
use super::{KeyPair, PublicKey, Signer as _};
use crate::error::shown;

/// The largest key file that is read: 16 KiB. Real ones have under 1 KiB.
pub const KEY_FILE_LIMIT: usize = 16 << 10;

const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// What cosign 1 and early 2 wrote.
const OLD_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";
const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";
const NONCE_BYTES: usize = 24;
const SALT_BYTES: usize = 32;

/// log2 of the scrypt costs that are accepted: 15 (older cosign) and 16 (cosign now, and us). Memory is 128·N·r bytes: 32 and
/// 64 MiB. The file names its own cost, so any other is refused: `N = 2^30` would be a 1 TiB allocation on somebody's behalf.
const COSTS: [u8; 2] = [15, 16];
const COST_WRITTEN: u8 = 16;
const R: u32 = 8;
const P: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Boxed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

impl KeyPair {
    /// The key as cosign's key file, encrypted with `password` (which may be empty, as cosign allows). Takes about 0.1 s and
    /// 64 MiB, on purpose.
    ///
    /// # Errors
    /// None in practice: only if the key could not be encoded.
    pub fn encrypt(&self, password: &Secret<String>, rng: &mut impl CryptoRngCore) -> Result<String, KeyError> {
        let plain = self.secret.to_pkcs8()?;
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        let secretbox = secretbox(password, &salt, COST_WRITTEN)?;
        let ciphertext = secretbox
            .encrypt(Nonce::from_slice(&nonce), plain.as_bytes())
            .map_err(|_| KeyError::Malformed("it cannot be encrypted".to_owned()))?;
        let boxed = Boxed {
            kdf: Kdf {
                name: KDF.to_owned(),
                params: Params { n: 1 << COST_WRITTEN, r: R, p: P },
                salt: STANDARD.encode(salt),
            },
            cipher: Cipher { name: CIPHER.to_owned(), nonce: STANDARD.encode(nonce) },
            ciphertext: STANDARD.encode(ciphertext),
        };
        Ok(to_pem(LABEL, json::to_bytes(&boxed)))
    }

    /// Opens a key file, at most [`KEY_FILE_LIMIT`] bytes.
    ///
    /// # Errors
    /// [`KeyError::WrongPassword`], or what is wrong with the file. Parameters are checked before any memory is spent on them.
    pub fn decrypt(file: &[u8], password: &Secret<String>) -> Result<Self, KeyError> {
        let block = pem_block(file)?;
        if ![LABEL, OLD_LABEL].contains(&block.tag()) {
            return Err(KeyError::Label { expected: LABEL, found: shown(block.tag()) });
        }
        let boxed = Boxed::read(&block)?;
        let cost = accepted_cost(&boxed)?;
        let salt = base64(&boxed.kdf.salt, "salt")?;
        let nonce: [u8; NONCE_BYTES] = base64(&boxed.cipher.nonce, "nonce")?
            .try_into()
            .map_err(|_| KeyError::Malformed("its nonce has not 24 bytes".to_owned()))?;
        let ciphertext = base64(&boxed.ciphertext, "ciphertext")?;
        let plain = secretbox(password, &salt, cost)?
            .decrypt(Nonce::from_slice(&nonce), ciphertext.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| KeyError::WrongPassword)?;
        Self::from_secret(SecretKey::from_pkcs8(&plain)?)
    }
}

/// What a key file is, as far as it can be told without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Described {
    /// A public key.
    Public(PublicKey),
    /// A private key, encrypted in a way that is accepted.
    Encrypted {
        /// With what, for people.
        with: String,
    },
    /// A private key that lies open: its public half.
    Plain(PublicKey),
}

impl Described {
    /// Looks at a key file of at most [`KEY_FILE_LIMIT`] bytes.
    ///
    /// # Errors
    /// [`KeyError`]: neither of the two.
    pub fn of(file: &[u8]) -> Result<Self, KeyError> {
        let block = pem_block(file)?;
        if block.tag() == super::public::LABEL {
            return Ok(Self::Public(PublicKey::from_pem(file)?));
        }
        if ![LABEL, OLD_LABEL].contains(&block.tag()) {
            let pair = KeyPair::import(&Secret::new(file.to_vec()))?;
            return Ok(Self::Plain(pair.public_key().clone()));
        }
        let boxed = Boxed::read(&block)?;
        let cost = accepted_cost(&boxed)?;
        Ok(Self::Encrypted { with: format!("{KDF} (N {}, r {R}, p {P}), {CIPHER}", 1_u64 << cost) })
    }
}

impl Boxed {
    fn read(block: &Pem) -> Result<Self, KeyError> {
        json::from_untrusted(block.contents(), KEY_FILE_LIMIT).map_err(|error| KeyError::Malformed(error.to_string()))
    }
}

fn accepted_cost(boxed: &Boxed) -> Result<u8, KeyError> {
    let Params { n, r, p } = boxed.kdf.params;
    if boxed.cipher.name != CIPHER {
        return Err(KeyError::Encryption { what: shown(&boxed.cipher.name) });
    }
    let cost = COSTS.into_iter().find(|cost| n == 1 << cost);
    match cost {
        Some(cost) if boxed.kdf.name == KDF && r == R && p == P => Ok(cost),
        _ => Err(KeyError::Encryption { what: format!("{} N {n}, r {r}, p {p}", shown(&boxed.kdf.name)) }),
    }
}

fn secretbox(password: &Secret<String>, salt: &[u8], cost: u8) -> Result<XSalsa20Poly1305, KeyError> {
    let refused = || KeyError::Encryption { what: format!("scrypt of cost {cost}") };
    let params = scrypt::Params::new(cost, R, P, 32).map_err(|_| refused())?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(password.expose().as_bytes(), salt, &params, key.as_mut()).map_err(|_| refused())?;
    Ok(XSalsa20Poly1305::new(Key::from_slice(key.as_ref())))
}

fn base64(text: &str, what: &str) -> Result<Vec<u8>, KeyError> {
    STANDARD.decode(text).map_err(|_| KeyError::Malformed(format!("its {what} is not base64")))
}

/// The file's one PEM block.
pub(super) fn pem_block(file: &[u8]) -> Result<Pem, KeyError> {
    if file.len() > KEY_FILE_LIMIT {
        return Err(KeyError::TooLarge { size: file.len() });
    }
    pem::parse(file).map_err(|_| KeyError::Malformed("it is not PEM".to_owned()))
}

pub(super) fn to_pem(label: &str, content: Vec<u8>) -> String {
    pem::encode_config(&Pem::new(label, content), EncodeConfig::new().set_line_ending(LineEnding::LF))
}
