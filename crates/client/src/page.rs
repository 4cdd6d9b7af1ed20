//! Pagination: `Link` headers (RFC 8288; distribution-spec, "Listing Tags").

use http::{HeaderMap, header};

/// The target of the `Link` with `rel="next"`.
pub(crate) fn next_link(headers: &HeaderMap) -> Option<String> {
    headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok()).find_map(next_in)
}

fn next_in(mut text: &str) -> Option<String> {
    while let Some(start) = text.find('<') {
        let rest = &text[start + 1..];
        let (target, after) = rest.split_once('>')?;
        // Parameters reach to the next link's `<`; registries write no `<` inside them.
        let parameters = &after[..after.find('<').unwrap_or(after.len())];
        let is_next = parameters.split([';', ',']).any(|parameter| {
            let parameter = parameter.trim();
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value.trim().trim_matches('"').split(' ').any(|word| word.eq_ignore_ascii_case("next"))
            })
        });
        if is_next {
            return Some(target.to_owned());
        }
        text = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any text is read without a panic, and what is found is a target of it, in full.
        #[test]
        fn any_header(text in "[<>;,=\"a-z ?/&]{0,60}") {
            if let Some(target) = next_in(&text) {
                let whole = format!("<{target}>");
                prop_assert!(text.contains(&whole) && text.contains("next"));
            }
        }

        /// What registries write is understood, whatever stands around it.
        #[test]
        fn the_next_among_others(target in "[a-z/?&=,;]{0,30}", before in 0usize..3, quoted: bool) {
            let others = "</other>; rel=\"prev\", ".repeat(before);
            let rel = if quoted { "\"next\"" } else { "next" };
            let text = format!("{others}<{target}>; rel={rel}");
            prop_assert_eq!(next_in(&text), Some(target));
        }
    }

    #[test]
    fn the_next_page() {
        let next = |text: &str| next_in(text);
        assert_eq!(next(r#"</v2/a/tags/list?n=1&last=b>; rel="next""#), Some("/v2/a/tags/list?n=1&last=b".into()));
        assert_eq!(next("<https://r.io/x?a,b>; rel=next"), Some("https://r.io/x?a,b".into()));
        assert_eq!(next(r#"</first>; rel="prev", </second>; title="x"; rel="next""#), Some("/second".into()));
        assert_eq!(next(r#"</first>; rel="prev""#), None);
        assert_eq!(next("</first; rel=next"), None);
        assert_eq!(next(""), None);
    }
}
