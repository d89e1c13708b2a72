//! What is kept with the state of what foreign images consist of: a file for each image, and one for each former
//! version that somebody may be fetching still.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use azud_core::assembly::Layout;
use azud_core::layout::is_reserved;
use azud_core::name::ImageFile;
use azud_store::{Identity, trash};
use serde::{Deserialize, Serialize};

use super::Seen;
use crate::state::{self, PART};

/// Where they are kept, below the state.
const DIR: &str = "indexes";
/// How the files of former versions begin; their identities follow.
const FORMER: &str = "former-";
/// So many former versions are kept at most.
const FORMER_KEPT: usize = 32;
/// The longest file of one: an image of 16 TiB.
const MAX_FILE: u64 = 256 << 20;
/// The longest first line of one.
const LONGEST_HEAD: u64 = 16 << 10;
/// What is kept of an image that may be away for a while is kept for so long after it was seen last.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// A file that is being written is left alone for so long.
const WRITING: Duration = Duration::from_hours(1);
/// So often it is noted that an image is there.
const NOTED: Duration = Duration::from_hours(24);

/// The first line of a file; the index follows.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    path: PathBuf,
    #[serde(flatten)]
    stamp: Seen,
    /// BLAKE3 of the index, in hexadecimal: the identity of the image.
    hash: String,
    /// The file system that it was on.
    #[serde(default)]
    device: Option<u64>,
}

/// What becomes of a file.
#[derive(PartialEq, Eq)]
enum Fate {
    Stays,
    IsFormer,
    Goes,
}

/// The files.
#[derive(Debug)]
pub(super) struct Kept {
    dir: PathBuf,
}

impl Head {
    fn of(file: &Path) -> Option<Self> {
        Self::read(&mut BufReader::new(File::open(file).ok()?))
    }

    fn read(file: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        file.take(LONGEST_HEAD).read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    fn identity(&self) -> Option<Identity> {
        let hash = blake3::Hash::from_hex(&self.hash).ok()?;
        Some(Identity(*hash.as_bytes()))
    }

    /// Whether the image may be there and only the file system that it is on is away: what is at its place now is on
    /// another one.
    fn is_away(&self) -> bool {
        let mut places = self.path.ancestors();
        let there = places.find_map(|place| std::fs::metadata(place).ok());
        there.map(|meta| meta.dev()) != self.device
    }

    /// Whether the image lies in the trash now.
    fn is_in_trash(&self) -> bool {
        let (Ok(image), Some(identity)) = (ImageFile::parse(&self.path), self.identity()) else {
            return false;
        };
        let is_it = |path: &Path| {
            let meta = std::fs::metadata(path).ok()?;
            Seen::of(&meta).is_moved(self.stamp).then_some(identity)
        };
        trash::of_identity(&image, identity, &is_it).is_ok_and(|found| found.is_some())
    }
}

impl Kept {
    /// Below `state`.
    pub(super) fn new(state: &Path) -> Self {
        let dir = state.join(DIR);
        Self { dir }
    }

    fn file(&self, path: &Path) -> PathBuf {
        let name = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
        self.dir.join(name.as_str())
    }

    fn former(&self, head: &Head) -> PathBuf {
        self.dir.join(format!("{FORMER}{}", head.hash))
    }

    /// Keeps what an image consists of; what is kept by its path of another one is that of a former version by now.
    pub(super) fn write(&self, path: &Path, stamp: Seen, layout: &Layout) -> std::io::Result<()> {
        let head = Head {
            path: path.to_owned(),
            stamp,
            hash: blake3::hash(layout.description()).to_hex().to_string(),
            device: std::fs::metadata(path).ok().map(|meta| meta.dev()),
        };
        let mut bytes = serde_json::to_vec(&head)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(layout.description());
        state::prepare(&self.dir)?;
        let file = self.file(path);
        if let Some(former) = Head::of(&file).filter(|former| former.hash != head.hash) {
            self.retire(&file, &former);
        }
        state::write(&file, &bytes)
    }

    /// Who has it in the trash is known by its identity.
    fn retire(&self, file: &Path, head: &Head) {
        if head.identity().is_some() {
            // Without it somebody has to begin again; no more than that.
            let _ = std::fs::rename(file, self.former(head));
        }
    }

