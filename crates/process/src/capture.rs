//! Output, kept within bounds.

use std::collections::VecDeque;
use std::fmt;

use crate::redact::Redactor;

/// How many bytes of each stream are kept when the caller says nothing: 1 MiB, half of it from the start and half from the end.
/// What a program complains about stands at the start or the end; what lies between is progress.
pub const DEFAULT_OUTPUT_LIMIT: usize = 1 << 20;

/// One stream of a program, redacted.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Captured {
    bytes: Vec<u8>,
    /// Where in `bytes` something was cut out, and how many bytes of it.
    cut: Option<(usize, u64)>,
    /// Whether the stream was read to its end.
    ended: bool,
}

impl Captured {
    /// Every byte the program wrote, or `None` if something was cut or its end was not seen. The only form fit to be parsed.
    pub fn whole(&self) -> Option<&[u8]> {
        (self.cut.is_none() && self.ended).then_some(&*self.bytes)
    }

    /// For people: invalid UTF-8 and characters a terminal would act on are replaced, colours are taken out, and where
    /// something was cut it says so.
    pub fn text(&self) -> String {
        let Some((at, cut)) = self.cut else { return clean(&self.bytes) };
        let (head, tail) = self.bytes.split_at(at.min(self.bytes.len()));
        format!("{}\n[{cut} bytes cut]\n{}", clean(head), clean(tail))
    }

    /// The last `count` lines that are not empty, each cut to 300 characters, for people.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let text = self.text();
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let from = lines.len().saturating_sub(count);
        lines[from..].iter().map(|line| line.chars().take(300).collect()).collect()
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.cut.map_or(0, |(_, cut)| cut);
        write!(f, "Captured({} bytes, {cut} cut, ended: {})", self.bytes.len(), self.ended)
    }
}

/// Text that a terminal shows and does not act on: no escape sequences, no control characters but newline and tab, none of the
/// Unicode marks that change the direction of what follows (CVE-2021-42574).
fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            // A progress line that overwrites itself reads as several lines.
            '\r' => out.push('\n'),
            '\u{1b}' => {
                if chars.next_if_eq(&'[').is_some() {
                    while chars.next_if(|c| !('\u{40}'..='\u{7e}').contains(c)).is_some() {}
                    chars.next();
                }
            }
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.push('\u{fffd}')
            }
            c => out.push(c),
        }
    }
    out
}

/// Takes a stream in and keeps its head and its tail.
pub(crate) struct Collector {
    redactor: Redactor,
    head: Vec<u8>,
    head_limit: usize,
    tail: VecDeque<u8>,
    tail_limit: usize,
    cut: u64,
    ended: bool,
}

impl Collector {
    pub(crate) fn new(limit: usize, redactor: Redactor) -> Self {
        let tail_limit = limit / 2;
        Self {
            redactor,
            head: Vec::new(),
            head_limit: limit - tail_limit,
            tail: VecDeque::new(),
            tail_limit,
            cut: 0,
            ended: false,
        }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        let clear = self.redactor.push(chunk);
        self.keep(&clear);
    }

    pub(crate) fn end_of_stream(&mut self) {
        self.ended = true;
    }

    pub(crate) fn finish(mut self) -> Captured {
        let rest = self.redactor.finish();
        self.keep(&rest);
        let cut = (self.cut > 0).then_some((self.head.len(), self.cut));
        let mut bytes = self.head;
        bytes.extend(self.tail);
        Captured { bytes, cut, ended: self.ended }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.head_limit.saturating_sub(self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.tail_limit);
        self.tail.drain(..excess);
        self.cut = self.cut.saturating_add(excess as u64);
    }
}

#[cfg(test)]
mod tests {
    use schleuse_model::Secret;

    use super::*;

    fn collect(limit: usize, secrets: &[Secret<String>], chunks: &[&str]) -> Captured {
        let mut collector = Collector::new(limit, Redactor::new(secrets));
        chunks.iter().for_each(|chunk| collector.push(chunk.as_bytes()));
        collector.end_of_stream();
        collector.finish()
    }

    #[test]
    fn exactly_the_limit_is_whole_and_one_more_is_not() {
        let exact = collect(6, &[], &["abc", "def"]);
        assert_eq!(exact.whole(), Some(&b"abcdef"[..]));
        let more = collect(6, &[], &["abc", "de", "fg"]);
        assert_eq!(more.whole(), None);
        assert_eq!(more.text(), "abc\n[1 bytes cut]\nefg");
    }

    #[test]
    fn a_stream_whose_end_was_not_seen_is_not_whole() {
        let mut collector = Collector::new(6, Redactor::new([]));
        collector.push(b"abc");
        let captured = collector.finish();
        assert_eq!((captured.whole(), captured.text().as_str()), (None, "abc"));
    }

    #[test]
    fn a_secret_at_the_cut_leaves_no_half() {
        let secret = [Secret::new("0123456789".to_owned())];
        // Without redaction first, the head would keep `01234` and the tail `56789`.
        let text = collect(10, &secret, &["01234", "56789", "0123456789"]).text();
        assert!(!text.contains("01234") && !text.contains("56789"), "{text}");
    }

    #[test]
    fn what_a_terminal_would_act_on_is_taken_out() {
        let text = collect(200, &[], &["\u{1b}[31mred\u{1b}[0m\u{7}\u{202e}x\r\ndone\r100%\u{1b}]0;title\u{7}"]).text();
        assert_eq!(text, "red\u{fffd}\u{fffd}x\ndone\n100%]0;title\u{fffd}");
        assert_eq!(collect(200, &[], &["a\n\nb  \n\n"]).last_lines(1), ["b"]);
    }
}
