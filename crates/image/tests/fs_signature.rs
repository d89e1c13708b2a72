//! Foreign signatures: planted by hand and made by the real tools; after zeroing, `wipefs` finds nothing.

mod signature_plants;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use azud_image::fs::signature::{Signature, foreign};
use azud_image::fs::{HEAD_LEN, guards};
use azud_testkit::tools::{find, have, run, sh};
use signature_plants::{MADE, PERHAPS, PLANTS, Recipe};

const MIB: u64 = 1 << 20;

fn name(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// What is found in a file of which only the ends are read.
fn look(file: &fs::File) -> Result<Vec<Signature>> {
    let size = file.metadata()?.len();
    let mut head = vec![0; usize::try_from(size)?.min(HEAD_LEN)];
    let mut tail = vec![0; usize::try_from(size.min(MIB))?];
    file.read_exact_at(&mut head, 0)?;
    file.read_exact_at(&mut tail, size - size.min(MIB))?;
    Ok(foreign(&head, &tail, size))
}

fn names(list: &[Signature]) -> BTreeSet<&str> {
    list.iter().map(|signature| signature.name).collect()
}

/// Types that wipefs lists in a file.
fn wipefs(file: &Path) -> Result<BTreeSet<String>> {
    let output = run(
        "wipefs",
        &["--no-act", "--noheadings", "--output", "TYPE", name(file)],
    )?;
    Ok(String::from_utf8(output.stdout)?
        .lines()
        .map(|line| line.trim().to_owned())
        .collect())
}

/// Checks what is found, zeroes it, and fails unless nobody finds anything then.
fn find_and_wipe(file: &Path, expected: &str, listed: bool) -> Result<()> {
    let device = fs::File::options().read(true).write(true).open(file)?;
    let list = look(&device)?;
    ensure!(names(&list).contains(expected), "found {list:?}");
    let before = wipefs(file)?;
    ensure!(
        before.contains(expected) == listed,
        "wipefs lists {before:?}"
    );
    for kind in &before {
        ensure!(
            names(&list).contains(kind.as_str()),
            "wipefs lists {kind} as well"
        );
    }
    for Signature { range, .. } in &list {
        device.write_all_at(
            &vec![0; usize::try_from(range.end - range.start)?],
            range.start,
        )?;
    }
    let again = look(&device)?;
    ensure!(again.is_empty(), "still found: {again:?}");
    let after = wipefs(file)?;
    ensure!(after.is_empty(), "wipefs still lists {after:?}");
    Ok(())
}

/// All of them are tried before any is complained about.
fn assert_none(failures: &[anyhow::Error]) {
    let failures: Vec<String> = failures
        .iter()
        .map(|failure| format!("{failure:#}"))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn planted_signatures_are_found_and_wiped() -> Result<()> {
    if !have(&["wipefs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("image");
    let mut failures = Vec::new();
    for (kind, listed, writes) in PLANTS {
        let mut bytes = vec![0; usize::try_from(4 * MIB)?];
        for (at, magic) in *writes {
            let at = usize::try_from(if *at < 0 { 4 * (1 << 20) + at } else { *at })?;
            bytes[at..at + magic.len()].copy_from_slice(magic);
        }
        fs::write(&file, &bytes)?;
        failures.extend(
            find_and_wipe(&file, kind, *listed)
                .err()
                .map(|e| e.context(format!("{kind} {writes:x?}"))),
        );
    }
    assert_none(&failures);
    Ok(())
}

fn make_and_wipe((kind, _, mib, script): &Recipe) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("image");
    fs::File::create(&file)?.set_len(mib * MIB)?;
    sh(script, &[name(&file)])?;
    find_and_wipe(&file, kind, *kind != "qcow2").context(*script)
}

#[test]
fn what_the_tools_make_is_found_and_wiped() {
    let tools: Vec<&str> = MADE
        .iter()
        .flat_map(|recipe| recipe.1)
        .copied()
        .chain(["wipefs"])
        .collect();
    if !have(&tools) {
        return;
    }
    let there = |recipe: &&Recipe| recipe.1.iter().all(|tool| find(tool).is_some());
    let all = MADE.iter().chain(PERHAPS.iter().filter(there));
    let failures: Vec<_> = all
        .filter_map(|recipe| make_and_wipe(recipe).err())
        .collect();
    assert_none(&failures);
}

#[test]
fn what_is_mapped_is_not_foreign() -> Result<()> {
    if !have(&[
        "mke2fs",
        "mkfs.fat",
        "mkfs.exfat",
        "mkntfs",
        "mkfs.btrfs",
        "mkfs.xfs",
    ]) {
        return Ok(());
    }
    let all = [
        "mke2fs -q -F \"$1\"",
        "mkfs.fat -F12 \"$1\" 4000",
        "mkfs.fat -F16 \"$1\"",
        "mkfs.fat -F32 \"$1\"",
        "mkfs.exfat \"$1\"",
        "mkntfs -F -Q -q \"$1\"",
        "mkfs.btrfs -q \"$1\"",
        "truncate -s 400M \"$1\"; mkfs.xfs -q \"$1\"",
        "true",
    ];
    for script in all {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("image");
        fs::File::create(&file)?.set_len(128 * MIB)?;
        sh(script, &[name(&file)])?;
        assert_eq!(look(&fs::File::open(&file)?)?, [], "{script}");
    }
    Ok(())
}

#[test]
fn a_visible_header_names_what_is_out_of_sight() {
    let size = 1u64 << 30;
    let mut head = vec![0; HEAD_LEN];
    let tail = vec![0; 1 << 20];
    head[..8].copy_from_slice(b"LUKS\xba\xbe\0\x02");
    head[8..16].copy_from_slice(&(1u64 << 22).to_be_bytes());
    let ranges: Vec<_> = foreign(&head, &tail, size)
        .into_iter()
        .map(|found| found.range)
        .collect();
    assert_eq!(ranges, [0..512, 4 << 20..(4 << 20) + 512]);
    let mut tail = tail;
    tail[(1 << 20) - 128 * 1024..][..8].copy_from_slice(&0x00BA_B10C_u64.to_be_bytes());
    let labels: Vec<_> = foreign(&[], &tail, size)
        .into_iter()
        .map(|found| found.range.start)
        .collect();
    assert_eq!(
        labels,
        [0, 256 << 10, size - (512 << 10), size - (256 << 10)]
    );
}

/// Whatever the bytes and sizes: no panic, and every range lies on the device.
#[test]
fn noise_never_panics() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..2000u64 {
        let len = usize::try_from(next() % 70_000).expect("small");
        let mut head: Vec<u8> = std::iter::repeat_with(|| next().to_le_bytes())
            .flatten()
            .take(len)
            .collect();
        let (_, _, writes) = PLANTS[usize::try_from(round).expect("small") % PLANTS.len()];
        for (at, magic) in writes {
            let at = usize::try_from(at.unsigned_abs()).expect("small");
            if let Some(place) = head.get_mut(at..at + magic.len()) {
                place.copy_from_slice(magic);
            }
        }
        let tail = head[head.len() / 2..].to_vec();
        let size = [0, 1, 511, tail.len() as u64, head.len() as u64, u64::MAX]
            [usize::try_from(round % 6).expect("small")];
        for found in foreign(&head, &tail, size) {
            assert!(
                found.range.start < found.range.end && found.range.end <= size,
                "{found:?} of {size}"
            );
        }
    }
}

#[test]
fn the_second_header_of_luks2_guards_a_raw_image() {
    let mut head = vec![0; HEAD_LEN];
    let guarded = |head: &[u8], size: u64| guards(head, size).contains(&(4 * MIB..4 * MIB + 4096));
    head[..8].copy_from_slice(b"LUKS\xba\xbe\0\x02");
    head[8..16].copy_from_slice(&(4u64 << 20).to_be_bytes());
    assert!(guarded(&head, 64 << 20));
    assert!(!guarded(&head, 4 << 20), "beyond the end");
    head[7] = 1;
    assert!(!guarded(&head, 64 << 20), "LUKS1 has none");
    head[7] = 2;
    head[8..16].copy_from_slice(&u64::MAX.to_be_bytes());
    assert!(!guarded(&head, 64 << 20), "no place for it");
}
