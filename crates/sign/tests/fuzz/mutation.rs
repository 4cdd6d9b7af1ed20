//! Changes of a document: to its bytes, and to what its bytes mean.

use proptest::prelude::*;
use proptest::sample::Index;

/// The most bytes that a mutated document has: a little more than the largest limit of a signature, so that both sides are seen.
const LARGEST: usize = (256 << 10) + 4096;

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index, usize),
    /// A piece, so many times.
    Repeat(Index, usize, usize),
    /// A piece of another document.
    Splice(Index, Index, usize),
    /// More digits in a number.
    Digits(Index, usize),
    /// More text in a string.
    Text(Index, &'static str, usize),
    /// More elements in an array.
    Elements(Index, &'static str, usize),
    /// More members in an object, each of another name.
    Members(Index, &'static str, usize),
    /// Brackets around nothing, so deep.
    Nest(Index, u8, usize),
    /// The start of an object or of an array, twice.
    Double(Index),
}

pub(crate) fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(), 1..5)
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    // Mostly few, rarely so many that limits are reached.
    let times = || prop_oneof![8 => 1_usize..40, 1 => 1_000_usize..40_000];
    let text = prop::sample::select(&["A", "\\u0041", "\\\"", "\u{1f512}", "=", "-", "\n"][..]);
    let element = prop::sample::select(
        &["0", "{}", "[]", "\"\"", "{\"\":0}", "{\"sig\":\"\"}", "null", "1e400", "{\"digest\":{\"\":\"\"}}"][..],
    );
    let value = prop::sample::select(&["0", "\"\"", "{}", "[0]", "{\"a\":{\"b\":[]}}", "-1", "1e-400"][..]);
    prop_oneof![
        3 => (at(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        3 => (at(), any::<u8>()).prop_map(|(at, to)| Change::Set(at, to)),
        2 => (at(), 1_usize..80).prop_map(|(at, length)| Change::Cut(at, length)),
        2 => (at(), 1_usize..200, times()).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        2 => (at(), at(), 1_usize..400).prop_map(|(at, from, length)| Change::Splice(at, from, length)),
        1 => (at(), times()).prop_map(|(at, count)| Change::Digits(at, count)),
        2 => (at(), text, times()).prop_map(|(at, unit, times)| Change::Text(at, unit, times)),
        2 => (at(), element, times()).prop_map(|(at, unit, times)| Change::Elements(at, unit, times)),
        2 => (at(), value, times()).prop_map(|(at, unit, times)| Change::Members(at, unit, times)),
        1 => (at(), prop::sample::select(vec![b'[', b'{']), times()).prop_map(|(at, open, depth)| Change::Nest(at, open, depth)),
        2 => at().prop_map(Change::Double),
    ]
}

/// `document` with the changes, one after the other. `other`: what pieces are taken from.
pub(crate) fn changed(document: &[u8], other: &[u8], changes: &[Change]) -> Vec<u8> {
    changes.iter().fold(document.to_vec(), |mut bytes, change| {
        if !bytes.is_empty() {
            apply(&mut bytes, other, change);
        }
        bytes.truncate(LARGEST);
        bytes
    })
}

fn apply(bytes: &mut Vec<u8>, other: &[u8], change: &Change) {
    let length = bytes.len();
    match change {
        Change::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
        Change::Set(at, to) => bytes[at.index(length)] = *to,
        Change::Cut(at, count) => {
            let at = at.index(length);
            bytes.drain(at..length.min(at + count));
        }
        Change::Repeat(at, count, times) => {
            let at = at.index(length);
            let piece = bytes[at..length.min(at + count)].to_vec();
            insert(bytes, at, &repeated(&piece, *times));
        }
        Change::Splice(at, from, count) => {
            let from = from.index(other.len());
            insert(bytes, at.index(length), &other[from..other.len().min(from + count)]);
        }
        Change::Digits(at, count) => after(bytes, *at, |byte| byte.is_ascii_digit(), &vec![b'9'; *count]),
        Change::Text(at, unit, times) => after(bytes, *at, |byte| byte == b'"', &repeated(unit.as_bytes(), *times)),
        Change::Elements(at, unit, times) => {
            after(bytes, *at, |byte| byte == b'[', &repeated(format!("{unit},").as_bytes(), *times));
        }
        Change::Members(at, value, times) => {
            let members: String =
                (0..(*times).min(LARGEST / 8)).map(|number| format!("\"{number:x}\":{value},")).collect();
            after(bytes, *at, |byte| byte == b'{', members.as_bytes());
        }
        Change::Nest(at, open, depth) => {
            let unit: &[u8] = if *open == b'[' { b"[" } else { b"{\"a\":" };
            after(bytes, *at, |byte| byte == b':', &repeated(unit, *depth));
        }
        Change::Double(at) => {
            let opens: Vec<usize> = positions(bytes, |byte| byte == b'{');
            if let Some(open) = (!opens.is_empty()).then(|| opens[at.index(opens.len())]) {
                let end =
                    bytes[open + 1..].iter().position(|byte| *byte == b',').map_or(bytes.len(), |end| open + 2 + end);
                let member = bytes[open + 1..end].to_vec();
                insert(bytes, open + 1, &member);
            }
        }
    }
}

fn repeated(piece: &[u8], times: usize) -> Vec<u8> {
    piece.repeat(times.min(LARGEST / piece.len().max(1) + 1))
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

fn positions(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<usize> {
    (0..bytes.len()).filter(|at| wanted(bytes[*at])).collect()
}

/// Inserts `piece` after one of the bytes that are wanted, if there is one.
fn after(bytes: &mut Vec<u8>, at: Index, wanted: impl Fn(u8) -> bool, piece: &[u8]) {
    let found = positions(bytes, wanted);
    if !found.is_empty() {
        insert(bytes, found[at.index(found.len())] + 1, piece);
    }
}
