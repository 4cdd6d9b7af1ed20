//! Which hosts are reached through a proxy. The addresses come in as values; the process's environment is not read here.

mod bypass;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use reqwest::Url;
use schleuse_model::Secret;

use crate::address::authority;
use crate::auth::sensitive;
use bypass::Bypass;

/// The proxies, and what is reached without. Without anything set: none.
///
/// This machine is never reached through a proxy, whatever is set.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    bypass: Bypass,
}

/// The text is no proxy's address. It is not shown: it may hold a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a proxy's address")]
pub struct NoProxyAddress;

/// One proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Without the login.
    pub(crate) address: Url,
    /// The login, for the proxy alone.
    pub(crate) login: Option<HeaderValue>,
}

impl Proxies {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `address` for plain HTTP: `[http://][user:password@]host[:port]`.
    ///
    /// # Errors
    /// [`NoProxyAddress`].
    pub fn http(mut self, address: &Secret<String>) -> Result<Self, NoProxyAddress> {
        // No `https://` here: what is sent on is not secret from the proxy's network, so nothing would be won.
        self.http = Some(Proxy::parse(address.expose(), &["http"])?);
        Ok(self)
    }

    /// `address` for HTTPS; the proxy itself may be spoken to over HTTPS (`https://`).
    ///
    /// # Errors
    /// [`NoProxyAddress`].
    pub fn https(mut self, address: &Secret<String>) -> Result<Self, NoProxyAddress> {
        self.https = Some(Proxy::parse(address.expose(), &["http", "https"])?);
        Ok(self)
    }

    /// What is reached without: a list as in `NO_PROXY`, separated by commas or blanks. Entries are names (with all that is below
    /// them), addresses, networks (`10.0.0.0/8`), each with or without a port, or `*`. What cannot be one of these matches nothing.
    #[must_use]
    pub fn except(mut self, list: &str) -> Self {
        self.bypass = Bypass::parse(list);
        self
    }

    /// The proxy for URLs of that scheme.
    pub(crate) fn of(&self, scheme: &str) -> Option<&Proxy> {
        if scheme == "https" { self.https.as_ref() } else { self.http.as_ref() }
    }

    /// The proxy on the way to `url`.
    pub(crate) fn on_the_way_to(&self, url: &Url) -> Option<&Proxy> {
        self.of(url.scheme()).filter(|_| !self.bypass.covers(url))
    }
}

impl Proxy {
    fn parse(text: &str, schemes: &[&str]) -> Result<Self, NoProxyAddress> {
        let text = text.trim();
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut address = Url::parse(&full).map_err(|_| NoProxyAddress)?;
        if !schemes.contains(&address.scheme()) || !address.has_host() {
            return Err(NoProxyAddress);
        }
        let login = login(&address)?;
        address.set_username("").and_then(|()| address.set_password(None)).map_err(|()| NoProxyAddress)?;
        address.set_path("/");
        address.set_query(None);
        address.set_fragment(None);
        Ok(Self { address, login })
    }
}

fn login(address: &Url) -> Result<Option<HeaderValue>, NoProxyAddress> {
    if address.username().is_empty() && address.password().is_none() {
        return Ok(None);
    }
    let mut pair = unescaped(address.username());
    pair.push(b':');
    pair.extend(unescaped(address.password().unwrap_or("")));
    sensitive(&format!("Basic {}", STANDARD.encode(Secret::new(pair).expose()))).map(Some).ok_or(NoProxyAddress)
}

/// Percent-encoding undone (RFC 3986 §2.1).
fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").field("http", &self.http).field("https", &self.https).finish_non_exhaustive()
    }
}

impl fmt::Debug for Proxy {
    /// Where it is, never the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&authority(&self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn addresses() {
        for (text, address) in [
            ("http://proxy.lan:3128", "http://proxy.lan:3128/"),
            ("proxy.lan:3128", "http://proxy.lan:3128/"),
            ("http://user:hunter2@proxy.lan/path?x#y", "http://proxy.lan/"),
            ("https://proxy.lan", "https://proxy.lan/"),
        ] {
            assert_eq!(Proxy::parse(text, &["http", "https"]).unwrap().address.as_str(), address, "{text}");
        }
        for text in ["", "socks5://proxy.lan:1080", "file:///etc/passwd", "http://", "http://a b"] {
            assert!(Proxies::new().https(&secret(text)).is_err(), "{text}");
        }
        assert!(Proxies::new().http(&secret("https://proxy.lan")).is_err());
    }

    #[test]
    fn a_login_is_taken_out_and_never_shown() {
        let proxies = Proxies::new().https(&secret("http://us%65r:p%40ss%zz@proxy.lan:3128")).unwrap();
        let proxy = proxies.https.as_ref().unwrap();
        assert_eq!(
            proxy.login.as_ref().unwrap().to_str().unwrap(),
            format!("Basic {}", STANDARD.encode("user:p@ss%zz"))
        );
        let shown = format!("{proxies:?} {:?}", proxy.login);
        assert!(shown.contains("proxy.lan:3128") && !shown.contains("ss%zz") && !shown.contains("Basic"), "{shown}");
    }

    #[test]
    fn each_scheme_has_its_own() {
        let proxies =
            Proxies::new().http(&secret("plain.lan")).unwrap().https(&secret("tls.lan")).unwrap().except("x.io");
        let through = |url: &str| proxies.on_the_way_to(&Url::parse(url).unwrap()).map(|proxy| format!("{proxy:?}"));
        assert_eq!(through("http://r.io/"), Some("plain.lan".into()));
        assert_eq!(through("https://r.io/"), Some("tls.lan".into()));
        assert_eq!(through("https://x.io/"), None);
        for here in ["http://127.0.0.1:5000/", "https://localhost/", "https://[::1]:5000/", "http://127.9.9.9/"] {
            assert_eq!(through(here), None, "{here}");
        }
        assert!(Proxies::new().on_the_way_to(&Url::parse("https://r.io/").unwrap()).is_none());
    }
}
