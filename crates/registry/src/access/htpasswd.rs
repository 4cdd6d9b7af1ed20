//! The file of users, as Apache's `htpasswd -B` writes it: `name:$2y$…`, one a line. Only bcrypt is taken: every other scheme of
//! that file is fast to guess.

use std::collections::BTreeMap;

/// How much work one check may be, as bcrypt counts it (each step doubles it). 12 takes a quarter of a second; beyond this one
/// login would hold a processor for many seconds.
const MOST_COST: u32 = 15;

/// As many users as a registry of this kind could have; the file is held in memory.
const MOST_USERS: usize = 10_000;

/// The users with their hashes. Neither prints.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Htpasswd {
    hashes: BTreeMap<String, String>,
    cost: u32,
}

impl std::fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Htpasswd({} users)", self.hashes.len())
    }
}

/// What is wrong with which line. The line itself is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Counted from one; 0: the whole file.
    pub(crate) line: usize,
    pub(crate) reason: &'static str,
}

impl Htpasswd {
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut file = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |reason| Wrong { line: number + 1, reason };
            let (user, hash) = line.split_once(':').ok_or_else(|| wrong("it is not `<user>:<hash>`"))?;
            if user.is_empty() || user.len() > 255 || user.chars().any(char::is_control) {
                return Err(wrong("its user's name is empty, too long, or has control characters in it"));
            }
            file.cost = file.cost.max(cost(hash).map_err(wrong)?);
            if file.hashes.insert(user.to_owned(), hash.to_owned()).is_some() {
                return Err(wrong("its user stands in an earlier line as well"));
            }
            if file.hashes.len() > MOST_USERS {
                return Err(wrong("it is one user too many: at most 10,000 are read"));
            }
        }
        if file.hashes.is_empty() {
            return Err(Wrong { line: 0, reason: "it names no user" });
        }
        Ok(file)
    }

    /// A user's hash, or one that no password has but that takes as long to check, and whether it is the user's: how long a
    /// refusal takes must not say which users there are.
    pub(crate) fn hash(&self, user: &str) -> (String, bool) {
        match self.hashes.get(user) {
            Some(hash) => (hash.clone(), true),
            None => (format!("$2b${:02}${}", self.cost, ".".repeat(53)), false),
        }
    }
}

/// The cost of a bcrypt hash: `$2y$<cost>$<22 of salt><31 of hash>`.
fn cost(hash: &str) -> Result<u32, &'static str> {
    let rest = ["$2y$", "$2a$", "$2b$"].iter().find_map(|start| hash.strip_prefix(start));
    let Some(rest) = rest else {
        return Err(match hash {
            _ if hash.starts_with("$apr1$") => "its hash is Apache's MD5 (apr1), which is fast to guess",
            _ if hash.starts_with("{SHA}") => "its hash is SHA-1, which is fast to guess",
            _ => "what follows the user is no bcrypt hash",
        });
    };
    let malformed = "its bcrypt hash is cut off or misspelt";
    let (cost, rest) = rest.split_once('$').ok_or(malformed)?;
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'/';
    if cost.len() != 2 || !cost.bytes().all(|b| b.is_ascii_digit()) || rest.len() != 53 || !rest.bytes().all(alphabet) {
        return Err(malformed);
    }
    match cost.parse() {
        Ok(cost @ 4..=MOST_COST) => Ok(cost),
        _ => Err("the cost of its bcrypt hash is not between 04 and 15"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As `htpasswd -nbB -C 4` writes it.
    const LINE: &str = "ci:$2y$04$7UGWjVUeAvAv3q8f7Ov7Gu6oGcmE/fWc1Ev3UVDpSPRMBuBMW5yva";

    #[test]
    fn bcrypt_lines_are_read() {
        let text = format!("# users\n\n{LINE}\r\n{}\n", LINE.replace("ci", "me").replace("2y$04", "2b$12"));
        let file = Htpasswd::parse(&text).unwrap();
        assert!(file.hash("ci").1 && file.hash("me").1 && !file.hash("you").1);
        // As long as the slowest.
        assert!(file.hash("you").0.starts_with("$2b$12$") && file.hash("you").0.len() == 60);
        assert_eq!(format!("{file:?}"), "Htpasswd(2 users)");
    }

    #[test]
    fn everything_else_is_refused_with_its_line() {
        for (line, reason) in [
            ("me:$apr1$x$y", "apr1"),
            ("me:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1"),
            ("me:hunter2", "no bcrypt"),
            ("me:$6$salt$hash", "no bcrypt"),
            ("me", "<user>:<hash>"),
            (":$2y$04$", "name is empty"),
            ("m\u{7}e:x", "control"),
            ("me:$2y$04$short", "cut off"),
            ("me:$2y$99$7UGWjVUeAvAv3q8f7Ov7Gu6oGcmE/fWc1Ev3UVDpSPRMBuBMW5yva", "cost"),
            ("me:$2y$04$7UGWjVUeAvAv3q8f7Ov7Gu6oGcmE/fWc1Ev3UVDpSPRMBuBMW5yv!", "cut off"),
            (LINE, "earlier line"),
        ] {
            let wrong = Htpasswd::parse(&format!("{LINE}\n{line}\n")).unwrap_err();
            assert_eq!(wrong.line, 2, "{line}");
            assert!(wrong.reason.contains(reason), "{line}: {}", wrong.reason);
        }
        assert_eq!(Htpasswd::parse("# nobody\n").unwrap_err().line, 0);
    }

    proptest! {
        /// Whatever the file holds: no panic, every hash that is taken is one that bcrypt takes, and its reason never shows it.
        #[test]
        fn any_file(text in "([a-z]{0,4}[:$]?(\\$2[abyx]\\$[0-9]{1,3}\\$)?[./A-Za-z0-9]{0,60}[\n\r#]?){0,6}") {
            if let Ok(file) = Htpasswd::parse(&text) {
                for hash in file.hashes.values() {
                    prop_assert!(hash.len() == 60 && hash.is_ascii());
                    prop_assert!((4..=MOST_COST).contains(&cost(hash).unwrap()));
                }
            }
        }
    }
}
