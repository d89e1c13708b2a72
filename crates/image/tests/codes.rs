//! The document names every code that the engine gives, and none that it does not.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use azud_core::code::{self, Code};

/// What the engine says without the parts that are tests.
fn sources(dir: &Path) -> io::Result<String> {
    let mut all = String::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            all += &sources(&path)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path)?;
            all += text.split("#[cfg(test)]").next().unwrap_or_default();
        }
    }
    Ok(all)
}

#[test]
fn the_format_document_names_the_codes_of_the_engine() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = ["src", "../core/src/format"].map(|dir| sources(&here.join(dir)).unwrap());
    let text = text.concat();
    let names = text.split("Code::").skip(1);
    let names = names.map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap());
    let names: BTreeSet<&str> = names.collect();
    let given = Code::ALL.iter().copied();
    let given = given.filter(|code| names.contains(format!("{code:?}").as_str()));
    let kinds = [
        io::ErrorKind::StorageFull,
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::NotFound,
        io::ErrorKind::ResourceBusy,
        io::ErrorKind::Other,
    ];
    let system = kinds.map(|kind| code::of_io(&kind.into()));
    let given: BTreeSet<&str> = given.chain(system).map(Code::as_str).collect();
    let document = fs::read_to_string(here.join("../../docs/formats/image.md")).unwrap();
    let section = document.split("\n## 7. ").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let words = section.split('`').skip(1).step_by(2);
    let named: BTreeSet<&str> = words.filter(|word| word.parse::<Code>().is_ok()).collect();
    assert!(given.len() > 15, "{given:?}");
    assert_eq!(given, named);
}
