//! Writing a key pair: both halves, or neither.

use std::path::{Path, PathBuf};

use rand_core::OsRng;
use schleuse_sign::{KeyPair, Signer as _};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::files::{self, FileError};
use crate::output::{Page, Report};
use crate::password;

/// Where a pair goes: PREFIX.key and PREFIX.pub.
#[derive(clap::Args, Debug)]
pub(super) struct Destination {
    /// Write PREFIX.key (the private key, encrypted) and PREFIX.pub
    #[arg(long, value_name = "PREFIX", default_value = "schleuse")]
    output_prefix: PathBuf,
}

#[derive(Serialize)]
struct Written {
    private_key: String,
    public_key: String,
    algorithm: &'static str,
    fingerprint: String,
}

impl Report for Written {
    fn human(&self, page: &mut Page) {
        page.fact(11, "private key", &self.private_key);
        page.fact(11, "public key", &self.public_key);
        page.fact(11, "algorithm", self.algorithm);
        page.fact(11, "fingerprint", &self.fingerprint);
    }
}

impl Destination {
    fn file(&self, ending: &str) -> PathBuf {
        let mut path = self.output_prefix.clone().into_os_string();
        path.push(ending);
        PathBuf::from(path)
    }

    /// Refuses to overwrite, before anybody is asked for a password.
    pub(super) fn must_be_free(&self) -> Result<(), Failure> {
        let taken = |path: &PathBuf| path.symlink_metadata().is_ok();
        match [self.file(".key"), self.file(".pub")].into_iter().find(taken) {
            Some(path) => Err(FileError::Exists { path }.into()),
            None => Ok(()),
        }
    }

    /// Asks for a password, writes the pair and says what to do with it.
    pub(super) async fn write(&self, pair: &KeyPair, context: &Context) -> Result<(), Failure> {
        let (private, public) = (self.file(".key"), self.file(".pub"));
        let password = password::new(context).await?;
        if password.expose().is_empty() {
            context.printer.warn("the password is empty: whoever has the file can sign; use it for trials only");
        }
        files::create_new(&private, pair.encrypt(&password, &mut OsRng)?.as_bytes(), 0o600)?;
        if let Err(error) = files::create_new(&public, pair.public_key().to_pem().as_bytes(), 0o644) {
            // A private key without its public half would refuse the next try.
            let _ = std::fs::remove_file(&private);
            return Err(error.into());
        }
        let advice = advice(&public);
        let (algorithm, fingerprint) =
            (pair.public_key().algorithm().name(), pair.public_key().fingerprint().to_string());
        context.printer.report(&Written {
            private_key: files::shown(&private),
            public_key: files::shown(&public),
            algorithm,
            fingerprint,
        })?;
        context.printer.note(&advice);
        context.printer.note("keep the private key out of the repository: CI gets it as the secret COSIGN_PRIVATE_KEY");
        Ok(())
    }
}

fn advice(public: &Path) -> String {
    let trust = format!("build = [\"{}\"]", public.display());
    format!("commit the public key, list it under [trust] in schleuse.toml: `{trust}`")
}
