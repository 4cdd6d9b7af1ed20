//! Asking an instance how it is.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use schleuse_health::ProbeFailure;
use schleuse_model::{Release, json};
use serde::Deserialize;
use tokio::net::TcpStream;

/// The most of an answer that is read. Health answers have a few hundred bytes.
const ANSWER_LIMIT: usize = 64 << 10;
/// How much of an answer is shown to a person.
const SHOWN: usize = 300;

/// What to ask and what to expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    /// The path, with its leading slash.
    pub path: String,
    /// The expected status.
    pub status: u16,
    /// How long one probe may take, from connecting to the last byte.
    pub timeout: Duration,
    /// What the answer must say about the release.
    pub identity: Identity,
}

/// What an answer must say about the release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Where it names a version or digest, it must be the release's.
    #[default]
    IfReported,
    /// It must name the release.
    Required,
    /// It is not looked at.
    Ignored,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// How long it took.
    pub took: Duration,
    /// Good, or what was wrong.
    pub outcome: Result<(), ProbeFailure>,
    /// What was answered, shortened and made printable.
    pub answer: Option<String>,
}

/// Probes.
#[async_trait]
pub trait Prober: Debug + Send + Sync {
    /// Asks the instance at `address`; it must be `release`, where the answer says which it is.
    async fn probe(&self, address: SocketAddr, spec: &ProbeSpec, release: &Release) -> Probed;
}

/// Probes by HTTP/1.1, a new connection each time: a kept one would prove only that the process still reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpProber;

/// The parts of a health answer that say which release it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reported {
    version: Option<String>,
    digest: Option<String>,
}

#[async_trait]
impl Prober for HttpProber {
    async fn probe(&self, address: SocketAddr, spec: &ProbeSpec, release: &Release) -> Probed {
        let started = tokio::time::Instant::now();
        let asked = tokio::time::timeout(spec.timeout, ask(address, spec)).await;
        let took = started.elapsed();
        let (outcome, answer) = match asked {
            Err(_) => (Err(ProbeFailure::Timeout), None),
            Ok(Err(fault)) => (Err(fault), None),
            Ok(Ok((status, body))) => {
                let outcome = if status == spec.status {
                    same_release(&body, release, spec.identity)
                } else {
                    Err(ProbeFailure::Status(status))
                };
                (outcome, Some(shown(&body)))
            }
        };
        Probed { took, outcome, answer }
    }
}

async fn ask(address: SocketAddr, spec: &ProbeSpec) -> Result<(u16, Bytes), ProbeFailure> {
    let stream = TcpStream::connect(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => ProbeFailure::Refused,
        _ => ProbeFailure::ConnectionLost,
    })?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(failure)?;
    let exchange = async {
        let request = hyper::Request::get(&spec.path)
            .header("host", address.to_string())
            .header("user-agent", "schleuse-probe")
            .header("connection", "close")
            .body(Empty::<Bytes>::new())
            .map_err(|_| ProbeFailure::NotUnderstood)?;
        let response = sender.send_request(request).await.map_err(failure)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        Ok((status, body.map_err(|_| ProbeFailure::ConnectionLost)?.to_bytes()))
    };
    tokio::pin!(connection, exchange);
    // The connection is driven only as long as the exchange needs it: nothing outlives the probe.
    let mut closed = false;
    loop {
        tokio::select! {
            answer = &mut exchange => return answer,
            _ = &mut connection, if !closed => closed = true,
        }
    }
}

fn failure(error: hyper::Error) -> ProbeFailure {
    if error.is_parse() { ProbeFailure::NotUnderstood } else { ProbeFailure::ConnectionLost }
}

/// Success needs the expected release where the answer names one: a probe that reaches the old release by accident is no proof.
fn same_release(body: &[u8], release: &Release, identity: Identity) -> Result<(), ProbeFailure> {
    if identity == Identity::Ignored {
        return Ok(());
    }
    let reported: Reported = json::from_untrusted(body, ANSWER_LIMIT).unwrap_or_default();
    let silent = reported.version.is_none() && reported.digest.is_none();
    if identity == Identity::Required && silent {
        let expected = release.version.clone().unwrap_or_else(|| release.digest.to_string());
        return Err(ProbeFailure::WrongVersion { reported: "no version".to_owned(), expected });
    }
    let pairs = [(reported.version, release.version.clone()), (reported.digest, Some(release.digest.to_string()))];
    for (found, expected) in pairs {
        if let (Some(found), Some(expected)) = (found, expected)
            && found != expected
        {
            return Err(ProbeFailure::WrongVersion { reported: shown(found.as_bytes()), expected });
        }
    }
    Ok(())
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN)]);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use schleuse_model::Digest;

    fn release() -> Release {
        Release { digest: Digest::sha256(b"x"), commit: None, version: Some("1.4.0".to_owned()) }
    }

    #[test]
    fn the_expected_release_must_answer_where_it_says_which_it_is() {
        assert_eq!(same_release(br#"{"status":"ok"}"#, &release(), Identity::IfReported), Ok(()));
        assert_eq!(same_release(b"OK", &release(), Identity::IfReported), Ok(()));
        assert_eq!(same_release(br#"{"version":"1.4.0"}"#, &release(), Identity::IfReported), Ok(()));
        let wrong = same_release(br#"{"version":"1.3.2"}"#, &release(), Identity::IfReported).unwrap_err();
        assert_eq!(wrong.to_string(), "`1.3.2` answers instead of `1.4.0`");
        assert!(same_release(br#"{"digest":"sha256:00"}"#, &release(), Identity::IfReported).is_err());
    }

    #[test]
    fn a_release_may_have_to_say_which_it_is() {
        assert!(same_release(b"OK", &release(), Identity::Required).is_err());
        assert_eq!(same_release(br#"{"version":"1.4.0"}"#, &release(), Identity::Required), Ok(()));
        assert_eq!(same_release(br#"{"version":"1.3.2"}"#, &release(), Identity::Ignored), Ok(()));
    }

    #[tokio::test]
    async fn nothing_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let spec = ProbeSpec {
            path: "/api/health".to_owned(),
            status: 200,
            timeout: Duration::from_secs(1),
            identity: Identity::IfReported,
        };
        assert_eq!(HttpProber.probe(address, &spec, &release()).await.outcome, Err(ProbeFailure::Refused));
    }

    #[tokio::test]
    async fn a_hanging_answer_ends_at_the_timeout() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spec = ProbeSpec {
            path: "/".to_owned(),
            status: 200,
            timeout: Duration::from_millis(50),
            identity: Identity::IfReported,
        };
        let probed = HttpProber.probe(listener.local_addr().unwrap(), &spec, &release()).await;
        assert_eq!(probed.outcome, Err(ProbeFailure::Timeout));
    }
}