    /// What an image consists of that is as it was.
    pub(super) fn read(&self, path: &Path, stamp: Seen) -> Option<Layout> {
        let is_it = |head: &Head| head.path == path && head.stamp == stamp;
        Some(read(&self.file(path), is_it)?.1)
    }

    /// What a version in the trash consists of that was this one at a path.
    pub(super) fn moved(
        &self,
        image: &Path,
        now: Seen,
        wanted: Identity,
    ) -> Option<(Seen, Layout)> {
        let is_it = |head: &Head| head.identity() == Some(wanted) && now.is_moved(head.stamp);
        let hash = blake3::Hash::from_bytes(wanted.0).to_hex();
        let former = self.dir.join(format!("{FORMER}{hash}"));
        read(&former, is_it).or_else(|| read(&self.file(image), is_it))
    }

    /// Takes away what is kept of images below `root` that are gone or have changed, and what is old of others: a
    /// repository that is mounted there may be away, and is not looked at. Where the file system of the images is away,
    /// these are not gone. What is in the trash by now stays, and what somebody is just writing.
    pub(super) fn tidy(&self, root: &Path) {
        let mut former = Vec::new();
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let file = entry.path();
            if is_being_written(&file) {
                continue;
            }
            match Head::of(&file).map(|head| (self.fate(&file, &head, root), head)) {
                Some((Fate::Stays, _)) => {}
                Some((Fate::IsFormer, head)) => {
                    let place = self.former(&head);
                    if file != place {
                        self.retire(&file, &head);
                    }
                    former.push((written(&place), place));
                }
                Some((Fate::Goes, _)) | None => {
                    let _ = std::fs::remove_file(file);
                }
            }
        }
        former.sort();
        former.dedup();
        let many = former.len().saturating_sub(FORMER_KEPT);
        for (_, file) in &former[..many] {
            let _ = std::fs::remove_file(file);
        }
    }

    fn fate(&self, file: &Path, head: &Head, root: &Path) -> Fate {
        let is_present = file == self.file(&head.path);
        let is_young = || age(file).is_some_and(|age| age < KEPT_FOR);
        let stays = if is_present {
            Fate::Stays
        } else {
            Fate::IsFormer
        };
        if !is_own(&head.path, root) {
            return if is_present && is_young() {
                stays
            } else {
                Fate::Goes
            };
        }
        let is_as_it_was =
            || std::fs::metadata(&head.path).is_ok_and(|meta| Seen::of(&meta) == head.stamp);
        if is_present && is_as_it_was() {
            note(file);
            stays
        } else if head.is_in_trash() {
            Fate::IsFormer
        } else if head.is_away() && is_young() {
            stays
        } else {
            Fate::Goes
        }
    }
}

/// Whether somebody may have begun with a file and has not given it its name yet.
fn is_being_written(file: &Path) -> bool {
    let is_part = file.extension().is_some_and(|it| it == PART);
    is_part && age(file).is_none_or(|age| age < WRITING)
}

/// Notes that the image was seen, in when its file was last written.
fn note(file: &Path) {
    if age(file).is_none_or(|age| age > NOTED) {
        // Where that is not to be, it is kept for a shorter time while it is away.
        let _ = File::open(file).and_then(|file| file.set_modified(SystemTime::now()));
    }
}

fn age(file: &Path) -> Option<Duration> {
    written(file)?.elapsed().ok()
}

fn written(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file)
        .and_then(|meta| meta.modified())
        .ok()
}

fn read(file: &Path, is_it: impl Fn(&Head) -> bool) -> Option<(Seen, Layout)> {
    let file = File::open(file).ok()?;
    if file.metadata().ok()?.len() > MAX_FILE {
        return None;
    }
    let mut file = BufReader::new(file);
    let head = Head::read(&mut file).filter(is_it)?;
    let mut index = Vec::new();
    file.read_to_end(&mut index).ok()?;
    let sound = head.hash == blake3::hash(&index).to_hex().as_str();
    let layout = sound.then(|| Layout::parse(index).ok())?;
    Some((head.stamp, layout?))
}

/// Whether an image is the manager's own, and not of a repository that is mounted in its root.
fn is_own(image: &Path, root: &Path) -> bool {
    let first = image
        .strip_prefix(root)
        .ok()
        .and_then(|path| path.iter().next());
    first
        .and_then(|name| name.to_str())
        .is_some_and(|name| !is_reserved(name))
}
