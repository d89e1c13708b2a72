//! FAT12, FAT16 and FAT32 against mkfs.fat, mtools, fsck.vfat, blkid and partclone.

mod fat_common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use azud_image::fs::fat::map;
use azud_image::fs::{FsError, FsKind, MapOptions, Volume};
use azud_testkit::tools::{have, run, sh};
use azud_testkit::{poison, tree};
use fat_common::{
    Disk, Random, assert_same, assert_sane, at_once, blkid, name, partclone, sparse, tables,
};

const TOOLS: &[&str] = &[
    "mkfs.fat",
    "fsck.vfat",
    "mcopy",
    "mdel",
    "mshowfat",
    "blkid",
    "partclone.fat",
];

struct Case {
    kind: FsKind,
    kib: u64,
    options: &'static str,
}

const fn case(kind: FsKind, kib: u64, options: &'static str) -> Case {
    Case { kind, kib, options }
}

/// Volumes that mtools can fill.
const FILLED: &[Case] = &[
    case(FsKind::Fat12, 2000, "-F12 -s1"),
    case(FsKind::Fat12, 3001, "-F12 -s2"),
    case(FsKind::Fat12, 1440, "-F12 -s1 -f1 -r224"),
    case(FsKind::Fat12, 7000, "-F12 -s4 -a"),
    case(FsKind::Fat12, 16000, "-F12 -s8 -n TWELVE"),
    case(FsKind::Fat12, 20000, "-F12 -s64"),
    case(FsKind::Fat16, 8001, "-F16 -s2"),
    case(FsKind::Fat16, 20000, "-F16 -s4 -a -f1"),
    case(FsKind::Fat16, 40000, "-F16 -s8 -n SIXTEEN"),
    case(FsKind::Fat16, 20480, "-F16 -S4096 -s1"),
    case(FsKind::Fat16, 20480, "-F16 -S1024 -s2"),
    case(FsKind::Fat32, 40001, "-F32 -s1"),
    case(FsKind::Fat32, 40000, "-F32 -s1 -f1 -a -R33"),
    case(FsKind::Fat32, 70000, "-F32 -s2 -n THIRTYTWO"),
];

/// Volumes whose cluster sizes mtools would need too much space for (or, with fewer clusters than FAT32
/// ought to have, takes for FAT16): their tables are filled at random.
const SCRIBBLED: &[Case] = &[
    case(FsKind::Fat16, 136_000, "-F16 -s64"),
    case(FsKind::Fat16, 272_000, "-F16 -s128"),
    case(FsKind::Fat32, 40_000, "-F32 -s8"),
    case(FsKind::Fat32, 40_000, "-F32 -s8 -a -R33"),
    case(FsKind::Fat32, 40_000, "-F32 -s16 -R40"),
    case(FsKind::Fat32, 70_000, "-F32 -s32 -f1"),
    case(FsKind::Fat32, 90_000, "-F32 -s64"),
    case(FsKind::Fat32, 90_000, "-F32 -S2048 -s4"),
    case(FsKind::Fat32, 60_000, "-F32 -S4096 -s2"),
];

/// Makes the volume and says how fsck.vfat sees it.
fn make(path: &Path, case: &Case) -> Result<Count> {
    sparse(path, case.kib * 1024)?;
    let options: Vec<&str> = case.options.split(' ').chain([name(path)]).collect();
    run("mkfs.fat", &options)?;
    fsck(path)
}

fn map_file(path: &Path) -> Result<Volume, FsError> {
    map(&Disk::open(path), &MapOptions::default())
}

