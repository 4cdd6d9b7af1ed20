//! Downloads that break off are gone on with, and end whole or not at all.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use schleuse_client::{Client, NoJitter, RetryPolicy};
use schleuse_oci::{Descriptor, Error, Pull as _, collect, media_type};
use tokio::time::Instant;

use crate::fake::{Asked, Fake, Reply, client, quick, reply};

/// 4,000,000 bytes that do not repeat.
fn content() -> Bytes {
    static CONTENT: OnceLock<Bytes> = OnceLock::new();
    CONTENT.get_or_init(|| (0..1_000_000u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into()).clone()
}

fn blob() -> Descriptor {
    Descriptor::of(media_type::LAYER_TAR, &content())
}

/// Where the request wants to go on.
fn asked_from(asked: &Asked) -> Option<usize> {
    Some(asked.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().unwrap())
}

fn part(from: usize, to: usize) -> Reply {
    let (content, size) = (content(), content().len());
    reply(206)
        .body("application/octet-stream", content.slice(from..to))
        .header("content-range", format!("bytes {from}-{}/{size}", size - 1))
}

async fn pulled(client: &Client, fake: &Fake) -> Result<Vec<u8>, Error> {
    let stream = client.blob_stream(&fake.repository(), &blob()).await?.unwrap();
    collect(stream, usize::MAX, "blob").await
}

#[tokio::test]
async fn what_came_is_not_asked_for_again() {
    // Breaks after each 1,000,000 bytes: more often than there are attempts.
    let fake = Fake::start(|_, asked| match asked_from(asked) {
        None => reply(200).body("application/octet-stream", content().slice(..1_000_000)).then_cut(),
        Some(3_000_000) => part(3_000_000, 4_000_000),
        Some(from) => part(from, from + 1_000_000).then_cut(),
    })
    .await;
    let few = RetryPolicy { attempts: 3, first: Duration::from_millis(1), ..RetryPolicy::default() };
    let client = Client::builder().retry(few).jitter(Arc::new(NoJitter)).build().unwrap();
    assert_eq!(pulled(&client, &fake).await.unwrap(), content());
    let ranges: Vec<Option<usize>> = fake.asked().iter().map(asked_from).collect();
    assert_eq!(ranges, [None, Some(1_000_000), Some(2_000_000), Some(3_000_000)]);
}

#[tokio::test]
async fn progress_refills_the_budget_and_crumbs_do_not() {
    for (step, arrives) in [(1_100_000, true), (100_000, false)] {
        let fake = Fake::start(move |_, asked| {
            let from = asked_from(asked).unwrap_or(0);
            let to = content().len().min(from + step);
            let answer = match from {
                0 => reply(200).body("application/octet-stream", content().slice(..to)),
                _ => part(from, to),
            };
            if to == content().len() { answer } else { answer.then_cut() }
        })
        .await;
        // Two attempts: without progress one break is all that is forgiven.
        let few = RetryPolicy { attempts: 2, first: Duration::from_millis(1), ..RetryPolicy::default() };
        let client = Client::builder().retry(few).jitter(Arc::new(NoJitter)).build().unwrap();
        let pulled = pulled(&client, &fake).await;
        assert_eq!(pulled.is_ok(), arrives, "{step}");
        if !arrives {
            assert!(matches!(pulled, Err(Error::Interrupted { .. })), "{:?}", pulled.err());
            assert_eq!(fake.asked().len(), 2);
        }
    }
}

#[tokio::test]
async fn a_registry_that_knows_no_ranges_starts_anew() {
    let fake = Fake::start(|before, _| {
        let whole = reply(200).body("application/octet-stream", content());
        if before == 0 {
            reply(200).body("application/octet-stream", content().slice(..1234)).then_cut()
        } else {
            whole
        }
    })
    .await;
    assert_eq!(pulled(&client(), &fake).await.unwrap(), content());
    assert_eq!(fake.asked().len(), 2);
}

#[tokio::test]
async fn another_place_than_asked_for_is_an_error() {
    let size = content().len();
    for said in [
        Some(format!("bytes 0-{}/{size}", size - 1)),
        Some(format!("bytes 1235-{}/{size}", size - 1)),
        Some(format!("bytes 1234-{}/{size}", size - 2)),
        Some(format!("bytes 1234-{}/{}", size - 1, size + 1)),
        Some("bytes 1234-".to_owned()),
        None,
    ] {
        let told = said.clone();
        let fake = Fake::start(move |before, _| {
            if before == 0 {
                return reply(200).body("application/octet-stream", content().slice(..1234)).then_cut();
            }
            let rest = reply(206).body("application/octet-stream", content().slice(1234..));
            told.iter().fold(rest, |rest, said| rest.header("content-range", said))
        })
        .await;
        let pulled = pulled(&client(), &fake).await;
        assert!(
            matches!(&pulled, Err(Error::Unexpected { status: 206, message, .. }) if message.contains("Content-Range")),
            "{said:?}: {:?}",
            pulled.map(|bytes| bytes.len())
        );
    }
}

#[tokio::test]
async fn the_digest_is_of_the_whole() {
    // The rest is of another content: right in place and length.
    let fake = Fake::start(|_, asked| match asked_from(asked) {
        None => reply(200).body("application/octet-stream", content().slice(..1234)).then_cut(),
        Some(from) => {
            let size = content().len();
            reply(206)
                .body("application/octet-stream", vec![7; size - from])
                .header("content-range", format!("bytes {from}-{}/{size}", size - 1))
        }
    })
    .await;
    assert!(matches!(pulled(&client(), &fake).await, Err(Error::WrongDigest { .. })));
}

#[tokio::test]
async fn what_else_may_answer_in_between() {
    let page = || reply(200).body("text/html", "<html>please log in</html>");
    for (answer, expected) in [
        (reply(404).error("BLOB_UNKNOWN"), "404"),
        (reply(416), "416"),
        (page(), "web page"),
        (reply(403).error("DENIED"), "refused"),
    ] {
        let fake = Fake::start(move |before, _| {
            if before == 0 {
                reply(200).body("application/octet-stream", content().slice(..1234)).then_cut()
            } else {
                answer.clone()
            }
        })
        .await;
        let error = pulled(&client(), &fake).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    // What passes is waited for.
    let fake = Fake::start(|before, asked| match before {
        0 => reply(200).body("application/octet-stream", content().slice(..1234)).then_cut(),
        1 => reply(503),
        _ => part(asked_from(asked).unwrap(), content().len()),
    })
    .await;
    assert_eq!(pulled(&client(), &fake).await.unwrap(), content());
}

#[tokio::test]
async fn only_the_end_of_the_answer_was_lost() {
    let fake = Fake::start(|_, _| reply(200).body("application/octet-stream", content()).then_cut()).await;
    assert_eq!(pulled(&client(), &fake).await.unwrap(), content());
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_whole_has_a_deadline() {
    // A line that moves a megabyte and stalls, for ever.
    let fake = Fake::start(|_, asked| {
        let from = asked_from(asked).unwrap_or(0);
        let to = content().len().min(from + 100_000);
        let answer = match from {
            0 => reply(200).body("application/octet-stream", content().slice(..to)),
            _ => part(from, to),
        };
        answer.then_stall()
    })
    .await;
    let deadlines = schleuse_client::Deadlines { transfer: Duration::from_secs(100), ..Default::default() };
    let many = RetryPolicy { attempts: 1000, budget: Duration::from_secs(9999), ..RetryPolicy::default() };
    let client = quick().retry(many).deadlines(deadlines).build().unwrap();
    let started = Instant::now();
    assert!(matches!(pulled(&client, &fake).await, Err(Error::Interrupted { .. })));
    assert!(started.elapsed() <= Duration::from_secs(100), "{:?}", started.elapsed());
}
