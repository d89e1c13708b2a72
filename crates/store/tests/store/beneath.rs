//! Names in a repository: found as they are written, never outside, whatever was planted there.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;

use azud_core::code::Code;
use azud_core::reference::{Folder, SubPath};
use azud_store::beneath::{Beneath, Way};
use azud_store::tree::Tree;

const WAYS: [Way; 2] = [Way::Kernel, Way::Steps];

/// A repository beside a secret, with links of every kind.
fn planted() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("repo");
    fs::create_dir_all(top.join("aula1/deep")).unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    fs::write(dir.path().join("out/secret.img"), "secret").unwrap();
    fs::write(top.join("aula1/win.img"), "win").unwrap();
    let link = |target: &str, name: &str| symlink(target, top.join(name)).unwrap();
    link("aula1", "inside");
    link("../aula1/./deep/../win.img", "aula1/again.img");
    link("../out", "up");
    link("../../out/secret.img", "aula1/up.img");
    let absolute = dir.path().join("out");
    link(absolute.to_str().unwrap(), "absolute");
    link("../repo/aula1", "round");
    link("loop", "loop");
    link("nowhere", "dangling");
    link("/proc/self/root", "magic");
    dir
}

fn code_of(beneath: &Beneath, sub: &str) -> Result<String, Code> {
    let read = |mut file: fs::File| {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    };
    let opened = beneath.open_file(Path::new(sub));
    opened.map(read).map_err(|error| error.code())
}

#[test]
fn links_are_followed_inside_only() {
    let dir = planted();
    for way in WAYS {
        let beneath = Beneath::open_by(&dir.path().join("repo"), way).unwrap();
        for sub in [
            "aula1/win.img",
            "inside/win.img",
            "aula1/again.img",
            "inside/again.img",
            "inside/deep/../win.img",
        ] {
            assert_eq!(
                code_of(&beneath, sub),
                Ok("win".to_owned()),
                "{way:?} {sub}"
            );
        }
        for sub in [
            "up/secret.img",
            "aula1/up.img",
            "absolute/secret.img",
            "round/win.img",
            "../out/secret.img",
            "aula1/../../out/secret.img",
            "/etc/passwd",
            "magic/etc/passwd",
        ] {
            assert_eq!(code_of(&beneath, sub), Err(Code::Outside), "{way:?} {sub}");
        }
        assert_eq!(code_of(&beneath, "dangling"), Err(Code::NotFound));
        assert_eq!(code_of(&beneath, "aula1/none"), Err(Code::NotFound));
        assert_eq!(code_of(&beneath, "loop"), Err(Code::Io), "{way:?}");
        assert_eq!(code_of(&beneath, "aula1"), Err(Code::NotAFile));
        assert_eq!(code_of(&beneath, "aula1/win.img/x"), Err(Code::NotAFile));
    }
}

#[test]
fn folders_are_made_inside_only() {
    let names = |text: &str| Folder::parse(text).unwrap().components().to_vec();
    for way in WAYS {
        let dir = planted();
        let beneath = Beneath::open_by(&dir.path().join("repo"), way).unwrap();
        let made = beneath.make_dirs(&names("inside/new/er")).unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        assert_eq!(made, real.join("repo/aula1/new/er"), "{way:?}");
        beneath.make_dirs(&names("inside/new/er")).unwrap();
        for sub in ["up/new", "absolute/new", "magic/tmp/azud-new"] {
            let error = beneath.make_dirs(&names(sub)).unwrap_err();
            assert_eq!(error.code(), Code::Outside, "{way:?} {sub}");
        }
        assert!(beneath.make_dirs(&names("dangling/new")).is_err());
        assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 1);
    }
}

fn spot(tree: &Tree, text: &str) -> Result<(String, bool, bool), Code> {
    let found = tree.spot(&SubPath::parse(text).unwrap());
    found
        .map(|spot| (spot.image.to_string(), spot.exists, spot.missing))
        .map_err(|error| error.code())
}

#[test]
fn names_are_found_as_they_are_written() {
    let dir = planted();
    let top = fs::canonicalize(dir.path()).unwrap().join("repo");
    fs::write(top.join("aula1/WIN.img"), "other").unwrap();
    fs::create_dir(top.join("Ñandú")).unwrap();
    for way in WAYS {
        let tree = Tree::beneath(Beneath::open_by(&top, way).unwrap());
        let at = |sub: &str| top.join(sub).display().to_string();
        let there = |sub: &str| Ok((at(sub), true, false));
        assert_eq!(spot(&tree, "aula1/win"), there("aula1/win.img"));
        assert_eq!(spot(&tree, "aula1/WIN"), there("aula1/WIN.img"), "exact");
        assert_eq!(spot(&tree, "inside/win"), there("aula1/win.img"));
        assert_eq!(spot(&tree, "aula1/again"), there("aula1/again.img"));
        let absent = Ok((at("aula1/deb.img"), false, false));
        assert_eq!(spot(&tree, "aula1/deb"), absent);
        let absent = Ok((at("aula1/x/y/deb.img"), false, true));
        assert_eq!(spot(&tree, "aula1/x/y/deb"), absent);
        for (text, code) in [
            ("aula1/Win", Code::CaseTwin),
            ("Aula1/win", Code::CaseTwin),
            ("Aula1/new/win", Code::CaseTwin),
            ("ñANDÚ/win", Code::CaseTwin),
            ("up/secret", Code::Outside),
            ("aula1/up", Code::Outside),
            ("absolute/x", Code::Outside),
            ("aula1/win.img/x", Code::NotAFile),
        ] {
            assert_eq!(spot(&tree, text), Err(code), "{way:?} {text}");
        }
        let twin = tree.spot(&SubPath::parse("AULA1/x").unwrap()).unwrap_err();
        assert!(twin.to_string().contains("\"aula1\" is there"), "{twin}");
        let folder = |text: &str| tree.folder(&Folder::parse(text).unwrap());
        assert_eq!(folder("inside/deep").unwrap(), top.join("aula1/deep"));
        assert_eq!(folder("").unwrap(), top);
        assert_eq!(folder("up").unwrap_err().code(), Code::Outside);
        assert_eq!(folder("none").unwrap_err().code(), Code::NotFound);
        let made = tree.make_folder(&Folder::parse("AULA1/x").unwrap());
        assert_eq!(made.unwrap_err().code(), Code::CaseTwin);
    }
}

#[test]
fn a_medium_cannot_lead_its_tree_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let inner = Path::new("opt/opengnsys/images");
    let stick = dir.path().join("stick");
    fs::create_dir_all(stick.join("opt")).unwrap();
    symlink("/var", stick.join("opt/opengnsys")).unwrap();
    let error = Tree::open(&stick, inner).unwrap_err();
    assert_eq!(error.code(), Code::Outside);
    fs::remove_file(stick.join("opt/opengnsys")).unwrap();
    fs::create_dir_all(stick.join(inner)).unwrap();
    assert!(Tree::open(&stick, inner).is_ok());
}
