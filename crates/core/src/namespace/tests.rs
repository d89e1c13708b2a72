//! The contract's table of aliases, row by row, in both layouts.

use std::path::{Path, PathBuf};

use super::{Dead, Facts, Namespace, PlaceError, Present, Tree};
use crate::code::Code;
use crate::layout::{Layout, Profile};
use crate::reference::{Host, Where};

fn place(text: &str) -> Where {
    Where::parse(text).expect(text)
}

fn present(name: &str, at: &str, inner: bool) -> Present {
    Present {
        place: place(name),
        at: at.into(),
        inner,
    }
}

/// A client at 10.0.0.20, the manager at 10.0.0.1, in the usual places.
fn client() -> Facts {
    Facts {
        layout: Layout::new(Profile::OpenGnsys, None, None).unwrap(),
        addresses: vec!["10.0.0.20".parse().unwrap(), "fd00::20".parse().unwrap()],
        hostname: Some(Host::parse("pc20").unwrap()),
        serving: None,
        manager: vec![
            Host::parse("10.0.0.1").unwrap(),
            Host::parse("ogserver").unwrap(),
        ],
        present: vec![
            present("10.0.0.1", "/opt/opengnsys/images/10.0.0.1", false),
            present("localhost", "/opt/opengnsys/images/localhost", true),
            present("10.0.0.9", "/opt/opengnsys/images/10.0.0.9", true),
            present("USB-Tools", "/mnt/USB-Tools", false),
        ],
        viewed: Vec::new(),
        dead: Vec::new(),
    }
}

/// The manager itself: a flat root.
fn server() -> Facts {
    Facts {
        addresses: vec!["10.0.0.1".parse().unwrap()],
        hostname: Some(Host::parse("ogserver").unwrap()),
        serving: Some("/opt/opengnsys/images".into()),
        manager: Vec::new(),
        present: vec![present(
            "localhost",
            "/opt/opengnsys/images/localhost",
            true,
        )],
        ..client()
    }
}

fn eac() -> Facts {
    Facts {
        layout: Layout::new(Profile::Eac, Some("eac"), None).unwrap(),
        present: vec![
            present("REPO", "/var/opt/eac/hdimages", false),
            present("CACHE", "/mnt/sda4", true),
            present("nas", "/mnt/nas", false),
        ],
        ..client()
    }
}

fn path(facts: &Facts, text: &str) -> Result<PathBuf, PlaceError> {
    let namespace = Namespace::new(facts.clone());
    namespace.resolve(&place(text)).map(|tree| tree.path())
}

fn paths(facts: &Facts, names: &[&str], at: &str) {
    for name in names {
        assert_eq!(path(facts, name), Ok(at.into()), "{name}");
    }
}

#[test]
fn on_a_client_own_addresses_mean_the_cache() {
    let facts = client();
    let cache = "/opt/opengnsys/images/localhost/opt/opengnsys/images";
    let names = [
        "CACHE",
        "cache",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "10.0.0.20",
        "[fd00::20]",
        "pc20",
    ];
    paths(&facts, &names, cache);
    let names = ["REPO", "repo", "10.0.0.1", "OGSERVER"];
    paths(&facts, &names, "/opt/opengnsys/images/10.0.0.1");
    let other = "/opt/opengnsys/images/10.0.0.9/opt/opengnsys/images";
    paths(&facts, &["10.0.0.9"], other);
    paths(&facts, &["USB-Tools", "usb-tools"], "/mnt/USB-Tools");
}

#[test]
fn on_the_serving_machine_own_addresses_mean_the_manager() {
    let facts = server();
    let names = ["REPO", "10.0.0.1", "ogserver"];
    paths(&facts, &names, "/opt/opengnsys/images");
    let cache = "/opt/opengnsys/images/localhost/opt/opengnsys/images";
    paths(&facts, &["CACHE", "localhost", "127.0.0.1", "[::1]"], cache);
}

