use super::*;

fn digest(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

fn image(name: &str, created: Option<i64>) -> Found {
    let tags = vec![name.parse().unwrap()];
    Found { digest: digest(name), tags, created: created.map(Timestamp::from_seconds), children: Vec::new() }
}

fn index(name: &str, created: i64, children: &[&str]) -> Found {
    Found { children: children.iter().map(|child| digest(child)).collect(), ..image(name, Some(created)) }
}

fn named(names: &[&str]) -> Named {
    let releases = names.iter().map(|name| (digest(name), vec!["production".to_owned()])).collect();
    Named { releases, ..Named::default() }
}

fn pins(names: &[&str]) -> BTreeSet<Tag> {
    names.iter().map(|name| keep_tag(&digest(name)).unwrap()).collect()
}

/// `name: why`, in order; what may go is `-name`.
fn shown(found: Vec<Found>, named: &Named, pins: &BTreeSet<Tag>, keep: usize) -> Vec<String> {
    let sorted = sort(found, named, pins, keep).unwrap();
    let stay = sorted.stay.iter().map(|(found, why)| format!("{}: {why}", found.tags[0]));
    stay.chain(sorted.go.iter().map(|found| format!("-{}", found.tags[0]))).collect()
}

#[test]
fn the_newest_stay_and_the_rest_goes() {
    let found = vec![image("a", Some(1)), image("c", Some(3)), image("b", Some(2)), image("d", Some(4))];
    let expected = ["d: one of the newest", "c: one of the newest", "-b", "-a"];
    assert_eq!(shown(found, &Named::default(), &BTreeSet::new(), 2), expected);
}

#[test]
fn what_a_journal_names_stays_and_does_not_count_among_the_newest() {
    let found = vec![image("a", Some(1)), image("b", Some(2)), image("c", Some(3)), image("d", None)];
    let expected = ["d: does not say when it was made", "c: named by production", "b: one of the newest", "-a"];
    assert_eq!(shown(found.clone(), &named(&["c"]), &BTreeSet::new(), 1), expected);
    // The oldest of all, named years ago.
    assert!(!shown(found, &named(&["a"]), &BTreeSet::new(), 1).contains(&"-a".to_owned()));
}

#[test]
fn a_pin_that_no_journal_names_may_be_a_promotion_under_way() {
    let found = vec![image("a", Some(1)), image("b", Some(2))];
    assert_eq!(shown(found, &Named::default(), &pins(&["a"]), 1), ["b: one of the newest", "a: pinned"]);
}

#[test]
fn an_index_and_its_images_stay_together() {
    let amd = image("amd64", Some(1));
    let found = vec![amd.clone(), index("all", 1, &["amd64", "arm64"]), image("new", Some(9))];
    let short = digest("all").short().to_owned();
    // The index is named: its image stays, under whatever tag of its own.
    let all = shown(found.clone(), &named(&["all"]), &BTreeSet::new(), 1);
    assert!(all.contains(&format!("amd64: part of {short}")), "{all:?}");
    // An image of it is named: the index stays.
    let all = shown(found.clone(), &named(&["arm64"]), &BTreeSet::new(), 1);
    assert!(!all.iter().any(|line| line.starts_with('-')), "{all:?}");
    // Nothing names them.
    let all = shown(found, &Named::default(), &BTreeSet::new(), 1);
    assert_eq!(all.iter().filter(|line| line.starts_with('-')).count(), 2, "{all:?}");
    // An index of indexes, whichever order they are found in.
    let nested = vec![index("outer", 1, &["all"]), index("all", 1, &["amd64"]), amd, image("new", Some(9))];
    let all = shown(nested, &named(&["outer"]), &BTreeSet::new(), 1);
    assert!(!all.iter().any(|line| line.starts_with('-')), "{all:?}");
}

#[test]
fn a_person_s_own_keep_tag_holds() {
    let kept = Found { tags: vec!["1.0.0".parse().unwrap(), "keep-audit".parse().unwrap()], ..image("a", Some(1)) };
    let found = vec![kept, image("b", Some(2))];
    assert_eq!(shown(found, &Named::default(), &BTreeSet::new(), 1), ["b: one of the newest", "1.0.0: pinned"]);
}

#[test]
fn an_image_of_a_named_index_that_has_no_tag_any_more_stays() {
    // `release` lists `arm64`, and so does `other`, which may go.
    let mut named = named(&["release"]);
    named.parts.insert(digest("arm64"), digest("release"));
    let found = vec![image("arm64", Some(1)), index("other", 1, &["arm64"]), image("new", Some(9))];
    let part = format!("arm64: part of {}", digest("release").short());
    assert_eq!(shown(found, &named, &BTreeSet::new(), 1), ["new: one of the newest", &part, "-other"]);
}

#[test]
fn an_index_of_an_index_of_a_named_image_stays_whichever_comes_first() {
    for (outer, inner) in [("o1", "i1"), ("o2", "i2"), ("o3", "i3"), ("o4", "i4")] {
        let found = vec![index(outer, 1, &[inner]), index(inner, 1, &["image"]), image("new", Some(9))];
        let all = shown(found, &named(&["image"]), &BTreeSet::new(), 1);
        assert!(!all.iter().any(|line| line.starts_with('-')), "{all:?}");
    }
}
