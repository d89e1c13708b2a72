//! What was not left cleanly is refused, and the remedy that is named works.

use std::os::unix::fs::FileExt;
use std::path::Path;

use azud_image::fs::FsError;
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run, run_any};

use crate::kit::{self, text};

fn remedy(image: &Path) -> String {
    match kit::map(image) {
        Err(FsError::Dirty { remedy, .. }) => remedy.to_owned(),
        other => panic!("not refused as dirty: {other:?}"),
    }
}

#[test]
fn a_copy_of_a_mounted_volume_is_refused_until_it_is_repaired() {
    if !have(kit::TOOLS) || !have_root() {
        return;
    }
    for (options, word) in [
        ("-t ext4 -b 1024", "e2fsck -p"),
        ("-t ext3", "e2fsck -p"),
        ("-t ext2", "e2fsck -f"),
    ] {
        let (dir, image) = kit::small(options, "32M").unwrap();
        let mount = Mount::new(&image, None, "loop").unwrap();
        std::fs::write(mount.path().join("new"), vec![7; 3_000_000]).unwrap();
        std::fs::remove_file(mount.path().join("noise")).unwrap();
        run("sync", &["-f", text(mount.path())]).unwrap();
        let copy = dir.path().join("copy");
        std::fs::copy(&image, &copy).unwrap();
        mount.unmount().unwrap();

        assert!(remedy(&copy).starts_with(word), "{options}");
        // Status 1: repaired. ext2 was cut while in use, so it is repaired without questions.
        let how = if word.ends_with('f') { "-fy" } else { "-p" };
        let status = run_any("e2fsck", &[how, text(&copy)]).unwrap().status;
        assert!(matches!(status.code(), Some(0 | 1)), "{options}: {status}");
        let volume = kit::map(&copy).unwrap();
        assert_eq!(
            volume.used,
            kit::dumpe2fs_bitmap(&copy, 1).unwrap(),
            "{options}"
        );
        kit::map(&image).unwrap_or_else(|error| panic!("{options}, unmounted: {error}"));
    }
}

#[test]
fn every_sign_alone_is_refused_and_mended() {
    if !have(kit::TOOLS) {
        return;
    }
    let (dir, clean) = kit::small("-t ext4 -b 1024 -O orphan_file", "24M").unwrap();
    for (command, why, mend) in [
        ("feature needs_recovery", "needs_recovery", "-p"),
        ("feature orphan_present", "orphan_present", "-p"),
        ("ssv state 0", "not clean", "-f"),
        ("ssv state 3", "errors", "-f"),
        ("ssv state 2", "errors", "-f"),
        ("ssv last_orphan 12", "orphaned inodes", "-p"),
    ] {
        let image = dir.path().join("dirty");
        std::fs::copy(&clean, &image).unwrap();
        run("debugfs", &["-w", "-R", command, text(&image)]).unwrap();
        let error = kit::map(&image).unwrap_err();
        assert!(
            matches!(error, FsError::Dirty { fs: "ext4", .. }),
            "{command}: {error}"
        );
        assert!(error.to_string().contains(why), "{command}: {error}");
        assert!(
            error
                .remedy()
                .unwrap()
                .starts_with(&format!("e2fsck {mend} DEVICE")),
            "{command}"
        );
        let interactive = if mend == "-f" { "-fy" } else { mend };
        let output = run_any("e2fsck", &[interactive, text(&image)]).unwrap();
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{command}: {output:?}"
        );
        kit::map(&image).unwrap_or_else(|error| panic!("{command}, mended: {error}"));
    }
}

#[test]
fn a_volume_in_use_on_another_computer_is_refused() {
    if !have(kit::TOOLS) {
        return;
    }
    let (_dir, image) = kit::small("-t ext4 -b 1024 -O mmp,^metadata_csum", "24M").unwrap();
    kit::map(&image).unwrap();
    let superblock = std::fs::read(&image).unwrap()[1024..2048].to_vec();
    let block = u64::from_le_bytes(superblock[0x168..0x170].try_into().unwrap());
    let file = std::fs::File::options().write(true).open(&image).unwrap();
    file.write_all_at(&7u32.to_le_bytes(), block * 1024 + 4)
        .unwrap();
    assert!(remedy(&image).contains("unmount it on the computer"));
    // What an interrupted e2fsck leaves.
    file.write_all_at(&0xE24D_4D50u32.to_le_bytes(), block * 1024 + 4)
        .unwrap();
    assert!(remedy(&image).contains("clear_mmp"));
    run("tune2fs", &["-f", "-E", "clear_mmp", text(&image)]).unwrap();
    kit::map(&image).unwrap();
    file.write_all_at(b"nothing", block * 1024).unwrap();
    assert!(matches!(kit::map(&image), Err(FsError::Corrupt { .. })));
}