#[test]
fn what_is_not_there_says_where_it_would_be() {
    let mut facts = client();
    let error = path(&facts, "10.0.0.8").unwrap_err();
    assert_eq!(error.code(), Code::PlaceNotMounted);
    assert!(
        error
            .to_string()
            .ends_with("/opt/opengnsys/images/10.0.0.8"),
        "{error}"
    );
    facts.present.clear();
    assert_eq!(
        path(&facts, "REPO").unwrap_err().code(),
        Code::PlaceNotMounted
    );
    facts.manager.clear();
    assert_eq!(path(&facts, "REPO"), Err(PlaceError::NoManager));
    let mut old = eac();
    old.present.clear();
    for name in ["CACHE", "REPO", "nas"] {
        assert_eq!(path(&old, name).unwrap_err().code(), Code::PlaceNotMounted);
    }
}

#[test]
fn a_share_mounted_on_the_root_itself_is_the_manager() {
    let mut facts = client();
    facts.manager.clear();
    facts.present = vec![present("REPO", "/opt/opengnsys/images", false)];
    paths(&facts, &["REPO"], "/opt/opengnsys/images");
}

#[test]
fn of_several_the_proper_one_is_taken_and_else_none() {
    let mut facts = client();
    facts
        .present
        .push(present("CACHE", "/opt/opengnsys/cache", true));
    paths(
        &facts,
        &["cache"],
        "/opt/opengnsys/images/localhost/opt/opengnsys/images",
    );
    facts.present.remove(1);
    paths(
        &facts,
        &["cache"],
        "/opt/opengnsys/cache/opt/opengnsys/images",
    );
    let mut facts = eac();
    facts.present.push(present("CACHE", "/mnt/sdb1", true));
    let error = path(&facts, "CACHE").unwrap_err();
    assert_eq!(error.code(), Code::AmbiguousPlace);
    assert!(error.to_string().contains("/mnt/sda4 or /mnt/sdb1"));
    let mut facts = client();
    for id in ["USB-x", "USB-X"] {
        facts
            .present
            .push(present(id, &format!("/mnt/{id}"), false));
    }
    paths(&facts, &["usb-x"], "/mnt/USB-x");
    facts.present.push(present("USB-xY", "/mnt/USB-xY", false));
    facts.present.push(present("USB-XY", "/mnt/USB-XY", false));
    assert_eq!(
        path(&facts, "USB-xy").unwrap_err().code(),
        Code::AmbiguousPlace
    );
}

fn links(facts: &Facts) -> Vec<(String, String)> {
    let aliases = Namespace::new(facts.clone()).aliases();
    let text = |alias: super::Alias| (alias.name, alias.target.display().to_string());
    aliases.into_iter().map(text).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    let mut pairs: Vec<_> = list.iter().map(owned).collect();
    pairs.sort();
    pairs
}

#[test]
fn links_go_with_what_is_there() {
    let expected = pairs(&[
        ("REPO", "10.0.0.1"),
        ("repo", "10.0.0.1"),
        ("ogserver", "10.0.0.1"),
        ("CACHE", "localhost"),
        ("cache", "localhost"),
        ("127.0.0.1", "localhost"),
        ("[::1]", "localhost"),
        ("10.0.0.20", "localhost"),
        ("[fd00::20]", "localhost"),
        ("USB-Tools", "/mnt/USB-Tools"),
    ]);
    assert_eq!(links(&client()), expected);
    let mut flat = server();
    flat.present.clear();
    let expected = pairs(&[("REPO", "."), ("repo", "."), ("10.0.0.1", ".")]);
    assert_eq!(links(&flat), expected);
    let eac = links(&eac());
    assert!(eac.contains(&("CACHE".into(), "sda4".into())), "{eac:?}");
    assert!(
        eac.contains(&("REPO".into(), "/var/opt/eac/hdimages".into())),
        "{eac:?}"
    );
}

fn value(facts: &Facts, name: &str) -> Option<String> {
    let environment = Namespace::new(facts.clone()).environment();
    let mut found = environment.into_iter().filter(|it| it.name == name);
    let variable = found.next().expect(name);
    assert!(found.next().is_none(), "{name} twice");
    variable.value
}

