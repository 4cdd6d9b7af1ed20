//! Plain keys, as OpenSSL writes them. They were made for these tests and sign nothing else.

use schleuse_model::Explain as _;

use super::*;

const P256_PKCS8: &str = concat!(
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgParFdnLnyHE+qk01Io5VcRATwJcIOSNxLylm3+4meiuhRANCAATSU/dXlTMFuc",
    "EDbTN8LpL5yIbMTFuuGmAWffAzUWM3sGW5WG/YNblFk1UZZT1P0LqFNlZwfZBQt9WP//oXj07Y",
);
const P384_SEC1: &str = concat!(
    "MIGkAgEBBDDGtnW1jEerUTMQHCwt0nYog66bvIeCL0lE2C3Gt1Y6tWU+ghmydtDNohKQYtJ0MEWgBwYFK4EEACKhZANiAAS5OG4pw08jz2duDQ",
    "jm/PXYDU6jO3YcuBlXEwILuJ3rRL1PDg9oNYtlzA9sLq8ncdi+dmA3wcthP0tyar4g2x8nTsa6Sw4dw02N162s2YiQCAn/a4Fkf7mhGwymyHqK",
    "TT8=",
);
const ED25519_PKCS8: &str = "MC4CAQAwBQYDK2VwBCIEIMFSD2Aw+5zHorOdxgIiyha3Kig5WIfHjWOd42ghn6kK";
const P256_SEC1: &str = concat!(
    "MHcCAQEEICjN5+DwExmGkLT5N29fkS2imd7MqZpYEsA1qGGHfOh6oAoGCCqGSM49AwEHoUQDQgAE1lFVG+ybzRoV7watBwErJtyWO4psAEuvZz",
    "EKFBBts0lIRdOgdGKe98L4ga7dlqg/w6KubRYVVmqiU5pBR3Z/kA==",
);
const RSA_PKCS8: &str = concat!(
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCuKmlPcBPYqMyjQPVOoNCDaorXM0DMsuNXLn/4dRysVEYTcc28Z0cOkoYT2I",
    "+3CZbyZBRUcBzV+nuHCMYK3yQ8UOtIUoW3Aqwdepe0gGPaDKgRbRF+Vg2Oe6a0BAjlbuR9ENvrwh7E0+xAtUHZXgt8wWmzKtLpCxhmkoQtSxki",
    "giHs83ZLqeOcilWBCQWsVgcPZxajx43wwf+2etAOjSFMfFS7ICZeZR5dLxmM1FiprfKAoqXJvmELE2mHdKRltiTdlYDKi3Yisyvl57d6VskyHW",
    "hYPJuo90RSV9Psx/HCpFQWNmNB35YaNVk++R02gtKdOLXjLYNyCmoNNBr1u1CFAgMBAAECggEAD39PmpVu9qbiep5TlZkCpMbsrsRtPimmyAGn",
    "umx1TjI7gAxu0ZZhAL9x9b8d3pwYVd4o3vCQ6EtfBX92283KNCHBJdDN/CBdP0xCxnlsKSFaLR7G4TZ4A1cmWLtJLV0mMKi44OwHf90ZlxJp1x",
    "UisYmmRZ6IYNsvYyUjZMJbbLIBCLB7p+SwMQeNNr5KJDsGmwpigv3KUZwTTxIRYV719i2k6oAMQKt7U0pRhbxWdxoBsXir7vE6vbAdSbimc9yk",
    "FAzVkMAb91XmVrZRvL+GrTsB3KGYVTWjr3AP5EP3jRnEm9ShP+Zm77/zrpH3+nMzl811BmIKOq1XWfZIeShQ+wKBgQDaM91AfnhlAcM4m/MIOP",
    "ChlKiTETWmh3sI33s5HwbmrpstRtn59PHGRwiH7ynifHkBBoUdrsMxG5u7+8DccjqG2axTbPFZemIjwM9aNVnuD+g+EIEuX24GuIGb1yJRjI9I",
    "Gn6fDSa/xbVYgvIXYpUIgHxHbY5NjS0JAc0bIxLRrwKBgQDMVb3Np8aeEix89LxlbQX3T4worx0CBMu96u8mwMze4fDo71kVRG7YN54jKY7Lzi",
    "TGenj04iVpGKEvmvAoPoDHL0P00cCfz0iB9gzG7sHsmChXqo1EpRb5jaTRUsiDFLn9cr2q2khJOvozPWolTq+anOBki5GeYyN8P7mC4zISCwKB",
    "gQDE7I2/SORK9D5FdqjtQMYabVl98MgklJy7M0W4FYJa6jXttMXASglxUmYml/eLCZ8DB+lXEoPia/Iuw1QZH5YmYYieefGPOV4cukPoO8H/ka",
    "eda7PKMCHSOu3twUidpGcjQZYI4QuZg0rYqMTnyfaKh7qhlAQbhU+hk1iSJyMyzQKBgGwFb9/GsFNkXCx63RXpetvxK7FeUcF9c5AlIOSlzCiP",
    "3WHnFnsNwGOBk5IXKCxKAFsE5+jdnNVgdeXKzOcZk865B/3m3SQe2sAJqVuJYO+IyNr/iMsfU3P+E4Gtd98EGAcKn4Yw+0HrcdWgw/qRDHh6Mo",
    "400nifBGVs8s9k+FVdAoGAUiTSikTjvWZXGoVOjXGSnylDpWnaldxxP1VLFtfFtCm5n4KMopDtVohNf7JhtF6M6lDx2q9yBOOUqeJtmS/H0Cdb",
    "kBYAWPMPDqUQxw++JFNfC4HVNVA0EFBk2DmWEJENMypZJ4F3iToJkVdLwaov/hpLRhFdM3zs028bdxYPQEA=",
);
const P521_PKCS8: &str = concat!(
    "MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBJdVql6mqJD4aJyrgHxxstWkeCzRAnQU5GAp3D8/QHY7OqJt4OzjTRLU66oDIb7",
    "165LUR9HmDV0rAmFoh3yEDHvKhgYkDgYYABADt/nE84t5t5/ZjaStVUDw/ES5SrGtfg1kCP4aJoJ/Wku7HKCuEYudyU5YnNeR0WVlVOgiE+hJk",
    "tKDnU4WSht1vFQGS6uZLhisXiC6hpCjRA12VKFr589BD/NGvS0zNWIxqCh7aeQkJBH/a6i2gV5KMxajAfFa9DlsQCxSh7OabK4y8WQ==",
);