/// Copies files in, removes every third, copies more: free space is dirty and files are in pieces.
fn fill(image: &Path, dir: &Path, case: &Case) -> Result<()> {
    let mut random = Random(case.kib * 2_654_435_761 + case.options.len() as u64);
    let total = case.kib * 1024 / 2;
    let first = dir.join("first");
    let files = fat_common::tree(&first, total, &mut random)?;
    mtools(
        "mcopy -s -i \"$1\" \"$2\"/a \"$2\"/b ::",
        &[name(image), name(&first)],
    )?;
    for file in files.iter().step_by(3) {
        mtools("mdel -i \"$1\" \"::$2\"", &[name(image), name(file)])?;
    }
    let second = dir.join("second");
    fat_common::tree(&second.join("late"), total / 5, &mut random)?;
    mtools(
        "mcopy -s -i \"$1\" \"$2\"/late ::",
        &[name(image), name(&second)],
    )
}

fn mtools(script: &str, args: &[&str]) -> Result<()> {
    sh(
        &format!("export MTOOLS_SKIP_CHECK=1 TZ=UTC; {script}"),
        args,
    )?;
    Ok(())
}

/// Everything in the image, as files of the host.
fn extract(image: &Path, to: &Path) -> Result<tree::Picture> {
    fs::create_dir_all(to)?;
    mtools(
        "mcopy -s -m -n -i \"$1\" ::a ::b ::late \"$2\"",
        &[name(image), name(to)],
    )?;
    let mut all = tree::picture(to)?;
    all.remove(Path::new(""));
    Ok(all)
}

/// The volume as fsck.vfat counts it; offsets and sizes in bytes.
struct Count {
    data: u64,
    used: u64,
    cluster: u64,
    /// Where the last cluster ends: what remains of the volume belongs to nobody.
    end: u64,
}

fn fsck(image: &Path) -> Result<Count> {
    let output = run("fsck.vfat", &["-n", "-v", name(image)])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The number between two texts, in the first line that has both.
    let number = |before: &str, after: &str| -> Result<u64> {
        let between = |line: &str| {
            Some(
                line.split_once(before)?
                    .1
                    .split_once(after)?
                    .0
                    .trim()
                    .to_owned(),
            )
        };
        Ok(text
            .lines()
            .find_map(between)
            .context(text.clone())?
            .parse()?)
    };
    let data = number("Data area starts at byte ", " (sector")?;
    Ok(Count {
        data,
        end: data + number("data clusters (", " bytes)")?,
        used: number(" files, ", "/")?,
        cluster: number("", " bytes per cluster")?,
    })
}

/// Clusters of all files and directories, as mtools follows their chains.
fn clusters_by_mtools(image: &Path) -> Result<BTreeSet<u64>> {
    let list = "mdir -b -/ -f -i \"$1\" :: | tr -d '\\r' | while read -r f; do mshowfat -i \"$1\" \"${f%/}\"; done";
    let output = sh(
        &format!("export MTOOLS_SKIP_CHECK=1; {list}"),
        &[name(image)],
    )?;
    let mut all = BTreeSet::new();
    for range in String::from_utf8(output.stdout)?
        .split(['<', '\n'])
        .filter_map(|part| part.split_once('>'))
    {
        let (first, last) = range.0.split_once('-').unwrap_or((range.0, range.0));
        all.extend(first.parse::<u64>()?..=last.parse()?);
    }
    Ok(all)
}

fn used_clusters(volume: &Volume, count: &Count) -> BTreeSet<u64> {
    let block = u64::from(volume.block_size);
    let mut clusters = BTreeSet::new();
    for run in volume.used.runs() {
        let (start, end) = (run.start * block, (run.start + run.count) * block);
        let bytes = start.max(count.data)..end;
        clusters.extend(
            bytes
                .step_by(512)
                .map(|at| (at - count.data) / count.cluster + 2),
        );
    }
    clusters
}

fn check_facts(image: &Path, volume: &Volume, case: &Case, count: &Count) -> Result<()> {
    let context = case.options;
    assert_sane(volume);
    assert_eq!(volume.kind, case.kind, "{context}");
    // The largest power of two that divides 4096, the data's start and the cluster.
    let block = 1 << (4096 | count.data | count.cluster).trailing_zeros();
    assert_eq!(volume.block_size, block, "{context}");
    assert_eq!(volume.label, blkid(image, "LABEL")?, "{context}");
    assert_eq!(volume.uuid, blkid(image, "UUID")?, "{context}");
    assert_eq!(volume.tails, [], "{context}");
    if case.kind != FsKind::Fat12 {
        // partclone keeps the remainder behind the last cluster.
        assert_same(volume, &partclone("partclone.fat", image)?, count.end);
    }
    Ok(())
}