#[test]
fn variables_and_repoman_make_the_path_of_an_image() {
    let facts = client();
    let repoman = value(&facts, "REPOMAN").unwrap();
    assert_eq!(repoman, "opt/opengnsys/images");
    assert_eq!(
        value(&facts, "CACHE").as_deref(),
        Some("/opt/opengnsys/images/localhost/")
    );
    // Bare trees are seen through a view.
    let repo = value(&facts, "REPO").unwrap();
    assert_eq!(repo, "/opt/opengnsys/images/.azud-view/REPO/");
    let views = Namespace::new(facts.clone()).views();
    let view = &views[0];
    assert_eq!(view.dir.join(&view.inner), Path::new(&(repo + &repoman)));
    assert_eq!(view.target, Path::new("/opt/opengnsys/images/10.0.0.1"));
    assert_eq!(views.len(), 2, "REPO and the stick: {views:?}");
    assert_eq!(value(&facts, "IPSERVIDOR").as_deref(), Some("10.0.0.1"));
    assert_eq!(value(&facts, "IPSERVIDOR_ALT").as_deref(), Some("10.0.0.9"));
    assert_eq!(
        value(&facts, "REPO_10_0_0_9").as_deref(),
        Some("/opt/opengnsys/images/10.0.0.9/")
    );
    assert_eq!(value(&facts, "USB"), value(&facts, "USB_Tools"));
    assert_eq!(value(&facts, "DVD"), None);
    assert_eq!(value(&server(), "IPSERVIDOR").as_deref(), Some("10.0.0.1"));
}

#[test]
fn what_leads_through_a_missing_view_has_no_value() {
    let namespace = Namespace::new(client());
    let whole = namespace.environment();
    let some = namespace.environment_where(&|_| false);
    for (whole, some) in whole.iter().zip(&some) {
        assert_eq!(whole.name, some.name);
        let by_view = ["REPO", "USB", "USB_Tools"].contains(&whole.name.as_str());
        let kept = whole.value.as_ref().filter(|_| !by_view);
        assert_eq!(some.value.as_ref(), kept, "{}", whole.name);
    }
}

#[test]
fn variables_of_the_older_layout() {
    let facts = eac();
    let (repo, cache) = (value(&facts, "REPO"), value(&facts, "CACHE"));
    assert_eq!(repo.as_deref(), Some("/var/opt/eac/hdimages"));
    assert_eq!(cache.as_deref(), Some("/mnt/sda4"));
    let tree = path(&facts, "CACHE").unwrap();
    assert_eq!(Path::new(&(cache.unwrap() + &repo.unwrap())), tree);
    assert_eq!(value(&facts, "REPO_nas").as_deref(), Some("/mnt/nas"));
    // With another root `$CACHE$REPO` needs a view.
    let root = Some(Path::new("/srv/img"));
    let mut moved = facts;
    moved.layout = Layout::new(Profile::Eac, Some("eac"), root).unwrap();
    moved.present[0].at = "/srv/img".into();
    let views = Namespace::new(moved.clone()).views();
    assert_eq!(views.len(), 1, "{views:?}");
    let joined = value(&moved, "CACHE").unwrap() + &value(&moved, "REPO").unwrap();
    assert_eq!(views[0].dir.join(&views[0].inner), Path::new(&joined));
    assert_eq!(views[0].target, Path::new("/mnt/sda4/var/opt/eac/hdimages"));
}

#[test]
fn names_of_variables_never_meet() {
    let mut facts = client();
    for id in ["USB-a.b", "USB-a-b", "USB-ñ"] {
        facts.present.push(present(id, &format!("/mnt/{id}"), true));
    }
    facts.present.push(present("fd00::9", "/x", true));
    assert!(value(&facts, "USB_a_b_2").is_some());
    assert!(value(&facts, "USB__").is_some());
    assert!(value(&facts, "REPO_fd00__9").is_some());
}

#[test]
fn paths_are_traced_back_to_their_tree() {
    let namespace = Namespace::new(server());
    let image = Path::new("/opt/opengnsys/images/localhost/opt/opengnsys/images/a/b.img");
    let (Tree { place, .. }, rest) = namespace.tree_of(image).unwrap();
    assert_eq!((place, rest), (Where::Cache, Path::new("a/b.img")));
    let image = Path::new("/opt/opengnsys/images/a/b.img");
    let (Tree { place, .. }, rest) = namespace.tree_of(image).unwrap();
    assert_eq!((place, rest), (Where::Manager, Path::new("a/b.img")));
    assert!(namespace.tree_of(Path::new("/home/x.img")).is_none());
}

