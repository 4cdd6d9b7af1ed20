//! A certificate authority for one test, made by `openssl`, and a server's certificate by it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The files of one authority and one server `localhost`, `127.0.0.1`, all PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// Whom clients must trust.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them in `folder`, in files whose names begin with `name`; valid for two days.
    ///
    /// # Panics
    /// If `openssl` is not there or fails.
    pub fn make(folder: &Path, name: &str) -> Self {
        let file = |end: &str| folder.join(format!("{name}-{end}.pem"));
        let [authority, authority_key, certificate, key] = ["ca", "ca-key", "cert", "key"].map(file);
        request(&authority, &authority_key, &["-subj", "/CN=an authority of tests", "-addext", "keyUsage=keyCertSign"]);
        let issuer = ["-CA", text(&authority), "-CAkey", text(&authority_key), "-subj", "/CN=localhost"];
        let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
        let leaf = ["-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"];
        request(&certificate, &key, &[issuer.as_slice(), &leaf].concat());
        Self { authority, certificate, key }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[allow(clippy::disallowed_methods, reason = "a peer that ends by itself, without input")]
fn request(certificate: &Path, key: &Path, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2"]);
    command.args(arguments).arg("-keyout").arg(key).arg("-out").arg(certificate).stdin(Stdio::null());
    let output = command.output().expect("openssl starts: tools/setup.sh installs it");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
