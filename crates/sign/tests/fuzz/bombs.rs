//! Documents made to cost much more than they have bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schleuse_oci::media_type;
use schleuse_sign::bundle::Bundle;
use schleuse_sign::candidate::{Origin, SIGNATURE_LIMIT};
use schleuse_sign::dsse::Envelope;
use schleuse_sign::{Candidate, Role, Statement, simple, verify_envelope};

use crate::documents::world;
use crate::memory::{alone, bounded};

/// A list of `unit`s.
fn list(unit: &str, size: usize) -> String {
    format!("[{}{unit}]", format!("{unit},").repeat(size / (unit.len() + 1)))
}

/// An object with members of short, different names.
fn members(value: &str, size: usize) -> String {
    let count = size / (value.len() + 8);
    let members: Vec<String> = (0..count).map(|number| format!("\"{number:x}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// JSON values of about `size` bytes that take the most memory for it as trees, maps, buffers or stacks.
fn values(size: usize) -> Vec<String> {
    let mut values: Vec<String> =
        ["0", "{}", "[]", "\"\"", "null", "{\"\":0}", "{\"\":{}}", "[[0]]", "{\"a\":{\"b\":{\"c\":[]}}}", "1e9"]
            .map(|unit| list(unit, size))
            .into();
    values.extend(["0", "\"\"", "{}", "{\"\":\"\"}", "[0]"].map(|value| members(value, size)));
    values.push(format!("\"{}\"", "a".repeat(size)));
    values.push(format!("\"{}\"", "\\u0041".repeat(size / 6)));
    values.push("9".repeat(size));
    values.push(format!("{}{}", "[".repeat(size / 2), "]".repeat(size / 2)));
    values.push(list(&format!("{}{}", "[".repeat(100), "]".repeat(100)), size));
    values.push(list(&format!("{}0{}", "{\"a\":".repeat(100), "}".repeat(100)), size));
    values
}

fn statements(size: usize) -> Vec<String> {
    let with = |subject: &str, kind: &str, more: &str| {
        format!(r#"{{"_type":"https://in-toto.io/Statement/v1","subject":{subject},"predicateType":{kind}{more}}}"#)
    };
    let one = r#"[{"digest":{"sha256":"00"}}]"#;
    let mut statements: Vec<String> = Vec::new();
    for value in values(size) {
        statements.push(with(one, "\"t\"", &format!(r#","x":{value}"#)));
        statements.push(with(one, "\"t\"", &format!(r#","predicate":{{"x":{value}}}"#)));
        statements.push(with(one, &value, ""));
        statements.push(with(&value, "\"t\"", ""));
        statements.push(with(
            &format!(r#"[{{"digest":{{"sha256":"00"}},"annotations":{{"a":{value}}}}}]"#),
            "\"t\"",
            "",
        ));
        statements.push(with(&format!(r#"[{{"digest":{{"sha256":"00"}},"annotations":{value}}}]"#), "\"t\"", ""));
        statements.push(with(&format!(r#"[{{"digest":{value}}}]"#), "\"t\"", ""));
    }
    for unit in [r#"{"digest":{"":""}}"#, r#"{"digest":{"":""},"annotations":{"":""}}"#, r#"{"digest":{}}"#] {
        statements.push(with(&list(unit, size), "\"t\"", ""));
    }
    statements
}

#[test]
fn statements_that_cost_much() {
    let _alone = alone();
    for text in statements(96 << 10) {
        let (start, size) = (text[..text.len().min(160)].to_owned(), text.len());
        let bytes = bytes::Bytes::from(text);
        let _ = bounded(&start, size, || Statement::parse(bytes.clone(), size));
    }
}

/// What anybody can put under an image, whoever signed it; and what we have signed ourselves, which is read further.
#[test]
fn bundles_and_envelopes_that_cost_much() {
    let _alone = alone();
    let world = world();
    let good = String::from_utf8(world.bundle()).unwrap();
    let mut texts = Vec::new();
    for value in values(48 << 10) {
        for part in
            [r#""mediaType":"#, r#""hint":"#, r#""payload":"#, r#""payloadType":"#, r#""signatures":"#, r#""sig":"#]
        {
            let at = good.find(part).unwrap() + part.len();
            // The old value becomes another member's.
            texts.push(format!("{}{value},\"old\":{}", &good[..at], &good[at..]));
            texts.push(format!("{}{value},\"tlogEntries\":{}", &good[..at], &good[at..]));
        }
        texts.push(format!("{{\"x\":{value},{}", &good[1..]));
    }
    let signatures = good.find(r#""signatures":["#).unwrap() + r#""signatures":["#.len();
    texts.push(format!("{}{}{}", &good[..signatures], "{\"sig\":\"\"},".repeat(5_000), &good[signatures..]));
    let start = good.find(r#""dsseEnvelope":"#).unwrap() + r#""dsseEnvelope":"#.len();
    for text in &texts {
        let what = &text[..text.len().min(160)];
        let _ = bounded(what, text.len(), || Bundle::parse(text.as_bytes(), SIGNATURE_LIMIT));
        let candidate = Candidate::bundle(Origin::Carried, text.clone());
        let _ = bounded(what, text.len(), || world.check(&world.image, &candidate, &world.trust));
        let envelope = &text[start.min(text.len())..text.len() - 1];
        let _ = bounded(what, envelope.len(), || {
            verify_envelope(envelope.as_bytes(), &world.trust, Role::Build, SIGNATURE_LIMIT)
        });
    }
    for statement in statements(40 << 10) {
        let what = &statement[..statement.len().min(160)];
        let envelope = Envelope::sign(media_type::IN_TOTO, statement.clone().into(), &world.build).unwrap().to_bytes();
        let signed = [&good.as_bytes()[..start], &envelope, b"}"].concat();
        let size = signed.len();
        let candidate = Candidate::bundle(Origin::Carried, signed);
        let checked = bounded(what, size, || world.check(&world.image, &candidate, &world.trust));
        assert!(checked.is_err());
    }
}

#[test]
fn payloads_and_records_that_cost_much() {
    let _alone = alone();
    let world = world();
    let payload = String::from_utf8(world.payload()).unwrap();
    for value in values(48 << 10) {
        for text in [
            payload.replace(r#"{"env":"prod"}"#, &value),
            payload.replace(r#""prod""#, &value),
            payload.replace(r#"{"critical":"#, &format!(r#"{{"x":{value},"critical":"#)),
            payload.replace(r#""docker-reference":"#, &format!(r#""docker-reference":{value},"x":"#)),
        ] {
            let what = &text[..text.len().min(160)];
            let _ = bounded(what, text.len(), || simple::read(text.as_bytes()));
            let candidate =
                Candidate::simple(Origin::Carried, text.clone(), world.signature(text.as_bytes(), &world.build));
            let _ = bounded(what, text.len(), || world.check(&world.image, &candidate, &world.trust));
        }
    }
    let record = String::from_utf8(world.evidence()).unwrap();
    for value in values(48 << 10) {
        let huge = STANDARD.encode(&value);
        for text in [
            record.replace(r#""payload":""#, &format!(r#""payload":"{huge}"#)),
            record.replace(r#""payload":"#, &format!(r#""payload":{value},"old":"#)),
            record.replace(r#""mediaType":"#, &format!(r#""x":{value},"mediaType":"#)),
        ] {
            let what = &text[..text.len().min(160)];
            let candidate = bounded(what, text.len(), || Candidate::from_evidence(text.as_bytes()));
            let _ = bounded(what, text.len(), || world.check(&world.image, &candidate, &world.trust));
        }
    }
}
