//! The room an instance lives in: mounts, rights, limits.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use caps::{CapSet, CapsHashSet};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_dumpable, set_no_new_privs};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Gid, Uid, chdir, geteuid, pivot_root, setgroups, sethostname, setresgid, setresuid};

use super::complain;
use super::inner::{Broken, at};
use crate::local::wire::Spec;

/// What `/tmp` and `/dev/shm` can hold. They are memory, and nothing else bounds it.
const TMP: &str = "size=64m,mode=1777";
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
const NOTHING: Option<&str> = None;

/// Builds the room and moves in.
pub(super) fn build(spec: &Spec) -> Result<(), Broken> {
    let root = spec.root.as_path();
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // A mount namespace of our own, not the supervisor's: pivot_root(2) moves every process of its namespace, and the
    // supervisor has records to write outside.
    unshare(CloneFlags::CLONE_NEWNS).map_err(at("entering a new mount namespace"))?;
    // Nothing we mount is seen outside.
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)
        .map_err(at("making mounts private"))?;
    mount(Some(root), root, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING).map_err(at("mounting the root"))?;
    for place in ["proc", "dev", "tmp"] {
        require_folder(&root.join(place))?;
    }
    mount(Some("tmpfs"), &root.join("tmp"), Some("tmpfs"), quiet, Some(TMP)).map_err(at("mounting /tmp"))?;
    build_dev(&root.join("dev"))?;
    if let Err(errno) = mount(Some("proc"), &root.join("proc"), Some("proc"), quiet, NOTHING) {
        // Inside a container whose own /proc is masked the kernel refuses a fresh one to users. An empty /proc hides the other
        // processes as well, and most programs do without.
        complain(&format!("/proc stays empty: {errno}"));
    }
    sethostname(&spec.hostname).map_err(at("setting the host name"))?;
    // "pivot_root(".", ".")" (pivot_root(2)): the old root comes to lie over the new one, and is taken off.
    chdir(root).map_err(at("entering the root"))?;
    pivot_root(".", ".").map_err(at("changing the root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(at("leaving the old root"))?;
    chdir("/").map_err(at("entering the root"))?;
    make_read_only("/", MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    make_read_only("/dev", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC)
}

/// The image must not choose where we mount: a link in the place of `/dev` leads elsewhere.
fn require_folder(path: &Path) -> Result<(), Broken> {
    let real = path.symlink_metadata().map_err(at("looking for /dev, /proc and /tmp"))?.is_dir();
    if real { Ok(()) } else { Err(at("looking for /dev, /proc and /tmp")(io::Error::from(Errno::ENOTDIR))) }
}

fn build_dev(dev: &Path) -> Result<(), Broken> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), dev, Some("tmpfs"), flags, Some("size=64k,mode=755")).map_err(at("mounting /dev"))?;
    for device in DEVICES {
        // Bound, not made: making a device needs rights that a user does not have even in a namespace of his own.
        let place = dev.join(device);
        File::create(&place).map_err(at("filling /dev"))?;
        mount(Some(&Path::new("/dev").join(device)), &place, NOTHING, MsFlags::MS_BIND, NOTHING)
            .map_err(at("filling /dev"))?;
    }
    for (name, target) in LINKS {
        symlink(target, dev.join(name)).map_err(at("filling /dev"))?;
    }
    let shm = dev.join("shm");
    fs::create_dir(&shm).map_err(at("filling /dev"))?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), &shm, Some("tmpfs"), quiet, Some(TMP)).map_err(at("mounting /dev/shm"))
}

fn make_read_only(path: &str, flags: MsFlags) -> Result<(), Broken> {
    let mut flags = flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    // A user namespace may not take off what the mount it was copied from had (mount_namespaces(7), locked flags).
    if statvfs(path).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOEXEC)) {
        flags |= MsFlags::MS_NOEXEC;
    }
    mount(NOTHING, path, NOTHING, flags, NOTHING).map_err(at("making the root read-only"))
}

/// After this there is no way back to any right, for us and for everything we start.
pub(super) fn give_up_rights(spec: &Spec) -> Result<(), Broken> {
    let no_right = |error| at("giving up rights")(io::Error::other(error));
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(at("forbidding core dumps"))?;
    caps::clear(None, CapSet::Bounding).map_err(no_right)?;
    if geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(spec.uid), Gid::from_raw(spec.gid));
        setgroups(&[]).map_err(at("giving up groups"))?;
        setresgid(gid, gid, gid).map_err(at("changing the group"))?;
        setresuid(uid, uid, uid).map_err(at("changing the user"))?;
    }
    // The effective ones first: they may not exceed the permitted ones.
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(no_right)?;
    }
    set_no_new_privs().map_err(at("forbidding new rights"))?;
    // The release has our user id: it shall not look into us, nor reach our executable through /proc/1/exe (CVE-2019-5736).
    set_dumpable(false).map_err(at("closing ourselves off"))?;
    prove(spec)
}

/// Trusts none of the above: the release is started only if everything is really gone.
fn prove(spec: &Spec) -> Result<(), Broken> {
    let mut left: CapsHashSet = CapsHashSet::new();
    for set in [CapSet::Bounding, CapSet::Permitted, CapSet::Effective, CapSet::Inheritable, CapSet::Ambient] {
        left.extend(
            caps::read(None, set).map_err(|error| at("proving that no right is left")(io::Error::other(error)))?,
        );
    }
    let user = geteuid();
    if !left.is_empty() || user.is_root() || user.as_raw() != spec.uid {
        return Err(at("proving that no right is left")(io::Error::from(Errno::EPERM)));
    }
    Ok(())
}
