//! Every variant: the map equals the oracles', and a copy of just the used blocks is whole.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use azud_image::fs::{FsKind, Volume};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{have, have_root, run, sh};
use azud_testkit::{poison, tree};

use crate::kit::{self, text};
use crate::variants::{MOUNT, Needs, VARIANTS, Variant};

/// Volumes that this kernel may not be able to mount; the others it must.
const UNMOUNTABLE: &[&str] = &["-b 65536", "casefold", "verity"];

#[test]
fn every_variant_is_mapped_and_survives_a_copy_of_its_used_blocks() {
    if !have(kit::TOOLS) || !have(&["partclone.extfs"]) {
        return;
    }
    let root = have_root();
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("tree");
    kit::make_tree(&source).unwrap();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (next, failures, source) = (&next, &failures, &source);
            let dir = dir.path().join(format!("worker-{worker}"));
            scope.spawn(move || {
                std::fs::create_dir(&dir).unwrap();
                while let Some(variant) = VARIANTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if (root || variant.needs == Needs::Files)
                        && let Err(error) = check(variant, &dir, source, root)
                    {
                        let name = format!("mke2fs {} # {}", variant.options, variant.then);
                        failures.lock().unwrap().push(format!("{name}: {error:#}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        VARIANTS.len(),
        failures.join("\n\n")
    );
}

fn check(variant: &Variant, dir: &Path, source: &Path, root: bool) -> Result<()> {
    let (image, copy) = (dir.join("image"), dir.join("copy"));
    let _ = std::fs::remove_file(&image);
    let _ = std::fs::remove_file(&copy);
    // A size at the end belongs behind the file's name: without it mke2fs takes the whole file.
    make(variant, &image, source).context("making")?;
    let volume = kit::map(&image)?;
    ensure!(volume.kind == FsKind::Ext && volume.tails.is_empty());
    ensure!(volume.device_size == std::fs::metadata(&image)?.len());
    compare_with_oracles(variant, &volume, &image, &dir.join("log"))?;
    compare_with_blkid(&volume, &image)?;
    poison::copy_used(
        &image,
        &copy,
        volume.device_size,
        (&volume.used, volume.block_size),
        &volume.tails,
    )?;
    run("e2fsck", &["-fn", text(&copy)]).context("the copy")?;
    if root {
        compare_trees(variant, &image, &copy)?;
    }
    Ok(())
}

fn make(variant: &Variant, image: &Path, source: &Path) -> Result<()> {
    let (options, blocks) = match variant.options.rsplit_once(' ') {
        Some((options, size)) if size.ends_with('M') => (options, Some(size)),
        _ => (variant.options, None),
    };
    if let Some(size) = blocks {
        // mke2fs sizes the file system by the file; the file grows afterwards.
        kit::make(image, size, options, None)?;
        run("truncate", &["-s", variant.size, text(image)])?;
    } else {
        kit::make(image, variant.size, options, Some(source))?;
    }
    let prelude = if variant.needs == Needs::Root {
        MOUNT
    } else {
        ""
    };
    sh(&format!("{prelude}\n{}", variant.then), &[text(image)]).map(|_| ())
}

fn compare_with_oracles(
    variant: &Variant,
    volume: &Volume,
    image: &Path,
    log: &Path,
) -> Result<()> {
    let bigalloc = variant.options.contains("bigalloc");
    let ratio = if bigalloc {
        cluster_ratio(image, volume.block_size)?
    } else {
        1
    };
    let free_listed = kit::dumpe2fs_bitmap(image, ratio)?;
    ensure!(
        volume.used == free_listed,
        "dumpe2fs: {}",
        kit::difference(&volume.used, &free_listed)
    );
    ensure!(
        volume.claimed_used <= volume.used.count()
            && volume.claimed_used + 1 >= volume.used.count()
    );
    if !bigalloc {
        let theirs = kit::partclone_bitmap(image, log).context("partclone")?;
        ensure!(
            volume.used == theirs,
            "partclone: {}",
            kit::difference(&volume.used, &theirs)
        );
    }
    Ok(())
}

fn cluster_ratio(image: &Path, block_size: u32) -> Result<u64> {
    let header = String::from_utf8(run("dumpe2fs", &["-h", text(image)])?.stdout)?;
    let size = header
        .lines()
        .find_map(|line| line.strip_prefix("Cluster size:"))
        .context("cluster size")?;
    Ok(size.trim().parse::<u64>()? / u64::from(block_size))
}

fn compare_with_blkid(volume: &Volume, image: &Path) -> Result<()> {
    let tag = |name: &str| -> Result<String> {
        let output =
            azud_testkit::tools::run_any("blkid", &["-p", "-o", "value", "-s", name, text(image)])?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    ensure!(
        volume.uuid.clone().unwrap_or_default() == tag("UUID")?,
        "uuid {:?}",
        volume.uuid
    );
    ensure!(
        volume.label.clone().unwrap_or_default() == tag("LABEL")?,
        "label {:?}",
        volume.label
    );
    Ok(())
}

fn compare_trees(variant: &Variant, image: &Path, copy: &Path) -> Result<()> {
    let excused = UNMOUNTABLE
        .iter()
        .any(|option| variant.options.contains(option));
    let original = match Mount::new(image, None, "ro,loop") {
        Err(_) if excused => return Ok(()),
        mounted => mounted.context("mounting the original")?,
    };
    let copied = Mount::new(copy, None, "ro,loop").context("mounting the copy")?;
    ensure!(
        tree::picture(original.path())? == tree::picture(copied.path())?,
        "the trees differ"
    );
    Ok(())
}

#[test]
fn an_external_journal_is_no_obstacle_but_no_volume_either() {
    if !have(kit::TOOLS) || !have_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [journal, image, copy] = ["journal", "image", "copy"].map(|name| dir.path().join(name));
    kit::make(&journal, "8M", "-b 1024 -O journal_dev", None).unwrap();
    let error = kit::map(&journal).unwrap_err();
    assert!(error.to_string().contains("external journal"), "{error}");

    let device = Loop::attach(&journal).unwrap();
    let options = format!("-t ext4 -b 1024 -J device={}", device.name());
    kit::make(&image, "16M", &options, None).unwrap();
    let volume = kit::map(&image).unwrap();
    assert_eq!(volume.used, kit::dumpe2fs_bitmap(&image, 1).unwrap());
    poison::copy_used(
        &image,
        &copy,
        volume.device_size,
        (&volume.used, volume.block_size),
        &[],
    )
    .unwrap();
    run("e2fsck", &["-fn", "-j", device.name(), text(&copy)]).unwrap();

    run(
        "debugfs",
        &["-w", "-R", "feature needs_recovery", text(&image)],
    )
    .unwrap();
    let error = kit::map(&image).unwrap_err();
    assert!(
        error.remedy().unwrap().contains("-j JOURNAL-DEVICE"),
        "{error}"
    );
}

#[test]
fn what_lies_behind_the_file_system_is_not_used() {
    if !have(kit::TOOLS) {
        return;
    }
    let (_dir, image) = kit::small("-t ext4 -b 1024", "16M").unwrap();
    run("truncate", &["-s", "20000001", text(&image)]).unwrap();
    let volume = kit::map(&image).unwrap();
    assert_eq!(
        (volume.used.len(), volume.device_size),
        (16 << 10, 20_000_001)
    );
    assert!(
        volume.used.get(0) && volume.used.get(1),
        "boot block and superblock"
    );
    assert!(volume.minimum_size() <= 16 << 20);
}

#[test]
fn block_numbers_beyond_32_bits_are_read_whole() {
    if !have(kit::TOOLS) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    // Sparse: 4.4 TiB take 13 MB on the disk. Large clusters keep the number of groups small.
    let options =
        "-t ext4 -b 1024 -O bigalloc,^has_journal -C 65536 -E lazy_itable_init=1 -N 1000000";
    kit::make(&image, "4500G", options, None).unwrap();
    let volume = kit::map(&image).unwrap();
    assert_eq!(volume.used.len(), 4500 << 20);
    assert_eq!(volume.used.count(), volume.claimed_used);
    let last = volume.used.last_used().unwrap();
    assert!(last > u32::MAX.into(), "no tables beyond 32 bits");
    run("e2fsck", &["-fn", text(&image)]).unwrap();
}
