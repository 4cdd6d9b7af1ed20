//! Taking known secrets out of a stream of bytes.
//!
//! Done while the bytes stream by and before any of them is stored or cut: a secret that straddles two reads, or the place where
//! long output is cut, would otherwise survive as two harmless-looking halves.
//!
//! Of a secret with several lines (a PEM key) each line of at least [`SHORTEST_LINE`] bytes is a secret of its own, because
//! programs print such a value indented, prefixed or escaped, line by line.
//!
//! # Caveats
//! Only the bytes as they were given are found: not their base64, percent-encoded or reversed form. Against a program that
//! *wants* to leak, redaction is no defence; not giving it the secret is.

use schleuse_model::Secret;

/// What stands in a secret's place.
pub const MARK: &[u8] = b"[redacted]";

/// From how many bytes on a line of a multi-line secret is redacted by itself. Shorter ones (`}`, `foo:`) are too common.
pub const SHORTEST_LINE: usize = 8;

/// Replaces every occurrence of its secrets by [`MARK`], chunk by chunk.
pub struct Redactor {
    /// Longest first: of two secrets that start at the same byte the longer one is replaced, so that none of it stays.
    patterns: Vec<Secret<Vec<u8>>>,
    /// Whether any pattern starts with this byte.
    starts: [bool; 256],
    pending: Secret<Vec<u8>>,
}

impl Redactor {
    /// A redactor for `secrets`. Empty ones are left out: they occur everywhere.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret<String>>) -> Self {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            let text = secret.expose();
            let whole = text.trim_end_matches(['\r', '\n']);
            patterns.push(whole.as_bytes().to_vec());
            let lines = text.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
            patterns.extend(lines.map(|line| line.as_bytes().to_vec()));
        }
        patterns.retain(|pattern| !pattern.is_empty());
        patterns.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        patterns.dedup();
        let mut starts = [false; 256];
        for first in patterns.iter().filter_map(|pattern| pattern.first()) {
            starts[usize::from(*first)] = true;
        }
        Self { patterns: patterns.into_iter().map(Secret::new).collect(), starts, pending: Secret::new(Vec::new()) }
    }

    /// Takes in `chunk` and gives out what is certain not to be part of a secret. The rest is kept for the next call.
    #[must_use]
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.advance(chunk, false)
    }

    /// Gives out the rest.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        self.advance(&[], true)
    }

    fn advance(&mut self, chunk: &[u8], last: bool) -> Vec<u8> {
        let mut window = self.pending.expose().clone();
        window.extend_from_slice(chunk);
        let mut out = Vec::with_capacity(window.len());
        let mut at = 0;
        while at < window.len() {
            let rest = &window[at..];
            if !self.starts[usize::from(rest[0])] {
                out.push(rest[0]);
                at += 1;
                continue;
            }
            // A longer pattern that may still complete takes precedence over a shorter one that has matched already.
            let mut step = Step::Plain;
            for pattern in self.patterns.iter().map(Secret::expose) {
                if rest.starts_with(pattern) {
                    step = Step::Secret(pattern.len());
                    break;
                }
                if !last && pattern.starts_with(rest) {
                    step = Step::Undecided;
                    break;
                }
            }
            match step {
                Step::Secret(length) => {
                    out.extend_from_slice(MARK);
                    at += length;
                }
                Step::Undecided => break,
                Step::Plain => {
                    out.push(rest[0]);
                    at += 1;
                }
            }
        }
        let kept = window.split_off(at.min(window.len()));
        drop(Secret::new(window));
        self.pending = Secret::new(kept);
        out
    }
}

enum Step {
    Plain,
    Secret(usize),
    Undecided,
}

/// `bytes` with every occurrence of `secrets` replaced.
pub fn redact<'a>(bytes: &[u8], secrets: impl IntoIterator<Item = &'a Secret<String>>) -> Vec<u8> {
    let mut redactor = Redactor::new(secrets);
    let mut out = redactor.push(bytes);
    out.extend(redactor.finish());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets(texts: &[&str]) -> Vec<Secret<String>> {
        texts.iter().map(|text| Secret::new((*text).to_owned())).collect()
    }

    fn shown(text: &str, texts: &[&str]) -> String {
        String::from_utf8(redact(text.as_bytes(), &secrets(texts))).unwrap()
    }

    #[test]
    fn replaces_every_occurrence() {
        assert_eq!(shown("a hunter2 b hunter2", &["hunter2"]), "a [redacted] b [redacted]");
        assert_eq!(shown("hunter22", &["hunter2", "hunter22"]), "[redacted]");
        assert_eq!(shown("hunter2!", &["hunter2", "hunter22"]), "[redacted]!");
        assert_eq!(shown("hunter", &["hunter2"]), "hunter");
        assert_eq!(shown("ababc", &["abc"]), "ab[redacted]");
        assert_eq!(shown("nothing", &["", "\n"]), "nothing");
        // A file's closing newline is not part of the password.
        assert_eq!(shown("[hunter2]", &["hunter2\n"]), "[[redacted]]");
    }

    #[test]
    fn lines_of_a_key_are_secrets_of_their_own() {
        let key = "-----BEGIN KEY-----\nMIGHAgEAMBMGByqG\nSM49\n-----END KEY-----\n";
        assert_eq!(shown("log: MIGHAgEAMBMGByqG / SM49", &[key]), "log: [redacted] / SM49");
        assert_eq!(shown(key, &[key]), "[redacted]\n");
    }

    proptest! {
        /// However the stream is cut into reads, the result is the same, and no secret is in it.
        #[test]
        fn chunking_changes_nothing(
            text in "[abx]{0,60}",
            cuts in prop::collection::vec(0usize..60, 0..6),
        ) {
            let all = secrets(&["abba", "ab", "bax"]);
            let whole = redact(text.as_bytes(), &all);
            let mut redactor = Redactor::new(&all);
            let mut pieces = Vec::new();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                pieces.extend(redactor.push(&text.as_bytes()[pair[0]..pair[1]]));
            }
            pieces.extend(redactor.finish());
            prop_assert_eq!(&pieces, &whole);
            let left = String::from_utf8(whole).unwrap().replace("[redacted]", "|");
            prop_assert!(!left.contains("ab") && !left.contains("bax"), "{}", left);
        }
    }
}
