//! The tables over an ext4 volume.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use azud_image::diff;
use azud_testkit::tools::sh;

use super::change::{Spread, changed};
use super::data;
use super::disks::{Disk, Lab, Origin, check, differing, native, text, warm};
use super::measure::measure;
use super::peers::{self, EXT_A0, EXT_A1, OURS, Peer, image};
use super::table::{Side, Table, Turn, float, mb};

/// Share of the files' bytes that changes between captures, in percent.
const RECAPTURED: u32 = 2;

/// Share that changes before a restore over what is there, in percent.
const RESTORED: u32 = 1;

/// All tables.
pub(super) fn tables(lab: &Lab) -> Result<Vec<Table>> {
    let origin = Origin::open(&data::ext4(&lab.options)?)?;
    let wants = |table| lab.options.wants("ext4", table);
    let mut tables = Vec::new();
    if wants("capture") {
        let peers = [(EXT_A1, Some(3.5)), (EXT_A0, Some(2.2))];
        tables.push(capture(lab, &origin, "ext4", &peers)?);
    } else {
        prepare(lab, &origin, &[EXT_A1, EXT_A0])?;
    }
    if wants("recapture") {
        for spread in Spread::ALL {
            tables.push(recapture(lab, &origin, spread)?);
        }
    }
    if wants("restore") {
        let peers = [(EXT_A1, Some(4.0)), (EXT_A0, Some(2.2))];
        tables.push(restore(lab, &origin, "ext4", &peers)?);
    }
    if wants("verify") {
        tables.push(verify(lab, &origin)?);
    }
    if wants("again") {
        for spread in Spread::ALL {
            tables.push(again(lab, &origin, spread)?);
        }
    }
    Ok(tables)
}

/// Makes the images that other tables need, unmeasured.
pub(super) fn prepare(lab: &Lab, origin: &Origin, peers: &[Peer]) -> Result<()> {
    peers::create(lab, origin, OURS, None)?;
    for peer in peers {
        peer.capture(lab, origin)?;
    }
    Ok(())
}

/// Capture against peers, and the size against one stream. The last images stay in the lab.
pub(super) fn capture(
    lab: &Lab,
    origin: &Origin,
    fs: &str,
    peers: &[(Peer, Option<f64>)],
) -> Result<Table> {
    let mut sides = vec![peers::create_side(lab, origin)];
    for (peer, hold) in peers {
        sides.push(peer.capture_side(lab, origin, *hold));
    }
    let mut table = Table::measure(
        format!("{fs}: capture, level 3"),
        origin.used(),
        lab.options.runs,
        sides,
    )?;
    let ours = table.size(0).context("an image has a size")?;
    for threads in ["-T0", "-T1"] {
        // What the image decodes to, as one stream: the same bytes, cut by nothing.
        let script = "zstd -dcq \"$1\" | zstd -q -3 \"$2\" | wc -c";
        let out = sh(script, &[text(&image(lab, OURS))?, threads])?.stdout;
        let one: u64 = String::from_utf8(out)?.trim().parse()?;
        table.note(format!(
            "image with index {} MB, the same content in one stream (`zstd -3 {threads}`) {} MB: {:+.2} %",
            mb(ours),
            mb(one),
            (float(ours) / float(one) - 1.0) * 100.0
        ));
    }
    let native = native(&image(lab, OURS))?;
    let frames: u64 = native
        .frames()
        .iter()
        .map(|f| u64::from(f.compressed_len))
        .sum();
    table.note(format!(
        "{} frames; index, trailer and seek table {} MB of the image",
        native.frames().len(),
        mb(ours - frames)
    ));
    Ok(table)
}

