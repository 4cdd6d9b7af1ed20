//! What a registry says is untrusted: it is shown short and printable.

/// At most `limit` characters of `text` on one line, control characters replaced, white space folded.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut written = 0;
    for word in text.split_whitespace() {
        if written > 0 {
            out.push(' ');
            written += 1;
        }
        for c in word.chars() {
            if written >= limit {
                out.push('…');
                return out;
            }
            out.push(if is_unprintable(c) { '\u{fffd}' } else { c });
            written += 1;
        }
    }
    out
}

/// Control characters, and the invisible ones that reorder text on a terminal ("Trojan Source", CVE-2021-42574).
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_short_line_without_tricks() {
        assert_eq!(printable("a\n\tb  c", 100), "a b c");
        assert_eq!(printable("\u{1b}[31mred\u{202e}", 100), "\u{fffd}[31mred\u{fffd}");
        assert_eq!(printable(&"x".repeat(500), 10), format!("{}…", "x".repeat(10)));
    }
}
