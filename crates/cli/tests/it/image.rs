//! `schleuse image`: between a registry of our own, folders and files.

use std::path::Path;

use crate::support::{Checkout, Done, Server, nobody, registry, schleuse};

/// A built image, and where.
fn built(server: &Server) -> (Checkout, String) {
    let checkout = Checkout::new(server.address);
    let image = checkout.run(&["build", "--output", "build.json"]).done().exits(0).stdout().trim().to_owned();
    (checkout, image)
}

fn image(folder: &Path, arguments: &[&str]) -> Done {
    let arguments: Vec<&str> = std::iter::once("image").chain(arguments.iter().copied()).collect();
    schleuse(folder, &arguments).done()
}

fn digest(image: &str) -> &str {
    image.trim().split_once('@').unwrap().1
}

#[test]
fn round_all_places_and_the_digest_stays() {
    let server = registry();
    let (checkout, image_) = built(&server);
    let folder = checkout.path();
    let elsewhere = format!("{}/other/billing:1.0", server.address);
    let ways: [(&str, &str); 4] = [
        (&image_, "oci:layout:v1"),
        ("oci:layout", "oci-archive:billing.tar"),
        ("oci-archive:billing.tar:v1", &format!("docker://{elsewhere}")),
        (&elsewhere, "oci:second:x"),
    ];
    for (from, to) in ways {
        let copy = image(&folder, &["copy", from, to]).exits(0);
        assert_eq!(digest(&copy.stdout()), digest(&image_), "{from} {to}");
        assert!(copy.stderr().contains("2 blobs sent"), "{}", copy.stderr());
    }
    // Again: nothing is sent.
    let again = image(&folder, &["copy", "--format", "json", "oci:layout:v1", &elsewhere, "--tag", "more"]).exits(0);
    let again = again.json("result");
    assert_eq!((&again["moved"]["sent"], &again["moved"]["present"]), (&0.into(), &2.into()));
    assert_eq!(again["tags"], serde_json::json!(["1.0", "more"]));
    let listed = image(&folder, &["list", "--digests", &elsewhere]).exits(0).stdout();
    let digest = digest(&image_);
    assert_eq!(listed, format!("1.0   {digest}\nmore  {digest}\n"));
    assert_eq!(image(&folder, &["list", "oci-archive:billing.tar"]).exits(0).stdout(), format!("v1  {digest}\n"));
    // In one registry nothing is sent either.
    let neighbour = format!("{}/third/billing", server.address);
    let copy = image(&folder, &["copy", "--format", "json", &image_, &neighbour]).exits(0).json("result");
    assert_eq!((&copy["moved"]["mounted"], &copy["tags"]), (&2.into(), &serde_json::json!(["latest"])));
}

#[test]
fn a_tag_moves_and_nothing_else() {
    let server = registry();
    let (checkout, built) = built(&server);
    let done = image(&checkout.path(), &["tag", &built, "1.0", "latest"]).exits(0);
    assert_eq!(done.stdout().trim(), built);
    let names = image(&checkout.path(), &["list", "--prefix", "1", &checkout.image]).exits(0).stdout();
    assert_eq!(names, "1.0\n");
    image(&checkout.path(), &["copy", &built, "oci:layout:a"]).exits(0);
    image(&checkout.path(), &["tag", "oci:layout", "b"]).exits(0);
    let json = image(&checkout.path(), &["list", "--format", "json", "oci:layout"]).exits(0).json("result");
    assert_eq!((&json["images"][0]["name"], &json["images"][1]["name"]), (&"a".into(), &"b".into()));
    let few = image(&checkout.path(), &["list", "--limit", "1", &checkout.image]).exits(1);
    assert!(few.stderr().contains("more than 1"), "{}", few.stderr());
}