fn dead(name: &str, at: &str, gone: bool) -> Dead {
    Dead {
        place: place(name),
        at: at.into(),
        gone,
    }
}

#[test]
fn a_dead_repository_is_told_and_the_others_go_on() {
    let root = "/opt/opengnsys/images";
    let mut facts = client();
    facts.present.remove(0);
    facts.present.pop();
    facts.dead = vec![
        dead("10.0.0.1", &format!("{root}/10.0.0.1"), false),
        dead("USB-Tools", "/mnt/USB-Tools", true),
    ];
    let code = |facts: &Facts, name: &str| path(facts, name).map_err(|error| error.code());
    for name in ["REPO", "10.0.0.1", "ogserver"] {
        assert_eq!(code(&facts, name), Err(Code::PlaceSilent), "{name}");
    }
    assert_eq!(code(&facts, "USB-tools"), Err(Code::PlaceGone));
    assert_eq!(code(&facts, "USB-other"), Err(Code::PlaceNotMounted));
    paths(
        &facts,
        &["10.0.0.9"],
        &format!("{root}/10.0.0.9/opt/opengnsys/images"),
    );
    let namespace = Namespace::new(facts.clone());
    // The server may come back: its names stay. The stick will not: its name goes, and so do all variables.
    let aliases = namespace.aliases();
    let target = |name: &str| {
        aliases
            .iter()
            .find(|it| it.name == name)
            .map(|it| &it.target)
    };
    assert_eq!(target("REPO"), Some(&"10.0.0.1".into()));
    assert_eq!(target("USB-Tools"), None);
    for variable in namespace.environment() {
        let unset = matches!(variable.name.as_str(), "REPO" | "USB");
        assert!(!unset || variable.value.is_none(), "{variable:?}");
    }
    assert!(namespace.check_base().is_ok());

    // The manager's share is the root itself: nothing in it can be looked at, but media lie elsewhere.
    facts.present = vec![present("USB-b", "/mnt/USB-b", false)];
    facts.dead = vec![dead("REPO", root, false)];
    for name in ["REPO", "10.0.0.9", "CACHE"] {
        assert_eq!(code(&facts, name), Err(Code::PlaceSilent), "{name}");
    }
    paths(&facts, &["USB-b"], "/mnt/USB-b");
    assert!(Namespace::new(facts).check_base().is_err());
}

#[test]
fn a_view_of_a_manager_is_named_for_other_programs_alone() {
    let mut facts = client();
    let view = facts.present.remove(0);
    let nas = present("10.0.0.8", "/opt/opengnsys/images/10.0.0.8", false);
    facts.viewed = vec![view, nas];
    let namespace = Namespace::new(facts.clone());
    for name in ["REPO", "10.0.0.1", "10.0.0.8"] {
        let error = path(&facts, name).unwrap_err();
        assert_eq!(error.code(), Code::PlaceNotMounted, "{name}");
    }
    let variables = namespace.environment();
    let value = |name: &str| {
        let found = variables.iter().find(|variable| variable.name == name);
        found.and_then(|variable| variable.value.clone())
    };
    let views = "/opt/opengnsys/images/.azud-view";
    assert_eq!(value("REPO"), Some(format!("{views}/REPO/")));
    assert_eq!(value("REPO_10_0_0_8"), Some(format!("{views}/10.0.0.8/")));
    let leads = namespace
        .views()
        .into_iter()
        .find(|view| view.dir.ends_with("REPO") && view.target.ends_with("images/10.0.0.1"));
    assert!(leads.is_some(), "{:?}", namespace.views());
    let aliases = namespace.aliases();
    let repo = aliases.iter().find(|alias| alias.name == "REPO");
    assert_eq!(
        repo.map(|alias| alias.target.as_path()),
        Some(Path::new("10.0.0.1"))
    );
    // What is mounted as files goes first.
    facts.present.push(present("ogserver", "/mnt/og", false));
    let files = Namespace::new(facts).views();
    assert!(files.iter().any(|view| view.target == Path::new("/mnt/og")));
    assert!(!files.iter().any(|view| view.target.ends_with("10.0.0.1")));
}
