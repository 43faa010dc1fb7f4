use super::{Glob, Keys, LabelPattern, Selector, Subject};
use crate::{
    enforcer::Protected,
    inventory::{Identity, Kind},
    runtimes::Runtime,
};

fn container() -> Identity {
    Identity {
        name: "shop-api-1".into(),
        image: "registry.example/shop/api:2".into(),
        runtime: "docker".into(),
        project: "shop".into(),
        service: "api".into(),
        ..Identity::cgroup("/docker/4f".into(), Kind::Container)
    }
}

fn globs(patterns: &[&str]) -> Vec<Glob> {
    patterns.iter().map(|pattern| Glob::new(pattern).expect(pattern)).collect()
}

fn label(key: &str, value: Option<&str>) -> LabelPattern {
    LabelPattern { key: key.into(), value: value.map(|value| Glob::of_value(value).expect(value)) }
}

fn selects(keys: Keys) -> bool {
    let labels = [("tier".to_owned(), "web-1".to_owned()), ("empty".to_owned(), String::new())];
    Selector::Keys(keys.into()).matches(&Subject::new(&container(), &labels, None))
}

#[test]
fn each_key_is_held_against_its_own_name() {
    let no = Keys::default;
    for (keys, expected) in [
        (Keys { names: globs(&["shop-*"]), ..no() }, true),
        (Keys { names: globs(&["shop"]), ..no() }, false),
        (Keys { images: globs(&["*/api:?"]), ..no() }, true),
        (Keys { images: globs(&["api:2"]), ..no() }, false),
        (Keys { runtimes: vec![Runtime::Podman, Runtime::Docker], ..no() }, true),
        (Keys { runtimes: vec![Runtime::Crio], ..no() }, false),
        (Keys { projects: globs(&["shop"]), ..no() }, true),
        (Keys { projects: globs(&["api"]), ..no() }, false),
        (Keys { services: globs(&["a?i"]), ..no() }, true),
        (Keys { services: globs(&["shop"]), ..no() }, false),
        (Keys { cgroups: globs(&["/docker/*"]), ..no() }, true),
        (Keys { cgroups: globs(&["/docker"]), ..no() }, false),
        (Keys { labels: vec![vec![label("tier", None)]], ..no() }, true),
        (Keys { labels: vec![vec![label("tier", Some("web*"))]], ..no() }, true),
        (Keys { labels: vec![vec![label("tier", Some("web"))]], ..no() }, false),
        (Keys { labels: vec![vec![label("tier", Some(""))]], ..no() }, false),
        (Keys { labels: vec![vec![label("empty", Some(""))]], ..no() }, true),
        (Keys { labels: vec![vec![label("empty", Some("*"))]], ..no() }, true),
        (Keys { labels: vec![vec![label("empty", Some("?*"))]], ..no() }, false),
        (Keys { labels: vec![vec![label("none", None)]], ..no() }, false),
        (Keys { labels: vec![vec![label("none", Some("*"))]], ..no() }, false),
        (no(), false),
    ] {
        assert_eq!(selects(keys.clone()), expected, "{keys:?}");
    }
}

#[test]
fn all_keys_must_match_and_one_of_each_list() {
    let (yes, no) = (["x", "shop*"], ["x", "y"]);
    for bits in 0..8_u8 {
        let list = |bit: u8| globs(if bits & bit == 0 { &yes } else { &no });
        let keys = Keys { names: list(1), projects: list(2), services: globs(&["api"]), ..Keys::default() };
        let tiers = if bits & 4 == 0 { "web-1" } else { "db" };
        let labels = vec![vec![label("none", None), label("tier", Some(tiers))], vec![label("empty", None)]];
        assert_eq!(selects(Keys { labels, ..keys }), bits == 0, "{bits}");
    }
}

#[test]
fn what_it_does_not_have_matches_nothing() {
    let unresolved = Identity::cgroup("/docker/4f".into(), Kind::Unresolved);
    let subject = Subject::new(&unresolved, &[], None);
    let any = globs(&["*"]);
    for keys in [
        Keys { names: any.clone(), ..Keys::default() },
        Keys { images: any.clone(), ..Keys::default() },
        Keys { projects: any.clone(), ..Keys::default() },
        Keys { services: any.clone(), ..Keys::default() },
    ] {
        assert!(!Selector::Keys(keys.into()).matches(&subject));
    }
    assert!(Selector::All.matches(&subject));
    assert!(Selector::Keys(Keys { cgroups: any, ..Keys::default() }.into()).matches(&subject));
}

#[test]
fn cgroups_that_are_no_container_are_reached_by_their_path_alone() {
    let path = Selector::Keys(Keys { cgroups: globs(&["*"]), ..Keys::default() }.into());
    for (kind, all, by_path) in [
        (Kind::Container, true, true),
        (Kind::Unresolved, true, true),
        (Kind::Cgroup, false, true),
        (Kind::Other, false, false),
    ] {
        let identity = Identity { kind, ..container() };
        let subject = Subject::new(&identity, &[], None);
        assert_eq!(Selector::All.matches(&subject), all, "{kind:?}");
        assert_eq!(path.matches(&subject), by_path, "{kind:?}");
        let name = Keys { names: globs(&["*"]), ..Keys::default() };
        assert_eq!(Selector::Keys(name.into()).matches(&subject), all, "{kind:?}");
    }
}

#[test]
fn one_covers_another_where_that_is_certain() {
    let keys = |names: &[&str], cgroups: &[&str]| {
        Selector::Keys(Keys { names: globs(names), cgroups: globs(cgroups), ..Keys::default() }.into())
    };
    for (one, other, expected) in [
        (Selector::All, Selector::All, true),
        (Selector::All, keys(&["a"], &[]), true),
        (Selector::All, keys(&["a"], &["/x"]), false),
        (keys(&["a"], &[]), keys(&["a"], &[]), true),
        (keys(&["a"], &[]), keys(&["b"], &[]), false),
        (keys(&["*"], &[]), Selector::All, false),
    ] {
        assert_eq!(one.covers(&other), expected, "{one:?} {other:?}");
    }
}

#[test]
fn it_tells_which_labels_it_looks_at() {
    let labels = vec![vec![label("a", None), label("b", Some("x"))], vec![label("c", None)]];
    let selector = Selector::Keys(Keys { labels, ..Keys::default() }.into());
    assert_eq!(selector.label_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(Selector::All.label_keys().count(), 0);
}

#[test]
fn a_subject_is_its_identity() {
    let identity = container();
    let subject = Subject::new(&identity, &[], Some(Protected::Init));
    assert_eq!((subject.id, subject.name, subject.runtime), ("/docker/4f", "shop-api-1", "docker"));
    assert_eq!(
        (subject.image, subject.project, subject.service),
        ("registry.example/shop/api:2", "shop", "api")
    );
    assert_eq!(subject.protected, Some(Protected::Init));
}
