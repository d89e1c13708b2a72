//! A newer image goes up to a manager that has the former one: by Azud over HTTPS, and by rsync over a pipe.
//!
//! Both sides bring the same former file to the newer one, on a fresh XFS on a loop device. What travels is read from
//! each one's own statistics: for Azud all that it sent, records and index included.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use azud_testkit::loops::Mount;
use azud_testkit::tools::run;

use super::absent::Versions;
use super::can;
use super::change::Spread;
use super::data;
use super::disks::{Lab, Origin, text, warm};
use super::measure::measure;
use super::peers::{self, OURS};
use super::site::{CLIENT, Site};
use super::table::{Side, Table, Turn, mb};
use super::update::{last_line, number_after};

/// Share of the files' bytes that changed, in percent.
const CHANGED: u32 = 2;

/// Arguments: program, image on the server, newer image, statistics, the client's site, newer volume.
const COPY: &str = r#""$1" --json image copy --yes "$3" REPO:volume >"$4"; sync -f "$2""#;
const RSYNC: &str = r#"rsync --inplace --no-whole-file --stats "$3" "$2" >"$4"; sync -f "$2""#;
const CREATE: &str = r#""$1" --json image create --yes "$6" REPO:volume >"$4"; sync -f "$2""#;
const CREATE_RSYNC: &str = r#""$1" --quiet image create --yes --base "$7" "$6" "$8"; rsync --inplace --no-whole-file --stats "$8" "$2" >"$4"; sync -f "$2""#;

/// A side: its name, its script, and how its statistics tell what travelled.
struct Way {
    what: &'static str,
    script: &'static str,
    sent: fn(&str) -> Option<u64>,
    /// Whether the file that comes to be is the newer image, byte for byte.
    exact: bool,
}

fn by_azud(said: &str) -> Option<u64> {
    last_line(said)?["sent"].as_u64()
}

fn by_rsync(said: &str) -> Option<u64> {
    number_after(said, "Total bytes sent:")
}

/// All tables; none when tools are missing.
pub(super) fn tables(lab: &Lab) -> Result<Vec<Table>> {
    if !can("upload", &["rsync", "mkfs.xfs"]) {
        return Ok(Vec::new());
    }
    let origin = Origin::open(&data::ext4(&lab.options)?)?;
    peers::create(lab, &origin, OURS, None)?;
    let mut tables = Vec::new();
    for spread in Spread::ALL {
        let pair = Versions::make(lab, &origin, (CHANGED, spread))?;
        let ways = [
            ("image copy to the manager", ways(false)),
            ("capture to the manager", ways(true)),
        ];
        for (title, ways) in ways {
            let title = format!("{title}, {CHANGED} % changed {}", spread.name());
            tables.push(table(lab, &pair, title, &ways)?);
        }
        fs::remove_file(&pair.volume)?;
    }
    Ok(tables)
}

fn ways(capture: bool) -> [Way; 2] {
    let way = |what, script, sent, exact| Way {
        what,
        script,
        sent,
        exact,
    };
    if capture {
        [
            way("azud image create DEVICE REPO:", CREATE, by_azud, false),
            way(
                "azud image create, then rsync",
                CREATE_RSYNC,
                by_rsync,
                false,
            ),
        ]
    } else {
        [
            way("azud image copy FILE REPO:", COPY, by_azud, true),
            way("rsync --inplace --no-whole-file", RSYNC, by_rsync, true),
        ]
    }
}

fn table(lab: &Lab, pair: &Versions, title: String, ways: &[Way]) -> Result<Table> {
    let seen: Vec<_> = ways.iter().map(|_| Cell::new(0)).collect();
    let manager = &Cell::new(0);
    let size = fs::metadata(&pair.new)?.len();
    let mut sides = Vec::new();
    for (number, (way, seen)) in ways.iter().zip(&seen).enumerate() {
        // Faster than the others.
        let hold = (number > 0).then_some(1.0);
        sides.push(Side::new(way.what, hold, move |_| {
            let (turn, sent, peak) = turn(lab, pair, way)?;
            seen.set(sent);
            manager.set(manager.get().max(peak));
            Ok(turn)
        }));
    }
    let mut table = Table::measure(title, size, lab.options.runs, sides)?;
    table.note(format!("image {} MB; {}", mb(size), pair.absent.text()));
    for (way, seen) in ways.iter().zip(&seen) {
        let sent = seen.get();
        table.note(format!(
            "{}: {} MB sent ({})",
            way.what,
            mb(sent),
            pair.absent.times(sent)
        ));
    }
    table.note_memory(manager.get());
    Ok(table)
}

/// What a turn cost, how much was sent, and the most memory that the manager had.
fn turn(lab: &Lab, pair: &Versions, way: &Way) -> Result<(Turn, u64, u64)> {
    const MIB: u64 = 1 << 20;
    let larger = fs::metadata(&pair.old)?
        .len()
        .max(fs::metadata(&pair.new)?.len());
    // Room for what a capture may need at most.
    let room = larger * 2 + fs::metadata(&pair.volume)?.len() + 512 * MIB;
    let disk = lab.disk(room.next_multiple_of(MIB))?;
    run("mkfs.xfs", &["-q", "-m", "reflink=1", disk.name()])?;
    let mount = Mount::new(Path::new(disk.name()), None, "noatime")?;
    let target = mount.path().join("volume.img");
    fs::copy(&pair.old, &target)?;
    run("sync", &["-f", text(&target)?])?;
    let site = Site::new(lab)?;
    let manager = site.serve(mount.path())?;
    for file in [&target, &pair.new, &pair.volume] {
        warm(file)?;
    }
    let (statistics, own) = (lab.path("statistics"), lab.path("own.img"));
    let args = [
        lab.azud.as_str(),
        text(&target)?,
        text(&pair.new)?,
        text(&statistics)?,
        text(site.dir())?,
        text(&pair.volume)?,
        text(&pair.old)?,
        text(&own)?,
    ];
    let sample = measure(&[CLIENT, way.script].concat(), &args)?;
    let said = fs::read_to_string(&statistics)?;
    let sent = (way.sent)(&said).with_context(|| format!("{}: {said}", way.what))?;
    let peak = manager.peak()?;
    drop(manager);
    if way.exact {
        run("cmp", &[text(&target)?, text(&pair.new)?])?;
    } else {
        run(&lab.azud, &["image", "verify", text(&target)?])?;
    }
    mount.unmount()?;
    for left in ["own.img", "own.img.info", "own.img.sum", "own.img.full.sum"] {
        let path = lab.path(left);
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    Ok((Turn { sample, size: None }, sent, peak))
}