#[test]
fn filled_volumes_survive_a_poisoned_copy() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    at_once(FILLED, |case| {
        let dir = tempfile::tempdir()?;
        let image = dir.path().join("image");
        make(&image, case)?;
        fill(&image, dir.path(), case).context(case.options)?;
        let volume = map_file(&image)?;
        let count = fsck(&image)?;
        check_facts(&image, &volume, case, &count)?;
        let clusters = used_clusters(&volume, &count);
        assert_eq!(clusters.len() as u64, count.used, "{}", case.options);
        if case.kind == FsKind::Fat12 {
            assert_eq!(clusters, clusters_by_mtools(&image)?, "{}", case.options);
        }
        let copy = dir.path().join("copy");
        let used = (&volume.used, volume.block_size);
        poison::copy_used(&image, &copy, volume.device_size, used, &volume.tails)?;
        fsck(&copy)?;
        let before = extract(&image, &dir.path().join("before"))?;
        assert!(before.len() > 12);
        assert_eq!(
            before,
            extract(&copy, &dir.path().join("after"))?,
            "{}",
            case.options
        );
        Ok(())
    })
}

#[test]
fn random_tables_give_partclones_map() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    at_once(SCRIBBLED, |case| {
        let dir = tempfile::tempdir()?;
        let image = dir.path().join("image");
        let count = make(&image, case)?;
        edit(&image, |bytes| scribble(bytes, case.kib))?;
        check_facts(&image, &map_file(&image)?, case, &count)?;
        Ok(())
    })
}

/// Changes the first MiB of an image.
fn edit(image: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let file = fs::File::options().read(true).write(true).open(image)?;
    let mut head = vec![0; usize::try_from(file.metadata()?.len().min(1 << 20))?];
    file.read_exact_at(&mut head, 0)?;
    change(&mut head);
    file.write_all_at(&head, 0)?;
    Ok(())
}

/// Random entries, free, bad, last, linked, in every FAT alike; clusters 2 and 3 stay as they are.
fn scribble(head: &mut [u8], seed: u64) {
    let mut random = Random(seed);
    let (fats, len) = tables(head);
    let wide = head[22] == 0 && head[23] == 0;
    let bytes = if wide { 4 } else { 2 };
    for entry in 4..len / bytes {
        let value: u32 = match random.below(8) {
            0..4 => 0,
            4 => 0x0FFF_FFF7,
            5 => 0x0FFF_FFFF,
            _ => 2 + u32::try_from(random.below(1000)).expect("small"),
        };
        for fat in &fats {
            let at = fat + entry * bytes;
            head[at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
        }
    }
}

#[test]
fn bad_clusters_are_not_read() -> Result<()> {
    if !have(TOOLS) {
        return Ok(());
    }
    for (options, kib) in [("-F12 -s2", 3000), ("-F16 -s4", 20000), ("-F32 -s1", 40000)] {
        let dir = tempfile::tempdir()?;
        let (image, list) = (dir.path().join("image"), dir.path().join("list"));
        sparse(&image, kib * 1024)?;
        fs::write(&list, "1500\n1501\n")?;
        sh(
            &format!("mkfs.fat {options} -l \"$2\" \"$1\""),
            &[name(&image), name(&list)],
        )?;
        let volume = map_file(&image)?;
        let block = u64::from(volume.block_size);
        assert!(!volume.used.get(1500 * 1024 / block), "{options}");
        fs::write(&list, "")?;
        sh(&format!("mkfs.fat {options} \"$1\""), &[name(&image)])?;
        assert_eq!(map_file(&image)?.used, volume.used, "{options}");
    }
    Ok(())
}
