//! Other algorithms, against what OpenSSL made of `message`.

use base64::Engine as _;

use super::*;

const P384: &str = concat!(
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEuThuKcNPI89nbg0I5vz12A1Oozt2HLgZVxMCC7id60S9Tw4PaDWLZcwPbC6vJ3HYvnZgN8HLYT9Lcm",
    "q+INsfJ07GuksOHcNNjdetrNmIkAgJ/2uBZH+5oRsMpsh6ik0/",
);
const P384_SHA256: &str = concat!(
    "MGUCMQCPPHg5i0awTf2oV703Go5EXb7MHBb4g1NDLqf7jMWI5kzr45134GkWn23WZp7BtV4CMDdOpbxBKYB/OIHgsNcOKlOUsYJQvY6JzArpLP",
    "ZufnRZEmbHNPuzJtU6n7DToAKbYQ==",
);
const P384_SHA384: &str = concat!(
    "MGUCMF6Z2Y+RaLvUXpvuyBdn4NAwY2XIgZoiB/ufz+JYc40/vCJBwdT+VUdnBdtLgU+aewIxAPgukyCDsaNHvZ3kEs6NgJF5qAqEgdqRF97diL",
    "mkIgtU0LmX6Cu5AdvdsxyvId3y1w==",
);
const P384_SHA512: &str = concat!(
    "MGUCMQCsGcYukhRpmDjvutG1Bl5nb9yACFUI57FasOewqpAM/6Q2Ct/uThJd42V2C4ZvwUkCMBENEQno6/UqQqSpdq+hJKF/nn8clWzGVkSmIz",
    "eA6Nkvwd14MXC/5njJrQXelP8MPQ==",
);
const RSA: &str = concat!(
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArippT3AT2KjMo0D1TqDQg2qK1zNAzLLjVy5/+HUcrFRGE3HNvGdHDpKGE9iPtwmW8m",
    "QUVHAc1fp7hwjGCt8kPFDrSFKFtwKsHXqXtIBj2gyoEW0RflYNjnumtAQI5W7kfRDb68IexNPsQLVB2V4LfMFpsyrS6QsYZpKELUsZIoIh7PN2",
    "S6njnIpVgQkFrFYHD2cWo8eN8MH/tnrQDo0hTHxUuyAmXmUeXS8ZjNRYqa3ygKKlyb5hCxNph3SkZbYk3ZWAyot2IrMr5ee3elbJMh1oWDybqP",
    "dEUlfT7MfxwqRUFjZjQd+WGjVZPvkdNoLSnTi14y2DcgpqDTQa9btQhQIDAQAB",
);
const RSA_SHA256: &str = concat!(
    "G/lKf4oRVnt6g+rZgZrwoWTgD+6glNnn651ioBr2bYYc5Bceyro00ZFp9WJu0URARsWvRxG/DSk4QwPpXKMH7NeM1cpnbdOpknorSKMH7S5eei",
    "2BG7yuehZ2OxI7Dt7ehajq54mz0IrS1d1em9PJzI/HfGuCntcH87gv/uHdIn7JoHAs8l4bmfaFBstdJ8Y4ZDFm974bOhzCMX3Ew0lj1zla+mbp",
    "0/sVUd5yQyszCpPQ2muycxK9o0LPzrQsLEX1B+3k2Z2sglFaP18cB5Mng3kP1eoshIJlqSjxzKBeBH6/UnDWcJ+Nk6EV3ZFWU0BrbN4Zlx9TY4",
    "tw9WC4tLT1Dg==",
);
const RSA_SHA512: &str = concat!(
    "nbDCZ+SR3ArxhTnGDc/Y3A81cT9HJZglUWEXMjX/2OaQh7w8FiZyB2SmF1hwqKD8rg1gLgYptYM154tNmgJMsygI0FLGdgTO93CbXeibLjy+MK",
    "0QTfAw8B/QxKF0+dOCB0aw5D1ueCs2zP4j+plrQRhfU7q+BM5V7Cf8JTdBNPErnGLuNewz/isv8sTkFwXLMtGxXnL9TrREFK+z2kPJ/YnJzofz",
    "y17Lowe+JxAOPYC6jiW7Ru3bqAdNW/ORQU+hxRLE9cYhXjUG8iccfU9RWBMRRKbi2i65HJvccl+/lCAHeMUN1P6FRgpGk1s77GRO5N9tlLJhNZ",
    "j8TMN6wnoJCw==",
);
const RSA_PSS: &str = concat!(
    "QEkodtGLhB+JGcCFConTNm/D4LJXaChCN1yezhRCUD9E0jNj3UX/aC8Hj7J70kLyb8w6dF9XBmhFJ9tTG0z6S14BoO7ZaOjpM4VF/dOvQ2mcKd",
    "QKqwWlUw9AapDOxXR2KjWF5G8piaxHtklHLPnoDDcNcldjxT+WAE2JwD2dXs6ww/ITR5XtR/g3bIY/n7qdGnhLF9Tsuyvd/8RNn5+P6OH+9cBp",
    "/ClteQiT3knkji6akXs/wgNY+/0kKFkYUoDlxTLnNOSwY0noQAqUPnMvPpid+aqEGkMkHIG5I3UEOzJnELDrwJVs9FLRCYXmaxIN8PlWCMJuky",
    "Hqosm9GXR3Mw==",
);
const RSA_1024: &str = concat!(
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDebJY9I8DfpQlB4jiKPG8U7bhpoCHaoX61vvB2mn2Ei4oT4ATWMLHqff0v8RE7AZUJf6EsgI",
    "ZU8+ji6OOSsoaF+DOrafpYGfG66HJucg4fnOBvWNlWh5muQFlZBQ+r00LoiaF9M/LbFbm3BxDfzvUpGb60/k0h1zjT4OIY5Ss9CQIDAQAB",
);
const P521: &str = concat!(
    "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQA7f5xPOLebef2Y2krVVA8PxEuUqxrX4NZAj+GiaCf1pLuxygrhGLnclOWJzXkdFlZVToIhPoSZL",
    "Sg51OFkobdbxUBkurmS4YrF4guoaQo0QNdlSha+fPQQ/zRr0tMzViMagoe2nkJCQR/2uotoFeSjMWowHxWvQ5bEAsUoezmmyuMvFk=",
);
const ED25519: &str = "MCowBQYDK2VwAyEATJe4BuoK4PwhvMZEbkLJq8vrkHuYoicsx5+rd/SZk14=";
const ED25519_PURE: &str = "NTHJWkE90N1i+oj7cx1RR+iI+cHAVytCxOthvqHcVWMYKNOHaFtoAHcqugIra/amvOhgvTQGzklXFOO3gKQnBQ==";