#[test]
fn inspect_says_what_the_image_says() {
    let server = registry();
    let (checkout, built) = built(&server);
    let page = image(&checkout.path(), &["inspect", &built]).exits(0).stdout();
    for line in ["platform  linux/", "runs      /app/run", "source    https://github.com/acme/billing", "layers    1, "]
    {
        assert!(page.contains(line), "{page}");
    }
    let json = image(&checkout.path(), &["inspect", "--format", "json", &built]).exits(0).json("result");
    assert_eq!(json["images"][0]["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    assert_eq!(json["images"][0]["config"]["config"]["Entrypoint"], serde_json::json!(["/app/run"]));
    let raw = image(&checkout.path(), &["inspect", "--raw", &built]).exits(0).stdout();
    assert!(raw.starts_with("{\"schemaVersion\":2"));
}

#[test]
fn an_index_of_two_platforms_and_one_of_it() {
    let server = registry();
    let (checkout, _) = built(&server);
    let mut images = Vec::new();
    for platform in ["linux/arm64", "linux/amd64"] {
        let text = std::fs::read_to_string(checkout.path().join("schleuse.toml")).unwrap();
        let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("platform")).collect();
        let text = text.join("\n").replace("[build]", &format!("[build]\nplatform = \"{platform}\""));
        checkout.write("schleuse.toml", &text);
        images.push(checkout.run(&["build"]).done().exits(0).stdout().trim().to_owned());
    }
    let name = format!("{}:both", checkout.image);
    let index = image(&checkout.path(), &["index", &name, &images[0], &images[1]]).exits(0).stdout();
    let other = image(&checkout.path(), &["index", "oci:both:x", &images[1], &images[0]]).exits(0).stdout();
    assert_eq!(digest(&index), digest(&other), "the order does not matter");
    let twice = image(&checkout.path(), &["index", "oci:both:y", &images[0], "oci:both:x"]).exits(0).stdout();
    assert_eq!(digest(&index), digest(&twice), "an index's images are taken");
    let page = image(&checkout.path(), &["inspect", &name]).exits(0).stdout();
    let lines: Vec<&str> = page.lines().skip(2).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(lines, ["linux/amd64", "linux/arm64"]);
    let arm = image(&checkout.path(), &["copy", "--platform", "linux/arm64", &name, "oci:arm:x"]).exits(0).stdout();
    assert_eq!(digest(&arm), digest(&images[0]));
    let whole = format!("{}/whole/billing:1", server.address);
    let whole = image(&checkout.path(), &["copy", &name, &whole]).exits(0);
    assert_eq!(digest(&whole.stdout()), digest(&index));
    assert!(whole.stderr().contains("3 manifests"), "{}", whole.stderr());
    let none = image(&checkout.path(), &["copy", "--platform", "linux/s390x", &name, "oci:none"]).exits(2);
    assert!(none.stderr().contains("linux/amd64, linux/arm64"), "{}", none.stderr());
    assert!(!checkout.path().join("none").exists());
    checkout.write("app/run", "another");
    let another = checkout.run(&["build"]).done().exits(0).stdout();
    let both = image(&checkout.path(), &["index", "oci:none", &images[1], another.trim()]).exits(2);
    assert!(both.stderr().contains("is for linux/amd64, and so is another image"), "{}", both.stderr());
}

#[test]
fn evidence_goes_along_when_asked() {
    let server = registry();
    let (checkout, built) = built(&server);
    let sign = ["sign", "--key", "schleuse.key", "--build-manifest", "build.json", built.as_str()];
    checkout.run(&sign).done().exits(0);
    let copy = |name: &str, flags: &[&str]| {
        let to = format!("{}/{name}:1", server.address);
        let arguments = [&["copy", built.as_str(), to.as_str()][..], flags].concat();
        let done = image(&checkout.path(), &arguments).exits(0);
        (done.stdout().trim().to_owned(), done.stderr())
    };
    let (bare, _) = copy("bare/billing", &[]);
    checkout.run(&["verify", &bare]).done().exits(11);
    for _ in 0..2 {
        let (whole, said) = copy("whole/billing", &["--referrers"]);
        assert!(said.contains("evidence: 2 referrers, 1 legacy tag"), "{said}");
        checkout.run(&["verify", &whole]).done().exits(0);
    }
    // What the destination has is not replaced.
    checkout.generate("other");
    checkout.run(&["sign", "--key", "other.key", &bare]).done().exits(0);
    let (_, said) = copy("bare/billing", &["--referrers"]);
    assert!(said.contains("warning: the destination has another `sha256-"), "{said}");
    checkout.run(&["verify", "--key", "other.pub", &bare]).done().exits(0);
    checkout.run(&["verify", &bare]).done().exits(0);
}

#[test]
fn a_login_goes_to_the_registry_that_is_written_to_and_to_no_other() {
    use std::io::{Read as _, Write as _};
    let server = registry();
    let (checkout, _) = built(&server);
    // A source that asks for a login, and remembers what it was sent.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).unwrap_or(0);
            let _ = sender.send(String::from_utf8_lossy(&request[..read]).to_lowercase());
            let _ = stream.write_all(
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    });
    let (from, to) = (format!("{address}/x/y:1"), format!("{}/x/y:1", server.address));
    let with_login = |arguments: &[&str]| {
        let run = checkout.run(arguments).env("REGISTRY_USERNAME", "ci").env("REGISTRY_PASSWORD", "not for you");
        run.done().exits(1).stderr()
    };
    let refused = with_login(&["image", "copy", &from, &to]);
    assert!(refused.contains("wants a login"), "{refused}");
    let requests: Vec<String> = heard.try_iter().collect();
    assert!(!requests.is_empty() && requests.iter().all(|one| !one.contains("authorization")), "{requests:?}");
    // Where only one registry is there, it is for that one.
    with_login(&["image", "inspect", &from]);
    assert!(heard.try_iter().any(|one| one.contains("authorization: basic")));
}

