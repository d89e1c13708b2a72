//! Names that are found whatever their upper and lower case, as OpenGnsys does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Tree;
use crate::error::{Result, StoreError};

impl Tree {
    /// What is there under names from the top down: the exact one alone, else all that differ from it only in case.
    /// The paths are free of links; what leads out of the tree is not there.
    ///
    /// # Errors
    /// [`StoreError::Outside`] for the exact names, [`StoreError::Io`].
    pub fn alike(&self, names: &[String]) -> Result<Vec<PathBuf>> {
        let exact: PathBuf = names.iter().collect();
        match self.top.look_at(&exact) {
            Ok((path, _)) => return Ok(vec![path]),
            Err(StoreError::NotFound(_) | StoreError::NotAFile { .. }) => {}
            Err(error) => return Err(error),
        }
        let found = alike(names, |dir| self.top.names(dir));
        let paths = found.iter().filter_map(|sub| self.top.look_at(sub).ok());
        Ok(paths.map(|(path, _)| path).collect())
    }
}

/// Goes down from a top whose directories `list` reads, by every name that differs in case at most. Directories
/// that cannot be read hold nothing.
pub fn alike(names: &[String], list: impl Fn(&Path) -> Result<Vec<OsString>>) -> Vec<PathBuf> {
    let mut here = vec![PathBuf::new()];
    for name in names {
        let folded = name.to_lowercase();
        let mut next = Vec::new();
        for dir in &here {
            let there = list(dir).unwrap_or_default();
            let fits = |found: &&OsString| found.to_string_lossy().to_lowercase() == folded;
            // Where the exact name is, nobody means another.
            match there.iter().find(|found| **found == **name) {
                Some(found) => next.push(dir.join(found)),
                None => next.extend(there.iter().filter(fits).map(|found| dir.join(found))),
            }
        }
        next.sort();
        here = next;
    }
    here
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use crate::beneath::Beneath;
    use crate::tree::Tree;

    #[test]
    fn the_exact_name_wins_and_twins_are_all_told() {
        let dir = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(dir.path()).unwrap();
        for file in ["Aula/L.img", "aula/l.IMG", "b/x", "B/X", "B/x"] {
            fs::create_dir_all(top.join(file).parent().unwrap()).unwrap();
            fs::write(top.join(file), "").unwrap();
        }
        symlink("/etc", top.join("out")).unwrap();
        let tree = Tree::beneath(Beneath::open(&top).unwrap());
        let found = |path: &str| {
            let names: Vec<String> = path.split('/').map(str::to_owned).collect();
            let found = tree.alike(&names);
            let found = found.map_err(|error| error.code().as_str());
            found.map(|paths| {
                let rest = paths.iter().map(|path| path.strip_prefix(&top).unwrap());
                rest.map(Path::to_owned).collect::<Vec<_>>()
            })
        };
        let paths = |paths: &[&str]| Ok(paths.iter().map(|path| (*path).into()).collect());
        assert_eq!(found("b/x"), paths(&["b/x"]));
        assert_eq!(found("aula/l.img"), paths(&["aula/l.IMG"]));
        assert_eq!(found("AULA/l.img"), paths(&["Aula/L.img", "aula/l.IMG"]));
        assert_eq!(found("B/x"), paths(&["B/x"]));
        assert_eq!(found("none/x"), paths(&[]));
        assert_eq!(found("b/x/y"), paths(&[]));
        assert_eq!(found("out/hosts"), Err("image/outside"));
        assert_eq!(found("OUT/hosts"), paths(&[]));
    }
}
