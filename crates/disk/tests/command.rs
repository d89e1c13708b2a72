//! External programs: failures are seen, nobody outlives a handle, partclone and qemu-img do their part.

mod common;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use azud_core::code::Code;
use azud_disk::command::Tool;
use azud_disk::error::{code_of, inner};
use azud_disk::partclone::used_map;
use azud_disk::qemu::qemu_img_convert;
use azud_disk::{DiskError, Source};
use azud_testkit::tools::{have, run};
use common::{MIB, folder, hole, noise};

fn sh(script: &str) -> Tool {
    Tool::find("sh")
        .expect("every system has one")
        .args(["-c", script])
}

/// Whether a process is there and not only waiting to be collected.
fn runs(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_missing_program_names_its_package() {
    let error = Tool::find("partclone.nosuchfs").expect_err("there is none");
    assert_eq!(error.code(), Code::ToolMissing);
    assert_eq!(
        error.to_string(),
        "partclone.nosuchfs is not installed (Debian package partclone)"
    );
    assert_eq!(
        Tool::find("/nonexistent/sh")
            .expect_err("there is none")
            .code(),
        Code::ToolMissing
    );
}

#[test]
fn success_gives_everything_that_was_printed() {
    let output = sh("printf '%s' \"$LC_ALL\"; echo warned >&2; cat")
        .run()
        .expect("succeeds");
    assert_eq!(
        (
            output.stdout.as_slice(),
            output.stderr.as_str(),
            output.status
        ),
        (&b"C"[..], "warned", 0)
    );
    let output = sh("exit 3").accept(3).run().expect("accepted");
    assert_eq!(output.status, 3);
    let dir = folder();
    let (input, bytes) = noise(dir.path(), "input", 300_000);
    let tool = Tool::find("cat")
        .expect("every system has one")
        .stdin(fs::File::open(input).expect("ours"));
    assert!(tool.run().expect("succeeds").stdout == bytes);
}

#[test]
fn a_program_that_fails_in_midstream_is_an_error_at_the_end() {
    let mut stream = sh("head -c 100000 /dev/zero; echo it broke >&2; exit 7")
        .stream()
        .expect("started");
    let mut got = Vec::new();
    let error = stream.read_to_end(&mut got).expect_err("it failed");
    assert_eq!(got.len(), 100_000);
    assert_eq!(code_of(&error), Code::ToolFailed);
    match inner(&error).expect("ours") {
        DiskError::ToolFailed {
            program,
            args,
            status,
            stderr,
        } => {
            assert_eq!(
                (program.as_str(), status.code(), stderr.as_str()),
                ("sh", Some(7), "it broke")
            );
            assert!(args.starts_with("-c head"), "{args}");
        }
        other => panic!("{other}"),
    }
    // And it stays one.
    assert!(stream.read(&mut [0; 8]).is_err());
    let killed = sh("kill -9 $$").run().expect_err("killed");
    assert!(
        killed.code() == Code::ToolFailed && killed.to_string().contains("signal: 9"),
        "{killed}"
    );
}

#[test]
fn a_flood_of_messages_neither_blocks_nor_grows() {
    let error = sh("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo last words >&2; exit 1")
        .run()
        .expect_err("fails");
    match error {
        DiskError::ToolFailed { stderr, .. } => {
            assert!(stderr.ends_with("last words") && stderr.len() <= 4096);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_program_is_killed_when_its_handle_is_dropped() {
    let mut stream = Tool::find("sleep")
        .expect("every system has one")
        .arg("600")
        .stream()
        .expect("started");
    let id = stream.id();
    assert!(runs(id));
    assert_eq!(stream.read(&mut []).expect("nothing asked"), 0);
    let begun = Instant::now();
    drop(stream);
    assert!(!runs(id) && begun.elapsed() < Duration::from_mins(1));
    // Also one that is blocked because nobody reads.
    let mut stream = Tool::find("cat")
        .expect("every system has one")
        .arg("/dev/zero")
        .stream()
        .expect("started");
    let id = stream.id();
    stream.read_exact(&mut [1; 100]).expect("zeros");
    drop(stream);
    assert!(!runs(id));
}

#[test]
fn a_grandchild_that_keeps_the_messages_open_does_not_hold_us() {
    let begun = Instant::now();
    let output = sh("sleep 30 >/dev/null & echo done")
        .run()
        .expect("succeeds");
    assert_eq!(output.stdout, b"done\n");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it waited for the grandchild"
    );
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[test]
fn partclone_gives_header_and_map() {
    if !have(&["partclone.f2fs", "mkfs.f2fs"]) {
        return;
    }
    let dir = folder();
    let path = hole(dir.path(), "f2fs", 100 * MIB);
    run("mkfs.f2fs", &["-q", path.to_str().expect("UTF-8")]).expect("mkfs.f2fs");
    let source = Source::open(&path).expect("a file");
    let mut map = used_map(&path, "partclone.f2fs").expect("started");
    let mut header = [0; 110];
    map.read_exact(&mut header).expect("a header");
    assert_eq!(&header[..15], b"partclone-image");
    assert_eq!(&header[30..34], b"0002");
    let blocks = u64_at(&header, 60);
    assert_eq!(blocks, 100 * MIB / 4096);
    let mut bitmap = vec![0; usize::try_from(blocks.div_ceil(8)).expect("small") + 4];
    map.read_exact(&mut bitmap).expect("a bitmap");
    let used: u32 = bitmap[..bitmap.len() - 4]
        .iter()
        .map(|byte| byte.count_ones())
        .sum();
    assert_eq!(
        u64::from(used),
        u64_at(&header, 76),
        "the header's count is the bitmap's"
    );
    drop(map);
    source.unchanged().expect("only read");
}

#[test]
fn partclone_on_another_file_system_is_an_error() {
    if !have(&["partclone.f2fs"]) {
        return;
    }
    let dir = folder();
    let path = hole(dir.path(), "none", MIB);
    let mut out = Vec::new();
    let error = used_map(&path, "partclone.f2fs")
        .expect("started")
        .read_to_end(&mut out)
        .expect_err("no f2fs");
    assert_eq!(
        inner(&error).expect("ours").code(),
        Code::ToolFailed,
        "{error}"
    );
    assert_eq!(
        used_map(&path, "sh").expect_err("not partclone").code(),
        Code::ToolMissing
    );
}

#[test]
fn qcow2_round_trip() {
    if !have(&["qemu-img"]) {
        return;
    }
    let dir = folder();
    let (raw, bytes) = noise(dir.path(), "raw:odd", 3 * MIB);
    let out = dir.path().join("out.qcow2");
    qemu_img_convert(&raw, &out).expect("converted");
    let name = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let back = dir.path().join("back");
    run(
        "qemu-img",
        &[
            "convert",
            "-f",
            "qcow2",
            "-O",
            "raw",
            &name(&out),
            &name(&back),
        ],
    )
    .expect("qemu-img");
    assert!(fs::read(&back).expect("there") == bytes);
    let error = qemu_img_convert(&dir.path().join("absent"), &out).expect_err("nothing to convert");
    assert_eq!(error.code(), Code::ToolFailed);
}
