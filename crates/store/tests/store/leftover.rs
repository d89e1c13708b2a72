//! What killed runs left is told and not touched.

use std::fs;
use std::time::{Duration, SystemTime};

use azud_store::leftover::{Standing, leftovers};
use azud_store::recover::recover;

use crate::common::{age_stages, ended, names, owner};

#[test]
fn what_lies_about_is_told_by_how_it_stands() {
    let tree = tempfile::tempdir().unwrap();
    let stage = |path: &str, files: &[(&str, &str)]| {
        let dir = tree.path().join(path);
        fs::create_dir_all(&dir).unwrap();
        for (name, text) in files {
            fs::write(dir.join(name), text).unwrap();
        }
    };
    let (dead, alive) = (
        owner(ended()).to_string(),
        owner(std::process::id()).to_string(),
    );
    stage("aula1/.azud-stage-a", &[("owner", &dead)]);
    stage("aula1/deep/.azud-stage-b", &[("owner", &alive)]);
    stage(".azud-stage-c", &[("ready", "{}"), ("owner", &dead)]);
    stage(".azud-stage-d", &[]);
    stage(
        "aula1/.azud-assembly-x.img",
        &[("owner", &dead), ("journal", "")],
    );
    // Another repository, and what is hidden, are none of ours.
    stage("10.0.0.9/.azud-stage-e", &[("owner", &dead)]);
    stage(".hidden/.azud-stage-f", &[("owner", &dead)]);
    let told = |now| {
        let found = leftovers(tree.path(), now).unwrap();
        let short = |path: &std::path::Path| path.strip_prefix(tree.path()).unwrap().to_owned();
        let pairs = found.iter().map(|left| {
            assert!(left.stage.starts_with(&left.dir));
            (short(&left.stage).display().to_string(), left.standing)
        });
        pairs.collect::<Vec<_>>()
    };
    let expected = |made| {
        [
            (".azud-stage-c".to_owned(), Standing::Committed),
            (".azud-stage-d".to_owned(), made),
            ("aula1/.azud-assembly-x.img".to_owned(), Standing::BrokenOff),
            ("aula1/.azud-stage-a".to_owned(), Standing::Abandoned),
            ("aula1/deep/.azud-stage-b".to_owned(), Standing::AtWork),
        ]
    };
    let now = SystemTime::now();
    assert_eq!(told(now), expected(Standing::AtWork));
    let later = now + Duration::from_mins(2);
    assert_eq!(
        told(later),
        expected(Standing::Abandoned),
        "and nothing was removed"
    );
    assert!(leftovers(&tree.path().join("none"), now).is_err());
}

/// NFS keeps a file that is removed while it is open, under a name of its own, and with it the directory.
#[test]
fn what_stayed_because_it_was_open_goes_with_the_next_command() {
    let dir = tempfile::tempdir().unwrap();
    let stage = dir.path().join(".azud-assembly-x.img-0123456789abcdef");
    fs::create_dir(&stage).unwrap();
    let open = stage.join(".nfs000000000000000100000001");
    fs::write(&open, "").unwrap();
    age_stages(dir.path());
    recover(dir.path(), SystemTime::now()).unwrap();
    assert!(open.exists(), "it is not ours to remove");
    fs::remove_file(&open).unwrap();
    age_stages(dir.path());
    recover(dir.path(), SystemTime::now()).unwrap();
    assert!(!stage.exists());
}

/// Somebody on another computer, or at the computer whose directory is a share there, has made it and is about to sign.
#[test]
fn what_may_just_be_in_the_making_is_not_cleared_away() {
    for signing in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let stage = dir.path().join(".azud-stage-x.img-0123456789abcdef");
        fs::create_dir(&stage).unwrap();
        if signing {
            fs::write(stage.join("owner"), "").unwrap();
        }
        // Clocks of two computers differ: what counts is that of the one whose directory it is.
        let later = SystemTime::now() + Duration::from_hours(2);
        let recovery = recover(dir.path(), later).unwrap();
        assert_eq!((recovery.removed, recovery.left.len()), (0, 1));
        assert_eq!(names(dir.path()).len(), 1 + usize::from(signing));
        age_stages(dir.path());
        assert_eq!(recover(dir.path(), later).unwrap().removed, 1);
        assert_eq!(names(dir.path()), [""; 0]);
    }
}
