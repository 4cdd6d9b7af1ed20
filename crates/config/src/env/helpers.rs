//! What credential helpers are given of the environment. Each reads what its cloud or desktop needs, so it is named here by its
//! beginning; our own secrets (`COSIGN_…`, `REGISTRY_…`) and the CI's token are not among it.

/// Whole names.
const NAMES: [&str; 19] = [
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "GNUPGHOME",
    "GPG_TTY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "KUBECONFIG",
];

/// Beginnings: freedesktop's folders, `pass`, and the clouds whose registries have helpers.
const BEGINNINGS: [&str; 8] = ["XDG_", "PASSWORD_STORE_", "AWS_", "GOOGLE_", "CLOUDSDK_", "AZURE_", "ACR_", "OCI_"];

/// Whether a helper is given the variable `name`. Proxies are known in lower case too.
pub(super) fn given(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let proxy = upper.ends_with("_PROXY") && name == name.to_ascii_lowercase();
    let known = if proxy { upper.as_str() } else { name };
    NAMES.contains(&known) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helpers_need_and_no_secret_of_ours() {
        for name in
            ["HOME", "AWS_SECRET_ACCESS_KEY", "XDG_RUNTIME_DIR", "https_proxy", "HTTPS_PROXY", "CLOUDSDK_CONFIG"]
        {
            assert!(given(name), "{name}");
        }
        for name in [
            "COSIGN_PASSWORD",
            "COSIGN_PRIVATE_KEY",
            "REGISTRY_PASSWORD",
            "GITHUB_TOKEN",
            "STAGING_DATABASE_URL",
            "ROLLBACK_WEBHOOK",
            "LD_PRELOAD",
            "PATH",
            "home",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "FTP_PROXY",
        ] {
            assert!(!given(name), "{name}");
        }
    }
}