fn public(body: &str) -> Result<PublicKey, KeyError> {
    PublicKey::from_pem(format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n").as_bytes())
}

fn bytes(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn each_algorithm_accepts_the_forms_of_the_table_and_no_others() {
    for (key, algorithm, good, bad) in [
        (P384, Algorithm::EcdsaP384, &[P384_SHA256, P384_SHA384][..], &[P384_SHA512][..]),
        (RSA, Algorithm::Rsa, &[RSA_SHA256][..], &[RSA_SHA512, RSA_PSS][..]),
        (ED25519, Algorithm::Ed25519, &[ED25519_PURE][..], &[P384_SHA256][..]),
    ] {
        let key = public(key).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(
            public(&key.to_pem().lines().filter(|line| !line.starts_with('-')).collect::<String>()),
            Ok(key.clone())
        );
        for signature in good {
            let mut signature = bytes(signature);
            assert!(key.verifies(b"message", &signature), "{algorithm}");
            assert!(!key.verifies(b"massage", &signature), "{algorithm}");
            let last = signature.len() - 1;
            signature[last] ^= 1;
            assert!(!key.verifies(b"message", &signature), "{algorithm}");
        }
        for signature in bad {
            assert!(!key.verifies(b"message", &bytes(signature)), "{algorithm}");
        }
    }
}

#[test]
fn ed25519ph_is_read_too() {
    // RFC 8032, section 7.3.
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let mut der = hex("302a300506032b6570032100");
    der.extend(hex("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf"));
    let key = PublicKey::from_der(&der).unwrap();
    let signature = hex(concat!(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41",
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    ));
    assert!(key.verifies(b"abc", &signature) && !key.verifies(b"abd", &signature));
}

#[test]
fn every_algorithm_signs_the_same_twice_and_survives_its_file() {
    for algorithm in Algorithm::SIGNING {
        let pair = KeyPair::generate_as(algorithm, &mut OsRng).unwrap();
        assert_eq!(pair.public_key().algorithm(), algorithm);
        let signature = pair.sign(b"message").unwrap();
        assert_eq!(pair.sign(b"message").unwrap(), signature);
        assert!(
            pair.public_key().verifies(b"message", &signature) && !pair.public_key().verifies(b"massage", &signature)
        );
        let file = pair.encrypt(&secret("x"), &mut OsRng).unwrap();
        let again = KeyPair::decrypt(file.as_bytes(), &secret("x")).unwrap();
        assert_eq!((again.public_key(), again.sign(b"message")), (pair.public_key(), Ok(signature)));
    }
    let refused = KeyPair::generate_as(Algorithm::Rsa, &mut OsRng).unwrap_err();
    assert_eq!(refused, KeyError::VerifyOnly);
}

#[test]
fn ecdsa_signatures_are_der_to_the_byte_and_high_s_is_as_good_as_low() {
    let pair = KeyPair::generate(&mut OsRng).unwrap();
    let der = pair.sign(b"message").unwrap();
    let verifies = |signature: &[u8]| pair.public_key().verifies(b"message", signature);
    let signature = p256::ecdsa::Signature::from_der(&der).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    assert_ne!(other.to_der().as_bytes(), der);
    assert!(verifies(&der) && verifies(other.to_der().as_bytes()));
    // Raw r and s, as JWS has it; a length in the long form; a needless zero before r; bytes behind; an empty one.
    assert!(!verifies(&signature.to_bytes()));
    let content = &der[2..];
    let long_form = [&[0x30, 0x81, content.len() as u8][..], content].concat();
    let (length, rest) = (content[1], &content[2..]);
    let padded = [&[0x30, der[1] + 1, 0x02, length + 1, 0][..], rest].concat();
    let behind = [&der[..], &[0][..]].concat();
    let inside = [&[0x30, der[1] + 2][..], content, &[5, 0]].concat();
    for bad in [&long_form[..], &padded, &behind, &inside, &[]] {
        assert!(!verifies(bad), "{}", to_hex(bad));
    }
    // r = 0 and s = 0: what once passed for a signature by anybody (CVE-2022-21449).
    assert!(!verifies(&[0x30, 6, 2, 1, 0, 2, 1, 0]));
}

#[test]
fn keys_that_are_weak_or_spelled_otherwise_are_refused() {
    let small = public(RSA_1024).unwrap_err();
    assert_eq!(small, KeyError::Algorithm { algorithm: "RSA with 1024 bits".to_owned() });
    let curve = public(P521).unwrap_err();
    assert_eq!(curve, KeyError::Algorithm { algorithm: "ECDSA on the curve 1.3.132.0.35".to_owned() });
    // The neutral point: it "signs" everything.
    let mut weak = bytes(ED25519);
    weak[12..].fill(0);
    weak[12] = 1;
    assert!(matches!(PublicKey::from_der(&weak), Err(KeyError::Malformed(_))));
    // RSA without its NULL, Ed25519 with one: a second spelling would be a second fingerprint of one key.
    let rsa = bytes(RSA);
    let mut spelled = rsa.clone();
    assert_eq!(spelled[17..19], [5, 0]);
    spelled.drain(17..19);
    spelled[3] -= 2;
    spelled[5] -= 2;
    assert!(PublicKey::from_der(&spelled).is_err());
    assert!(PublicKey::from_der(&[&rsa[..], &[0]].concat()).is_err());
}
