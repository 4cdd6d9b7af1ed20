//! Every state in which a power cut may leave a disk.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::volume::{Disk, FileNode, Id, Names, Node, Pending, ROOT};

/// Beyond this many changes in flight the registry would not sync as it should; and the enumeration would not end.
const IN_FLIGHT: usize = 12;

/// Calls `visit` with each state that may be found after a power cut at the moment `disk`.
///
/// Complete for what [`Disk`] tells apart: each subset of the folder changes that are not durable; and for each file that can
/// then be reached, with bytes that are not durable: none of these, half of them, all of them, and as many zeros. What concerns
/// only `tmp` and `uploads` is not varied: it is swept unread.
pub(crate) fn after_power_cut(disk: &Disk, visit: &mut dyn FnMut(Disk)) {
    let swept: Vec<Id> = folder(disk, ROOT).iter().filter(|(name, _)| is_swept(name)).map(|(_, id)| *id).collect();
    let only_swept = |pending: &Pending| pending.edits.iter().all(|(folder, ..)| swept.contains(folder));
    let varied: Vec<usize> = (0..disk.pending.len()).filter(|i| !only_swept(&disk.pending[*i])).collect();
    assert!(varied.len() <= IN_FLIGHT, "{} changes in flight: {:?}", varied.len(), disk.pending);
    for mask in 0..1_u32 << varied.len() {
        let mut cut = disk.clone();
        let lost = |i: &usize| varied.iter().position(|v| v == i).is_some_and(|bit| mask & 1 << bit == 0);
        let kept = (0..disk.pending.len()).filter(|i| !lost(i)).map(|i| disk.pending[i].clone()).collect::<Vec<_>>();
        cut.pending.clear();
        cut.make_durable(&kept);
        settle(&mut cut);
        let torn = torn(&cut);
        vary(&cut, &torn, visit);
    }
}

/// What was durable is now what is there.
fn settle(disk: &mut Disk) {
    let mut reached = BTreeMap::new();
    let mut todo = vec![ROOT];
    while let Some(id) = todo.pop() {
        let mut node = disk.nodes[&id].clone();
        if let Node::Folder { durable, seen } = &mut node {
            seen.clone_from(durable);
            todo.extend(durable.values());
        }
        reached.insert(id, node);
    }
    disk.nodes = reached;
}

fn folder(disk: &Disk, id: Id) -> &Names {
    disk.seen(id).unwrap()
}

/// Files that may have been torn, outside of what is swept.
fn torn(disk: &Disk) -> Vec<Id> {
    let mut todo: Vec<Id> = folder(disk, ROOT).iter().filter(|(name, _)| !is_swept(name)).map(|(_, id)| *id).collect();
    let mut torn = Vec::new();
    while let Some(id) = todo.pop() {
        match &disk.nodes[&id] {
            Node::Folder { seen, .. } => todo.extend(seen.values()),
            Node::File(file) if file.durable < file.bytes.len() => torn.push(id),
            Node::File(_) => {}
        }
    }
    torn
}

fn is_swept(name: &str) -> bool {
    matches!(name, "tmp" | "uploads")
}

fn vary(disk: &Disk, torn: &[Id], visit: &mut dyn FnMut(Disk)) {
    let Some((id, rest)) = torn.split_first() else { return visit(disk.clone()) };
    let Node::File(file) = &disk.nodes[id] else { panic!("not a file") };
    let (length, durable) = (file.bytes.len(), file.durable);
    let zeros = [&file.bytes[..durable], &vec![0; length - durable]].concat();
    let half = durable + (length - durable) / 2;
    for bytes in [file.bytes[..durable].to_vec(), file.bytes[..half].to_vec(), file.bytes.to_vec(), zeros] {
        let mut varied = disk.clone();
        let durable = bytes.len();
        varied.nodes.insert(*id, Node::File(FileNode { bytes: Arc::new(bytes), durable, ..file.clone() }));
        vary(&varied, rest, visit);
    }
}

/// The same for two disks that no registry can tell apart.
pub(crate) fn fingerprint(disk: &Disk) -> u64 {
    fn add(disk: &Disk, id: Id, hasher: &mut DefaultHasher) {
        match &disk.nodes[&id] {
            Node::File(file) => file.bytes.hash(hasher),
            Node::Folder { seen, .. } => {
                for (name, id) in seen {
                    name.hash(hasher);
                    if !(name == "tmp" || name == "uploads") || !matches!(disk.nodes[id], Node::Folder { .. }) {
                        add(disk, *id, hasher);
                    }
                }
                seen.len().hash(hasher);
            }
        }
    }
    let mut hasher = DefaultHasher::new();
    add(disk, ROOT, &mut hasher);
    hasher.finish()
}
