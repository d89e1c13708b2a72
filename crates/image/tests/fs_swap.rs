//! Swap spaces made by mkswap, judged by swaplabel and blkid.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use azud_image::fs::{FsError, FsKind, MapOptions, Volume, swap};
use azud_testkit::poison::{POISON, copy_used};
use azud_testkit::tools::{have, run};

const OPTIONS: MapOptions = MapOptions {
    keep_pagefile: false,
};
const UUID: &str = "0f2d1c3b-4a59-4687-9c0d-1e2f3a4b5c6d";

fn arg(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

fn said(program: &str, args: &[&str]) -> String {
    String::from_utf8(run(program, args).unwrap().stdout).unwrap()
}

#[test]
fn only_the_header_is_kept() {
    if !have(&["mkswap", "swaplabel", "blkid"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for page in [4096_u32, 8192, 16384, 32768, 65536] {
        let file = dir.path().join(format!("swap-{page}"));
        let size = (4 << 20) + 4096 + 512;
        fs::write(&file, vec![0xEE; size]).unwrap();
        let page_arg = page.to_string();
        run(
            "mkswap",
            &["-p", &page_arg, "-L", "memoria", "-U", UUID, arg(&file)],
        )
        .unwrap();
        let data = fs::read(&file).unwrap();
        assert!(swap::probe(&data[..128 << 10]));
        let guards = swap::guards(&data[..128 << 10], size as u64);
        assert_eq!(
            guards.as_slice(),
            std::slice::from_ref(&(0..u64::from(page)))
        );
        let volume = swap::map(&data, &OPTIONS).unwrap();
        let names = (volume.label.as_deref(), volume.uuid.as_deref());
        assert_eq!(names, (Some("memoria"), Some(UUID)));
        assert_eq!((volume.kind, volume.block_size), (FsKind::Swap, page));
        assert_eq!(volume.used.len(), size as u64 / u64::from(page));
        assert!(volume.used.get(0) && volume.used.count() == 1);
        assert_eq!(volume.tails, []);
        survives(&file, &volume);
    }
}

/// Keeps the header only and asks the tools.
fn survives(file: &Path, volume: &Volume) {
    let copy = file.with_extension("copy");
    let map = (&volume.used, volume.block_size);
    copy_used(file, &copy, volume.device_size, map, &volume.tails).unwrap();
    let restored = fs::read(&copy).unwrap();
    assert!(
        restored[volume.block_size as usize..]
            .iter()
            .all(|byte| *byte == POISON)
    );
    let facts =
        |file: &Path| said("blkid", &["-p", "-o", "export", arg(file)]).replace(arg(file), "");
    assert_eq!(facts(&copy), facts(file));
    assert!(facts(&copy).contains("TYPE=swap"));
    // swaplabel reads headers of this machine's page size only.
    if volume.block_size == 4096 {
        assert_eq!(
            said("swaplabel", &[arg(&copy)]),
            said("swaplabel", &[arg(file)])
        );
    }
}

#[test]
fn the_old_format_has_no_names() {
    let mut data = vec![0; 1 << 20];
    data[4086..4096].copy_from_slice(b"SWAP-SPACE");
    let volume = swap::map(&data, &OPTIONS).unwrap();
    assert_eq!(
        (
            volume.block_size,
            volume.used.count(),
            volume.label,
            volume.uuid
        ),
        (4096, 1, None, None)
    );
}

#[test]
fn a_sleeping_linux_is_refused() {
    for magic in [
        &b"S1SUSPEND"[..],
        b"S2SUSPEND",
        b"ULSUSPEND",
        b"LINHIB0001",
        b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c",
    ] {
        let mut data = vec![0; 1 << 20];
        data[8182..8182 + magic.len()].copy_from_slice(magic);
        assert!(swap::probe(&data));
        let error = swap::map(&data, &OPTIONS).unwrap_err();
        assert!(matches!(error, FsError::Hibernated { .. }), "{error}");
        assert!(!error.to_string().contains("Windows"), "{error}");
        assert!(error.remedy().unwrap().contains("poweroff"));
    }
}

#[test]
fn nonsense_is_refused() {
    assert!(!swap::probe(&vec![0; 128 << 10]));
    assert!(!swap::probe(b"SWAPSPACE2"));
    assert!(matches!(
        swap::map(&vec![0; 1 << 20], &OPTIONS),
        Err(FsError::Corrupt { .. })
    ));
    let mut data = vec![0; 1 << 20];
    data[4086..4096].copy_from_slice(b"SWAPSPACE2");
    assert!(matches!(
        swap::map(&data, &OPTIONS),
        Err(FsError::Unsupported { .. })
    ));
    data[1024] = 1;
    data[1028..1032].copy_from_slice(&255_u32.to_le_bytes());
    assert_eq!(swap::map(&data, &OPTIONS).unwrap().used.len(), 256);
    data[1029] = 1;
    let error = swap::map(&data, &OPTIONS).unwrap_err();
    assert!(
        matches!(&error, FsError::Corrupt { what, .. } if what.contains("256")),
        "{error}"
    );
    // The other byte order.
    data[1024..1032].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 9]);
    swap::map(&data, &OPTIONS).unwrap();
    assert_eq!(swap::guards(&[], 0), []);
    assert_eq!(
        swap::guards(&[], 1 << 20).as_slice(),
        std::slice::from_ref(&(0..4096))
    );
}
