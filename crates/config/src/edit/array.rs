//! Lists and the white space around what is in them. A comment behind an element belongs, for the parser, to what comes next.

use toml_edit::{Array, InlineTable, RawString, Value};

/// A list of one entry, on a line of its own.
pub(super) fn on_lines(entry: InlineTable) -> Array {
    let mut list = Array::new();
    let mut entry = Value::InlineTable(entry);
    entry.decor_mut().set_prefix("\n  ");
    list.push_formatted(entry);
    list.set_trailing_comma(true);
    list.set_trailing("\n");
    list
}

/// Whether there is nothing in it, not even a comment.
pub(super) fn is_bare(list: &Array) -> bool {
    list.is_empty() && !text(list.trailing()).contains('#')
}

/// Adds an entry, on a line of its own where the others are.
pub(super) fn push(list: &mut Array, entry: InlineTable) {
    let mut entry = Value::InlineTable(entry);
    let last = list.iter().last().map(prefix);
    match last {
        None => {}
        Some(last) => {
            let own_line = last.rfind('\n').map(|at| &last[at..]);
            if let (Some(line), false) = (own_line, list.trailing_comma()) {
                // What stood behind the last entry now stands behind a comma.
                list.set_trailing_comma(line.contains('\n'));
            }
            // A comment behind the last entry stays behind it.
            let behind = text(list.trailing());
            let (comment, rest) = match (own_line, behind.find('#')) {
                (Some(_), Some(_)) => {
                    behind.rsplit_once('\n').map_or((behind.as_str(), ""), |(comment, _)| (comment, "\n"))
                }
                _ => ("", behind.as_str()),
            };
            entry.decor_mut().set_prefix(format!("{comment}{}", own_line.unwrap_or(" ")));
            list.set_trailing(rest.to_owned());
        }
    }
    list.push_formatted(entry);
}

/// Removes an entry. Comments that stood before it stay.
pub(super) fn remove(list: &mut Array, at: usize) {
    let before = list.get(at).map(prefix).unwrap_or_default();
    list.remove(at);
    let comment = if before.contains('#') { before.trim_end() } else { "" };
    if let Some(next) = list.get_mut(at) {
        let own = prefix(next);
        // The first of a line takes the place of the one that was first.
        let own = match before.rfind('\n') {
            _ if at == 0 && !own.contains('#') => before,
            // What stood behind the entry that goes stands alone now: on a line of its own.
            Some(line) if !comment.is_empty() && own.trim_start_matches(' ').starts_with('#') => {
                format!("{comment}{}{}", &before[line..], own.trim_start_matches(' '))
            }
            _ => format!("{comment}{own}"),
        };
        next.decor_mut().set_prefix(own);
    } else {
        let behind = format!("{comment}{}", text(list.trailing()));
        list.set_trailing(behind);
        if is_bare(list) {
            // It needs no line of its own.
            list.set_trailing("");
        }
    }
    if list.is_empty() {
        list.set_trailing_comma(false);
    }
}

fn prefix(value: &Value) -> String {
    value.decor().prefix().map(text).unwrap_or_default()
}

fn text(raw: &RawString) -> String {
    raw.as_str().unwrap_or_default().to_owned()
}