fn pem(label: &str, body: &str) -> String {
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn import(text: &str) -> Result<KeyPair, KeyError> {
    KeyPair::import(&Secret::new(text.as_bytes().to_vec()))
}

#[test]
fn what_openssl_writes_is_imported() {
    let parameters = pem("EC PARAMETERS", "BggqhkjOPQMBBw==");
    for (text, algorithm) in [
        (pem("PRIVATE KEY", P256_PKCS8), Algorithm::EcdsaP256),
        (pem("EC PRIVATE KEY", P384_SEC1), Algorithm::EcdsaP384),
        (pem("PRIVATE KEY", ED25519_PKCS8), Algorithm::Ed25519),
        (parameters + &pem("EC PRIVATE KEY", P256_SEC1), Algorithm::EcdsaP256),
        (pem("PRIVATE KEY", ED25519_PKCS8).replace('\n', "\r\n"), Algorithm::Ed25519),
    ] {
        let pair = import(&text).unwrap();
        assert_eq!(pair.public_key().algorithm(), algorithm);
        let file = pair.encrypt(&secret(""), &mut OsRng).unwrap();
        assert_eq!(KeyPair::decrypt(file.as_bytes(), &secret("")).unwrap().public_key(), pair.public_key());
    }
}

#[test]
fn what_is_not_imported_is_named_and_never_repeated() {
    for (text, why, hint) in [
        (pem("PRIVATE KEY", RSA_PKCS8), "the key is RSA", "key generate"),
        (pem("PRIVATE KEY", P521_PKCS8), "ECDSA on the curve 1.3.132.0.35", "key generate"),
        (pem("RSA PRIVATE KEY", RSA_PKCS8), "a `RSA PRIVATE KEY`", "verified with"),
        (pem("ENCRYPTED PRIVATE KEY", RSA_PKCS8), "an `ENCRYPTED PRIVATE KEY`", "openssl pkey"),
        (pem("ENCRYPTED SIGSTORE PRIVATE KEY", RSA_PKCS8), "SIGSTORE", "already"),
        (pem("EC PRIVATE KEY", P256_PKCS8), "no EC key", ""),
        (pem("PRIVATE KEY", &P256_PKCS8[..60]), "malformed", ""),
        ("not pem".to_owned(), "not PEM", ""),
        ("-".repeat(KEY_FILE_LIMIT + 1), "at most 16384", ""),
    ] {
        let error = import(&text).unwrap_err();
        let shown = format!("{error} {error:?} {:?}", error.hints());
        assert!(shown.contains(why.trim_start_matches("a ").trim_start_matches("an ")), "{shown}");
        assert!(shown.contains(hint), "{shown}");
        assert!(!shown.contains(&P256_PKCS8[20..40]) && !shown.contains(&RSA_PKCS8[60..80]), "{shown}");
    }
}