/// Capture with the former image as base against a first capture of the same volume.
fn recapture(lab: &Lab, origin: &Origin, spread: Spread) -> Result<Table> {
    let file = changed(lab, &origin.file, "changed.ext4", (RECAPTURED, spread))?;
    let now = Origin::open(&file)?;
    let base = image(lab, OURS);
    let side = |what: &'static str, dir: &'static str, base: Option<&Path>, hold| {
        let base = base.map(Path::to_owned);
        let now = &now;
        Side::new(what, hold, move |_| {
            now.warm()?;
            base.as_deref().map_or(Ok(()), warm)?;
            peers::create(lab, now, dir, base.as_deref())
        })
    };
    let sides = vec![
        side("with the former image as base", "again", Some(&base), None),
        side("first capture", "first", None, Some(2.0)),
    ];
    let title = format!("ext4: recapture, {RECAPTURED} % changed {}", spread.name());
    let mut table = Table::measure(title, now.used(), lab.options.runs, sides)?;
    let difference = diff(&native(&base)?, &native(&image(lab, "again"))?);
    table.note(format!(
        "{} MB differ on the volume; {} MB of new frames ({} of {})",
        mb(differing(&now.volume, &origin.file, &file)?),
        mb(difference.new_compressed),
        difference.new_frames,
        difference.new_frames + difference.shared_frames
    ));
    drop(now);
    fs::remove_file(&file)?;
    Ok(table)
}

/// Restore to an empty disk against peers.
pub(super) fn restore(
    lab: &Lab,
    origin: &Origin,
    fs: &str,
    peers: &[(Peer, Option<f64>)],
) -> Result<Table> {
    let mut sides = vec![peers::restore_side(lab, origin)];
    for (peer, hold) in peers {
        sides.push(peer.restore_side(lab, origin, *hold));
    }
    Table::measure(
        format!("{fs}: restore, source in memory"),
        origin.used(),
        lab.options.runs,
        sides,
    )
}

/// Verify against `zstd -t`.
fn verify(lab: &Lab, origin: &Origin) -> Result<Table> {
    let ours = image(lab, OURS);
    let side = |what: &'static str, script: &'static str, file: &Path, hold| {
        let file = file.to_owned();
        Side::new(what, hold, move |_| {
            warm(&file)?;
            let sample = measure(script, &[text(&file)?, &lab.azud])?;
            Ok(Turn { sample, size: None })
        })
    };
    let sides = vec![
        side("azud", r#""$2" --quiet image verify "$1""#, &ours, None),
        side(
            "zstd -t, image of partclone -a1",
            r#"zstd -tq "$1""#,
            &lab.path(EXT_A1.image),
            Some(3.0),
        ),
        side("zstd -t, our image", r#"zstd -tq "$1""#, &ours, Some(3.0)),
        side(
            "azud --deep",
            r#""$2" --quiet image verify --deep "$1""#,
            &ours,
            None,
        ),
    ];
    Table::measure("ext4: verify", origin.used(), lab.options.runs, sides)
}

/// Restore of what changed over what is there, against a whole restore over the same. The disk holds one of
/// two states and is brought to the other in each turn.
fn again(lab: &Lab, origin: &Origin, spread: Spread) -> Result<Table> {
    let file = changed(lab, &origin.file, "changed.ext4", (RESTORED, spread))?;
    let now = Origin::open(&file)?;
    let base = image(lab, OURS);
    peers::create(lab, &now, "again", Some(&base))?;
    let states = [(image(lab, "again"), &now), (base, origin)];
    let disks = [
        lab.disk(origin.volume.device_size)?,
        lab.disk(origin.volume.device_size)?,
    ];
    for disk in &disks {
        peers::restore(lab, &states[1].0, disk, false)?;
    }
    let mut written = Vec::new();
    let turn = |disk: &Disk, run: usize, changed_only: bool| -> Result<(Turn, u64)> {
        let (image, state) = &states[run % 2];
        disk.warm()?;
        let before = disk.written()?;
        let turn = peers::restore(lab, image, disk, changed_only)?;
        let written = disk.written()? - before;
        if run == 0 {
            check(disk, state, "azud", true)?;
        }
        Ok((turn, written))
    };
    let sides = vec![
        Side::new("--changed-only", None, |run| {
            let (turn, bytes) = turn(&disks[0], run, true)?;
            written.push(bytes);
            Ok(turn)
        }),
        Side::new("whole", Some(3.0), |run| Ok(turn(&disks[1], run, false)?.0)),
    ];
    let title = format!(
        "ext4: restore again, {RESTORED} % changed {}",
        spread.name()
    );
    let mut table = Table::measure(title, now.used(), lab.options.runs, sides)?;
    let bytes = differing(&now.volume, &origin.file, &file)?;
    let most = written.iter().copied().max().unwrap_or(0);
    table.note(format!(
        "{} MB differ, {} MB were written",
        mb(bytes),
        mb(most)
    ));
    drop((disks, now));
    fs::remove_file(&file)?;
    Ok(table)
}
