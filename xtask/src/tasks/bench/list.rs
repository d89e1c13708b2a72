//! The list of a large tree of images that other programs made.

use anyhow::Result;
use azud_testkit::tools::sh;

use super::can;
use super::disks::{Lab, text};
use super::measure::measure;
use super::table::{Side, Table, Turn};

/// Ten thousand images in ten units, every fifth one with side files. `$1` is an empty directory.
const TREE: &str = r#"cd "$1"; mkdir d t; seq 50000 > d/seq; truncate -s 16M v; mke2fs -q -F -t ext4 -d d v
partclone.extfs -c -s v -o p -q -L /dev/null; lzop -q -o 0 p; lzop -q -9 -o 1 p; gzip -c p > 2; zstd -q p -o 3; xz -c p > 4
mkdir t/unit0; for i in $(seq 0 999); do cp $((i % 5)) t/unit0/image$i.img; done
for i in $(seq 0 5 999); do echo PARTCLONE:LZOP:EXTFS:16384:pc$i > t/unit0/image$i.img.info; echo 0 > t/unit0/image$i.img.full.sum; done
for n in $(seq 9); do cp -r t/unit0 t/unit$n; done"#;

/// The list against what others do for less: naming the files' types, and only their sizes.
pub(super) fn tables(lab: &Lab) -> Result<Vec<Table>> {
    if !can("list", &["lzop", "gzip", "xz", "file"]) {
        return Ok(Vec::new());
    }
    let dir = lab.fresh_dir("list")?;
    sh(TREE, &[text(&dir)?])?;
    let tree = dir.join("t");
    let side = |what: &'static str, script: &'static str| {
        let tree = tree.clone();
        Side::new(what, None, move |_| {
            // Once for the caches.
            measure(script, &[text(&tree)?, &lab.azud])?;
            let sample = measure(script, &[text(&tree)?, &lab.azud])?;
            Ok(Turn { sample, size: None })
        })
    };
    let sides = vec![
        side("azud image list", r#""$2" --quiet image list "$1""#),
        side(
            "azud image list --json",
            r#""$2" --quiet --json image list "$1""#,
        ),
        side("file", r#"find "$1" -name '*.img' -print0 | xargs -0 file"#),
        side(
            "find, sizes and dates only",
            r#"find "$1" -name '*.img' -printf '%p %s %t\n'"#,
        ),
    ];
    let mut table = Table::measure("10,000 images: list, warm", 0, lab.options.runs, sides)?;
    table.note("To hold: less than 0.5 s.".to_owned());
    Ok(vec![table])
}
