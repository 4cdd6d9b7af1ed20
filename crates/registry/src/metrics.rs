//! What the registry counts, and how Prometheus reads it (text format 0.0.4).
//!
//! Labels take their values from fixed lists, so that no client can make the output grow: a method we do not know is `other`, a
//! path is shown by its kind, a status by its class.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::Method;

use crate::route::Kind;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];

/// `cut` is a request whose client went away before it had its answer.
const CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "cut"];

/// Upper bounds in seconds: from a manifest out of the page cache to a layer over a slow line.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0, 120.0, 600.0];

type Counts<const N: usize> = [AtomicU64; N];

fn zeros<const N: usize>() -> Counts<N> {
    std::array::from_fn(|_| AtomicU64::new(0))
}

#[derive(Debug)]
struct Durations {
    /// Not cumulative; the last is beyond all bounds.
    buckets: Counts<{ BUCKETS.len() + 1 }>,
    microseconds: AtomicU64,
}

/// Everything that is counted, since the start.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: [[Counts<{ CLASSES.len() }>; METHODS.len()]; Kind::ALL.len()],
    durations: [Durations; Kind::ALL.len()],
    pub(crate) in_flight: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    pub(crate) refused_logins: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: std::array::from_fn(|_| std::array::from_fn(|_| zeros())),
            durations: std::array::from_fn(|_| Durations { buckets: zeros(), microseconds: AtomicU64::new(0) }),
            in_flight: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            handshakes_failed: AtomicU64::new(0),
            refused_logins: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }
}

/// One request, over.
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) kind: Kind,
    pub(crate) method: &'a Method,
    /// `None`: the client went away before it had its answer.
    pub(crate) status: Option<u16>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) took: Duration,
}

impl Metrics {
    pub(crate) fn record(&self, sample: &Sample<'_>) {
        let method = METHODS.iter().position(|name| *name == sample.method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = match sample.status {
            Some(..300) => 0,
            Some(..400) => 1,
            Some(..500) => 2,
            Some(_) => 3,
            None => 4,
        };
        self.requests[sample.kind as usize][method][class].fetch_add(1, Relaxed);
        let durations = &self.durations[sample.kind as usize];
        let seconds = sample.took.as_secs_f64();
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
        durations.buckets[bucket].fetch_add(1, Relaxed);
        durations.microseconds.fetch_add(u64::try_from(sample.took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        self.received.fetch_add(sample.received, Relaxed);
        self.sent.fetch_add(sample.sent, Relaxed);
    }

    /// `uploads`: how many are in progress; `lost`: lines that the access log could not take.
    pub(crate) fn render(&self, uploads: usize, lost: u64) -> String {
        let mut page = Page(String::new());
        page.head("requests_total", "counter", "Requests by kind of endpoint, method and class of status.");
        for (kind, methods) in Kind::ALL.iter().zip(&self.requests) {
            for (method, classes) in METHODS.iter().zip(methods) {
                for (class, count) in CLASSES.iter().zip(classes).filter(|(_, count)| count.load(Relaxed) > 0) {
                    let labels = format!("{{route=\"{}\",method=\"{method}\",status=\"{class}\"}}", kind.name());
                    page.line("requests_total", &labels, count.load(Relaxed));
                }
            }
        }
        page.head("request_seconds", "histogram", "Time from a request's header to the end of its answer.");
        for (kind, durations) in Kind::ALL.iter().zip(&self.durations) {
            page.histogram(kind.name(), durations);
        }
        for (name, kind, help, value) in [
            ("received_bytes_total", "counter", "Bytes of request bodies.", self.received.load(Relaxed)),
            ("sent_bytes_total", "counter", "Bytes of answers' bodies.", self.sent.load(Relaxed)),
            ("requests_in_flight", "gauge", "Requests being answered.", self.in_flight.load(Relaxed)),
            ("connections", "gauge", "Open connections.", self.connections.load(Relaxed)),
            ("uploads_in_progress", "gauge", "Uploads begun and not finished.", uploads as u64),
            ("refused_logins_total", "counter", "Requests refused with 401.", self.refused_logins.load(Relaxed)),
            ("failed_handshakes_total", "counter", "TLS handshakes that failed.", self.handshakes_failed.load(Relaxed)),
            ("log_lines_lost_total", "counter", "Lines that the access log could not take.", lost),
        ] {
            page.head(name, kind, help);
            page.line(name, "", value);
        }
        page.0
    }
}

/// The text under construction. Writing to a `String` cannot fail.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP schleuse_registry_{name} {help}\n# TYPE schleuse_registry_{name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "schleuse_registry_{name}{labels} {value}");
    }

    fn histogram(&mut self, route: &str, durations: &Durations) {
        let mut total = 0;
        for (index, count) in durations.buckets.iter().enumerate() {
            total += count.load(Relaxed);
            let bound = BUCKETS.get(index).map_or("+Inf".to_owned(), f64::to_string);
            self.line("request_seconds_bucket", &format!("{{route=\"{route}\",le=\"{bound}\"}}"), total);
        }
        let labels = format!("{{route=\"{route}\"}}");
        let seconds = Duration::from_micros(durations.microseconds.load(Relaxed)).as_secs_f64();
        self.line("request_seconds_sum", &labels, seconds);
        self.line("request_seconds_count", &labels, total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_is_shown_and_nothing_grows() {
        let metrics = Metrics::default();
        let strange = Method::from_bytes(b"BREW").unwrap();
        for (method, status) in
            [(&Method::GET, Some(206)), (&Method::GET, Some(200)), (&strange, Some(405)), (&strange, None)]
        {
            let took = Duration::from_millis(3);
            metrics.record(&Sample { kind: Kind::Blob, method, status, received: 1, sent: 10, took });
        }
        let page = metrics.render(2, 0);
        for line in [
            "schleuse_registry_requests_total{route=\"blob\",method=\"GET\",status=\"2xx\"} 2",
            "schleuse_registry_requests_total{route=\"blob\",method=\"other\",status=\"4xx\"} 1",
            "schleuse_registry_requests_total{route=\"blob\",method=\"other\",status=\"cut\"} 1",
            "schleuse_registry_request_seconds_bucket{route=\"blob\",le=\"0.001\"} 0",
            "schleuse_registry_request_seconds_bucket{route=\"blob\",le=\"0.005\"} 4",
            "schleuse_registry_request_seconds_bucket{route=\"blob\",le=\"+Inf\"} 4",
            "schleuse_registry_request_seconds_sum{route=\"blob\"} 0.012",
            "schleuse_registry_received_bytes_total 4",
            "schleuse_registry_sent_bytes_total 40",
            "schleuse_registry_uploads_in_progress 2",
        ] {
            assert!(page.lines().any(|there| there == line), "{line}\n{page}");
        }
        let lines = page.lines().count();
        for number in 0..100 {
            let method = Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
            let (received, sent, took) = (0, 0, Duration::ZERO);
            metrics.record(&Sample { kind: Kind::Blob, method: &method, status: Some(405), received, sent, took });
        }
        assert_eq!(metrics.render(2, 0).lines().count(), lines);
    }
}
