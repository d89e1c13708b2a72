//! `ogGetPath`, `ogGetParentPath`, `ogMakeDir`, `ogCalculateChecksum`, `ogCalculateFullChecksum`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use azud_core::reference::Folder;
use azud_store::side::{SumPair, Sums, TAIL};
use azud_store::tree::Tree;

use super::args::{Container, FileArg, file, refuse};
use super::container::{one, open, paths};
use super::{Call, Done, Status};
use crate::failure::Failure;

/// Prints where a file is: nothing if it is not there, which is no failure either.
pub(super) fn get_path(call: &Call) -> Done {
    print_paths(call, &file(&call.args)?)
}

/// Prints where the folder of a file is or would be.
pub(super) fn get_parent_path(call: &Call) -> Done {
    let parent = match file(&call.args)? {
        FileArg::Path(path) => {
            let parent = Path::new(&path).parent().unwrap_or(Path::new("/"));
            FileArg::Path(parent.to_string_lossy().into_owned())
        }
        FileArg::In(container, mut names) => {
            names.pop();
            FileArg::In(container, names)
        }
    };
    print_paths(call, &parent)
}

fn print_paths(call: &Call, file: &FileArg) -> Done {
    for path in paths(call, file)? {
        call.print(&path.display().to_string());
    }
    Ok(Status::Ok)
}

/// Makes a folder and those that are missing on the way.
pub(super) fn make_dir(call: &Call) -> Done {
    match file(&call.args)? {
        FileArg::Path(path) => {
            let path = Path::new(&path);
            std::fs::create_dir_all(path).map_err(|error| Failure::io(path, &error))?;
        }
        FileArg::In(container @ (Container::Repo | Container::Cache), names) => {
            let folder = Folder::parse(&names.join("/"))?;
            Tree::beneath(open(call, &container)?).make_folder(&folder)?;
        }
        FileArg::In(container, names) => {
            open(call, &container)?.make_dirs(&names)?;
        }
    }
    Ok(Status::Ok)
}

/// Prints the MD5 of the last MiB.
pub(super) fn checksum(call: &Call) -> Done {
    let (mut file, len, path) = opened(call)?;
    let tail = len.saturating_sub(TAIL as u64);
    file.seek(SeekFrom::Start(tail))
        .map_err(|error| Failure::io(&path, &error))?;
    call.print(&sums(file, &path)?.tail);
    Ok(Status::Ok)
}

/// Prints the MD5 of the whole.
pub(super) fn full_checksum(call: &Call) -> Done {
    let (file, _, path) = opened(call)?;
    call.print(&sums(file, &path)?.full);
    Ok(Status::Ok)
}

fn opened(call: &Call) -> Result<(File, u64, std::path::PathBuf), Failure> {
    let path = one(call, &file(&call.args)?)?;
    let failed = |error: std::io::Error| Failure::io(&path, &error);
    let meta = std::fs::metadata(&path).map_err(failed)?;
    if !meta.is_file() {
        return Err(refuse(format!("{} is no file", path.display())));
    }
    let file = File::open(&path).map_err(failed)?;
    Ok((file, meta.len(), path))
}

fn sums(mut file: File, path: &Path) -> Result<SumPair, Failure> {
    let mut sums = Sums::new();
    let mut piece = vec![0; TAIL];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(sums.finish()),
            Ok(len) => sums.update(&piece[..len]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::io(path, &error)),
        }
    }
}
