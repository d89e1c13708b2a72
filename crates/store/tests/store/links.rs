//! Aliases on disk: made, repaired, withdrawn; never at the cost of somebody's file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use azud_core::code::Code;
use azud_core::namespace::{Alias, View};
use azud_store::durable;
use azud_store::links::{self, Change, apply};

fn alias(name: &str, target: &str) -> Alias {
    Alias {
        name: name.to_owned(),
        target: target.into(),
    }
}

fn view(base: &Path, name: &str, target: &str) -> View {
    View {
        dir: base.join(".azud-view").join(name),
        inner: "opt/opengnsys/images".into(),
        target: target.into(),
    }
}

fn plan(base: &Path, aliases: &[Alias], views: &[View]) -> Vec<Change> {
    links::plan(base, aliases, views).unwrap().changes
}

fn repair(base: &Path, aliases: &[Alias], views: &[View]) -> Vec<Change> {
    let planned = plan(base, aliases, views);
    let changes = links::repair(base, aliases, views).unwrap();
    assert_eq!(changes, planned);
    assert_eq!(plan(base, aliases, views), [], "once is enough");
    changes
}

fn target(path: PathBuf) -> String {
    fs::read_link(path).unwrap().display().to_string()
}

#[test]
fn links_follow_what_is_mounted() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    fs::create_dir(base.join("10.0.0.1")).unwrap();
    let aliases = [alias("REPO", "10.0.0.1"), alias("USB-x", "/mnt/USB-x")];
    let views = [view(base, "REPO", "/there/10.0.0.1")];
    assert_eq!(repair(base, &aliases, &views).len(), 3);
    assert_eq!(target(base.join("REPO")), "10.0.0.1");
    let inner = base.join(".azud-view/REPO/opt/opengnsys/images");
    assert_eq!(target(inner.clone()), "/there/10.0.0.1");
    assert_eq!(repair(base, &aliases, &views), []);

    // The manager moved, the stick was pulled.
    let aliases = [alias("REPO", "10.0.0.2")];
    let changes = repair(base, &aliases, &[view(base, "REPO", "/there/10.0.0.2")]);
    assert_eq!(changes.len(), 3);
    assert_eq!(target(base.join("REPO")), "10.0.0.2");
    assert_eq!(target(inner), "/there/10.0.0.2");
    assert!(!base.join("USB-x").is_symlink());
    let changes = repair(base, &[], &[]);
    assert_eq!(changes.len(), 2, "{changes:?}");
    let left: Vec<_> = fs::read_dir(base)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["10.0.0.1"], "no link, no empty view");
}

#[test]
fn what_is_the_users_stays() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    fs::create_dir(base.join("aula1")).unwrap();
    symlink("aula1", base.join("informatica")).unwrap();
    symlink("/srv/nas/images", base.join("10.0.0.7")).unwrap();
    symlink("../elsewhere", base.join("DVD-mine")).unwrap();
    assert_eq!(plan(base, &[], &[]), []);
    // Under a name that is wanted, a link is ours; a file or directory is not.
    symlink("/somewhere", base.join("REPO")).unwrap();
    repair(base, &[alias("REPO", ".")], &[]);
    assert_eq!(target(base.join("REPO")), ".");
    fs::create_dir(base.join("repo")).unwrap();
    fs::write(base.join("cache"), "mine").unwrap();
    // Whatever cannot be made, the others are.
    let aliases = [alias("CACHE", "."), alias("cache", "."), alias("repo", ".")];
    let error = links::repair(base, &aliases, &[]).unwrap_err();
    assert_eq!(error.code(), Code::AliasTaken);
    assert!(error.to_string().contains("/cache is a file"), "{error}");
    assert_eq!(target(base.join("CACHE")), ".");
    assert_eq!(links::plan(base, &aliases, &[]).unwrap().taken.len(), 2);
    let late = Change::Repoint {
        path: base.join("cache"),
        target: ".".into(),
    };
    let error = apply(base, &[late]).unwrap_err();
    assert_eq!(error.code(), Code::AliasTaken);
    assert_eq!(fs::read(base.join("cache")).unwrap(), b"mine");
    let hidden = |name: &fs::DirEntry| name.file_name().as_encoded_bytes().starts_with(b".");
    assert!(
        !fs::read_dir(base)
            .unwrap()
            .any(|entry| hidden(&entry.unwrap()))
    );
}

#[test]
fn what_a_killed_run_left_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    symlink("10.0.0.1", dir.path().join(".azud-link-123")).unwrap();
    fs::create_dir_all(dir.path().join(".azud-view/REPO/opt")).unwrap();
    let changes = repair(dir.path(), &[], &[]);
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(plan(&dir.path().join("none"), &[], &[]), []);
}

/// Stopped before any step, the next run goes on; `REPO` leads somewhere at every moment.
#[test]
fn kill_at_every_step_of_a_repair() {
    let wanted = |base: &Path| {
        let aliases = [alias("REPO", "10.0.0.2"), alias("cache", "localhost")];
        (aliases, [view(base, "REPO", "/there/10.0.0.2")])
    };
    for stop in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        repair(
            base,
            &[alias("REPO", "10.0.0.1"), alias("USB-x", "/mnt/USB-x")],
            &[view(base, "USB-x", "/mnt/USB-x")],
        );
        let (aliases, views) = wanted(base);
        let mut left = stop;
        let here = base.to_owned();
        durable::set_hook(Some(Box::new(move |_| {
            assert!(here.join("REPO").is_symlink());
            left -= 1;
            if left < 0 {
                return Err(std::io::Error::other("killed"));
            }
            Ok(())
        })));
        let done = links::repair(base, &aliases, &views);
        durable::set_hook(None);
        assert!(base.join("REPO").is_symlink());
        repair(base, &aliases, &views);
        assert_eq!(target(base.join("REPO")), "10.0.0.2");
        assert!(!base.join(".azud-view/USB-x").exists());
        let drafts = fs::read_dir(base).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.as_encoded_bytes().starts_with(b".azud-link")
        });
        assert_eq!(drafts.count(), 0);
        if done.is_ok() {
            assert!(stop > 5, "{stop} steps");
            return;
        }
    }
}