#[test]
fn what_cannot_be_is_said() {
    let server = registry();
    let (checkout, built) = built(&server);
    let folder = checkout.path();
    let wrong = |arguments: &[&str], code: i32| image(&folder, arguments).exits(code).stderr();
    assert!(wrong(&["copy", "docker-daemon:x", "oci:y"], 2).contains("`docker save` writes"));
    assert!(wrong(&["copy", &built, "docker-archive:x.tar"], 2).contains("hint: write oci-archive:FILE"));
    assert!(wrong(&["copy", "oci:nowhere", "oci:y"], 2).contains("is no OCI image layout"));
    assert!(wrong(&["copy", "oci-archive:nowhere.tar", "oci:y"], 2).contains("cannot use nowhere.tar"));
    assert!(wrong(&["copy", "--platform", "x", &built, "oci:y"], 2).contains("linux/amd64"));
    let other = format!("{}@sha256:{}", checkout.image, "0".repeat(64));
    assert!(wrong(&["copy", &built, &other], 2).contains("the destination names 000000000000"));
    assert!(wrong(&["copy", &built, "oci:y", "--referrers"], 2).contains("works between registries"));
    assert!(wrong(&["copy", &format!("{}:none", checkout.image), "oci:y"], 1).contains("is not in the registry"));
    assert!(wrong(&["copy", &other, "oci:y"], 1).contains("is not in the registry"));
    assert!(wrong(&["tag", &built, "not a tag"], 2).contains("a tag has at most 128"));
    image(&folder, &["copy", &built, "oci-archive:a.tar"]).exits(0);
    assert!(wrong(&["tag", "oci-archive:a.tar", "x"], 2).contains("an archive is not changed"));
    image(&folder, &["copy", &built, "oci:two:a"]).exits(0);
    checkout.write("app/run", "other");
    let second = checkout.run(&["build"]).done().exits(0).stdout();
    image(&folder, &["copy", second.trim(), "oci:two:b"]).exits(0);
    let which = wrong(&["inspect", "oci:two"], 2);
    assert!(which.contains("holds 2 images: which one?") && which.contains("hint: `oci:two:a`"), "{which}");
    let down = format!("{}/x/y", nobody());
    assert!(wrong(&["copy", &down, "oci:y"], 1).contains("cannot be reached"));
}
