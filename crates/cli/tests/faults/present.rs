//! The plan of a restore says what its target holds now.

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, sh};
use serde_json::{Value, json};

use crate::kit::{Said, azud, text};
use crate::{Fixture, ready};

fn planned(all: &Fixture, target: &str) -> Result<Said> {
    let said = azud(&["image", "restore", all.image(), target, "--dry-run"])?;
    said.done().with_context(|| target.to_owned())?;
    Ok(said)
}

/// Scripts that fill the file `$1`, and what the plan says of it then.
fn cases() -> Vec<(&'static str, Value)> {
    let file_system =
        |name: &str, label: Option<&str>| json!({ "file_system": name, "label": label });
    vec![
        ("true", Value::Null),
        (
            "head -c 20M /dev/urandom > \"$1\"",
            json!({ "file_system": null }),
        ),
        (
            "mke2fs -q -F -L aula \"$1\"",
            file_system("EXTFS", Some("aula")),
        ),
        ("mke2fs -q -F \"$1\"", file_system("EXTFS", None)),
        (
            "mkntfs -q -F -Q -L 'Windows ñ' \"$1\"",
            file_system("NTFS", Some("Windows ñ")),
        ),
        ("mkfs.fat -n EFI \"$1\"", file_system("FAT32", Some("EFI"))),
        (
            "mkfs.exfat -L Stick \"$1\"",
            file_system("EXFAT", Some("Stick")),
        ),
        ("mkswap -L sw \"$1\"", file_system("SWAP", Some("sw"))),
        (
            "mkfs.xfs -q -f --unsupported -L root \"$1\"",
            file_system("XFS", Some("root")),
        ),
        (
            "printf 'label: gpt\n,2M\n,2M\n,2M\n' | sfdisk -q \"$1\"",
            json!({ "table": "gpt", "partitions": 3 }),
        ),
        (
            "printf 'label: dos\n,2M\n' | sfdisk -q \"$1\"",
            json!({ "table": "dos", "partitions": 1 }),
        ),
    ]
}

#[test]
fn the_plan_says_what_the_target_holds() -> Result<()> {
    if !ready()
        || !have(&[
            "sfdisk",
            "mkntfs",
            "mkfs.fat",
            "mkfs.exfat",
            "mkfs.xfs",
            "mkswap",
        ])
    {
        return Ok(());
    }
    let all = Fixture::new()?;
    let target = all.path("holds");
    for (make, holds) in &cases() {
        let script = format!("export LC_ALL=C.UTF-8; rm -f \"$1\"; truncate -s 64M \"$1\"; {make}");
        sh(&script, &[text(&target)]).context(*make)?;
        let said = planned(&all, text(&target))?;
        let rows = &said.plan()["rows"];
        ensure!(rows["holds"] == *holds, "{make}: {}", rows["holds"]);
        let warned = said.warned();
        ensure!(warned.contains(&"destroys"), "{make}: {warned:?}");
        let divided = holds["table"].is_string();
        ensure!(
            warned.contains(&"destroys-disk") == divided,
            "{make}: {warned:?}"
        );
    }
    let said = planned(&all, text(&all.path("nothing")))?;
    ensure!(said.plan()["rows"].get("holds").is_none(), "a new file");
    Ok(())
}
