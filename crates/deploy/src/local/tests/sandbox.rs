//! What a release can see and do.

use super::world::World;
use crate::Target;

fn line<'a>(report: &'a str, name: &str) -> &'a str {
    let found = report.lines().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("{name} in {report}")).trim()
}

#[tokio::test]
async fn a_release_sees_nothing_of_the_machine() {
    let world = World::with_door();
    let receipt = world.switched("one", 1).await;
    let report = world.get("/isolation").await.unwrap();
    // Itself and its init: not even the supervisor.
    assert_eq!(line(&report, "pids"), "2");
    assert_eq!(line(&report, "pid "), "2");
    assert_eq!(line(&report, "root"), "app dev lib lib64 proc tmp usr");
    assert_eq!(line(&report, "write / "), "ReadOnlyFilesystem");
    assert_eq!(line(&report, "write /dev "), "ReadOnlyFilesystem");
    for place in ["/tmp", "/dev/shm", "/dev/null"] {
        assert_eq!(line(&report, &format!("write {place} ")), "yes");
    }
    assert_eq!(line(&report, "host"), "production");
    assert_eq!(line(&report, "folder"), "/usr");
    assert!(line(&report, "core Max core file size").starts_with("0 "), "{report}");
    // The binary behind process 1 is the machine's (CVE-2019-5736).
    assert_eq!(line(&report, "read init"), "Err(PermissionDenied)");
    assert!(!world.folder().join("images").join(receipt.image().digest().as_tag_stem()).join("rootfs/x").exists());
}

#[tokio::test]
async fn a_release_has_no_right_and_is_never_root() {
    let world = World::with_door();
    world.switched("one", 1).await;
    let report = world.get("/isolation").await.unwrap();
    for set in ["CapEff:", "CapPrm:", "CapBnd:", "CapAmb:", "CapInh:"] {
        assert_eq!(line(&report, set), "0000000000000000", "{set}");
    }
    assert_eq!(line(&report, "NoNewPrivs:"), "1");
    assert_eq!(line(&report, "Uid:"), "65534\t65534\t65534\t65534");
    assert_eq!(line(&report, "Gid:"), "65534\t65534\t65534\t65534");
    assert_eq!(line(&report, "SigBlk:"), "0000000000000000", "signals we block must not stay blocked");
}

#[tokio::test]
async fn the_environment_wins_over_the_image_by_name_and_nothing_else_comes_in() {
    let world = World::with_door();
    let receipt = world.switched("one", 1).await;
    let report = world.get("/isolation").await.unwrap();
    let port = world.address_of(&receipt).await.port();
    let digest = receipt.image().digest();
    let expected = format!(
        "APP_PASSWORD=hunter2-hunter2 APP_VERSION=one FROM_IMAGE=environment HOME=/ \
         PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PORT={port} SCHLEUSE_DIGEST={digest} \
         SCHLEUSE_ENVIRONMENT=production"
    );
    assert_eq!(line(&report, "env"), expected);
}

#[tokio::test]
async fn the_log_is_bounded_and_hides_secrets() {
    let world = World::with_door();
    let receipt = world.switched("one", 1).await;
    assert_eq!(world.target.logs(&receipt, 30).await.unwrap(), ["one starts with the password [redacted]"]);
    world.get("/flood").await.unwrap();
    super::world::until("the log", async || world.target.logs(&receipt, 1).await.unwrap() == ["the end of the flood"])
        .await;
    let folder = world.folder().join("instances").join(&receipt.instance().name);
    for file in ["instance.log", "instance.log.1"] {
        assert!(std::fs::metadata(folder.join(file)).unwrap().len() <= 1 << 20, "{file}");
    }
    assert_eq!(world.target.logs(&receipt, 30).await.unwrap().len(), 30);
}

#[tokio::test]
async fn tells_where_a_release_listens() {
    let world = World::with_door();
    let receipt = world.switched("one", 1).await;
    assert_eq!(world.target.listening(&receipt).await.unwrap(), [world.address_of(&receipt).await]);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_said_to_be() {
    let world = World::with_door();
    let receipt = world.prepare("one", 1).await.unwrap();
    let rootfs = world.folder().join("images").join(receipt.image().digest().as_tag_stem()).join("rootfs");
    std::fs::remove_file(rootfs.join("app")).unwrap();
    let error = world.target.apply(&receipt).await.unwrap_err().to_string();
    assert!(error.contains("did not start: starting the program: No such file"), "{error}");
}
