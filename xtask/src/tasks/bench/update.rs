//! A newer image comes into a cache that has the former one, against those who send differences of files.
//!
//! All sides bring the same former file to the same newer one, on a fresh file system on a loop device. What
//! each has to be sent is read from its own statistics, or counted in what it fetched.

mod server;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{run, run_any, sh};

use super::absent::{Absent, Versions};
use super::can;
use super::change::Spread;
use super::data;
use super::disks::{Disk, Lab, Origin, text, warm};
use super::measure::measure;
use super::peers::{self, OURS};
use super::site::{CLIENT, Manager, Site};
use super::table::{Side, Table, Turn, mb};
use server::Server;

/// Share of the files' bytes that changed, in percent.
const CHANGED: u32 = 2;

/// Where the image lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// ext4 with a tenth free: no room for both images.
    Tight,
    /// XFS with room, whose files share blocks.
    Roomy,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Tight => "ext4 with 10 % free",
            Self::Roomy => "XFS",
        }
    }

    /// A fresh one with room for images of this size.
    fn make(self, lab: &Lab, image: u64) -> Result<(Disk, Mount)> {
        const MIB: u64 = 1 << 20;
        let len = match self {
            // The journal and the file system's own notes come on top.
            Self::Tight => image * 10 / 9 + 24 * MIB,
            Self::Roomy => image * 3 + 512 * MIB,
        };
        let disk = lab.disk(len.next_multiple_of(MIB))?;
        let make: &[&str] = match self {
            Self::Tight => &[
                "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-N", "256", "-J", "size=8",
            ],
            Self::Roomy => &["mkfs.xfs", "-q", "-m", "reflink=1"],
        };
        let (program, options) = make.split_first().context("a program")?;
        run(program, &[options, &[disk.name()]].concat())?;
        let mount = Mount::new(Path::new(disk.name()), None, "noatime")?;
        Ok((disk, mount))
    }
}

/// The pair, and what peers keep of it on their servers.
struct Pair {
    old: PathBuf,
    new: PathBuf,
    /// What casync's chunks come from.
    store: PathBuf,
    /// Bytes of the chunks that the former image has none of, as they lie in the store.
    chunks: u64,
    server: Server,
    /// Our client's settings, and the manager that it knows, which has the newer image.
    site: Site,
    manager: Manager,
    absent: Absent,
}

/// All tables; none when tools are missing.
pub(super) fn tables(lab: &Lab) -> Result<Vec<Table>> {
    if !can(
        "update",
        &["rsync", "casync", "zsync", "zsyncmake", "nginx", "mkfs.xfs"],
    ) {
        return Ok(Vec::new());
    }
    let origin = Origin::open(&data::ext4(&lab.options)?)?;
    peers::create(lab, &origin, OURS, None)?;
    let mut tables = Vec::new();
    for spread in Spread::ALL {
        let pair = Pair::make(lab, &origin, spread)?;
        for place in [Place::Tight, Place::Roomy] {
            let refusal = refusal(lab, &pair, place)?;
            tables.push(table(lab, &pair, (place, spread), refusal)?);
        }
    }
    Ok(tables)
}

impl Pair {
    fn make(lab: &Lab, origin: &Origin, spread: Spread) -> Result<Self> {
        let Versions {
            old,
            new,
            volume,
            absent,
        } = Versions::make(lab, origin, (CHANGED, spread))?;
        fs::remove_file(volume)?;
        let store = lab.fresh_dir("casync")?;
        let script = r#"cd "$3"; casync make --store=old.castr old.caibx "$1"; casync make --store=new.castr new.caibx "$2"
cd new.castr; find . -name '*.cacnk' | while read -r chunk; do test -e "../old.castr/$chunk" || stat -c %s "$chunk"; done | awk '{ sum += $1 } END { print sum + 0 }'"#;
        let said = sh(script, &[text(&old)?, text(&new)?, text(&store)?])?.stdout;
        let said = String::from_utf8(said)?;
        let chunks = said.lines().last().context("a sum")?.trim().parse()?;
        let server = Server::start(&lab.fresh_dir("server")?, &new)?;
        let site = Site::new(lab)?;
        let manager = site.serve(new.parent().context("a directory")?)?;
        Ok(Self {
            old,
            new,
            store,
            chunks,
            server,
            site,
            manager,
            absent,
        })
    }

    /// Bytes of the larger image.
    fn larger(&self) -> Result<u64> {
        Ok(fs::metadata(&self.old)?
            .len()
            .max(fs::metadata(&self.new)?.len()))
    }
}

/// What a turn of a side moved.
#[derive(Debug, Clone, Copy, Default)]
struct Moved {
    /// From the source.
    fetched: u64,
    /// To the medium.
    written: u64,
    /// Over loopback, with all that belongs to it.
    wire: u64,
}

impl Moved {
    /// In words, of one that came that way.
    fn over_loopback(&self) -> String {
        if self.wire < self.fetched / 2 {
            return String::new();
        }
        let wire = mb(self.wire);
        format!(", {wire} MB over loopback with all that belongs to it")
    }
}

/// What went over loopback so far, in bytes.
fn loopback() -> Result<u64> {
    let count = fs::read_to_string("/sys/class/net/lo/statistics/rx_bytes")?;
    Ok(count.trim().parse()?)
}

/// How a side works: a script with the program, the image, the newer one, a file for statistics and
/// something of its own; and how to read the statistics.
struct Way<'a> {
    what: &'static str,
    /// Whether it is a peer, slower than which we may not be.
    is_peer: bool,
    script: &'static str,
    own: String,
    fetched: Fetched<'a>,
}

/// Reads from statistics what a side was sent.
type Fetched<'a> = Box<dyn Fn(&str) -> Option<u64> + 'a>;

const AZUD: &str = r#""$1" --json cache update --yes "$2" --from REPO:volume >"$4"; sync -f "$2""#;
const AZUD_FILE: &str = r#""$1" --json cache update --yes "$2" --from "$3" >"$4"; sync -f "$2""#;
const RSYNC: &str = r#"rsync --inplace --no-whole-file --stats "$3" "$2" >"$4"; sync -f "$2""#;
const CASYNC: &str = r#"casync extract --store="$5/new.castr" --seed="$2" "$5/new.caibx" "$2.new" 2>"$4"
mv "$2.new" "$2"; sync -f "$2""#;
const ZSYNC: &str =
    r#"cd "${2%/*}"; zsync -i "$2" -o "$2.new" "$5" >"$4" 2>&1; mv "$2.new" "$2"; sync -f "$2""#;

fn ways(pair: &Pair, place: Place) -> Result<Vec<Way<'_>>> {
    let ours = |what, script| -> Result<Way<'_>> {
        Ok(Way {
            what,
            is_peer: false,
            script,
            own: text(pair.site.dir())?.to_owned(),
            fetched: Box::new(|said| last_line(said)?["from_source"].as_u64()),
        })
    };
    let mut ways = vec![
        ours("azud cache update, from a manager", AZUD)?,
        ours("azud cache update, from a file", AZUD_FILE)?,
        Way {
            what: "rsync --inplace --no-whole-file",
            is_peer: true,
            script: RSYNC,
            own: String::new(),
            // What goes over the pipe to the receiver; the sums that come back are not counted.
            fetched: Box::new(|said| number_after(said, "Total bytes sent:")),
        },
    ];
    // They make a second file beside the first.
    if place == Place::Roomy {
        ways.push(Way {
            what: "casync extract --seed",
            is_peer: true,
            script: CASYNC,
            own: text(&pair.store)?.to_owned(),
            fetched: Box::new(|_| Some(pair.chunks)),
        });
        ways.push(Way {
            what: "zsync",
            is_peer: true,
            script: ZSYNC,
            own: pair.server.url(),
            fetched: Box::new(|said| number_after(said, "fetched ")),
        });
    }
    Ok(ways)
}

/// The number that follows these words, with or without commas.
pub(super) fn number_after(said: &str, words: &str) -> Option<u64> {
    let (_, rest) = said.rsplit_once(words)?;
    let digits = rest.trim_start().chars();
    let digits: String = digits
        .take_while(|c| c.is_ascii_digit() || *c == ',')
        .filter(|c| *c != ',')
        .collect();
    digits.parse().ok()
}

/// The last of the lines of JSON that azud printed.
pub(super) fn last_line(said: &str) -> Option<serde_json::Value> {
    serde_json::from_str(said.lines().last()?).ok()
}

/// What azud says where it refuses for want of room; `None` where it has room enough. The old image stays whole
/// until the new one is, so what is absent must fit beside it. Any other failure is one of the benchmark.
fn refusal(lab: &Lab, pair: &Pair, place: Place) -> Result<Option<String>> {
    let (_disk, mount) = place.make(lab, pair.larger()?)?;
    let image = mount.path().join("volume.img");
    fs::copy(&pair.old, &image)?;
    let from = text(&pair.new)?;
    let args = ["--json", "cache", "update", "--yes", text(&image)?];
    let output = run_any(
        &lab.azud,
        &[&args[..], &["--from", from, "--dry-run"]].concat(),
    )?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let planned = last_line(&said).with_context(|| format!("azud said: {said}"))?;
    let code = planned["error"]["code"].as_str().unwrap_or_default();
    ensure!(code == "store/no-room", "a dry run failed: {said}");
    // For good, and nothing is left of it.
    let output = run_any(&lab.azud, &[&args[..], &["--from", from]].concat())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = last_line(&said).with_context(|| format!("azud said: {said}"))?;
    ensure!(error["error"]["code"] == code, "another answer: {said}");
    run("cmp", &[text(&image)?, text(&pair.old)?])?;
    mount.unmount()?;
    let why = error["error"]["message"].as_str().unwrap_or_default();
    let why = why.replace(&image.display().to_string(), "volume.img");
    Ok(Some(format!("{code}: {why}")))
}

fn table(
    lab: &Lab,
    pair: &Pair,
    (place, spread): (Place, Spread),
    refusal: Option<String>,
) -> Result<Table> {
    let mut ways = ways(pair, place)?;
    if refusal.is_some() {
        ways.retain(|way| way.is_peer);
    }
    let seen: Vec<_> = ways
        .iter()
        .map(|_| std::cell::Cell::new(Moved::default()))
        .collect();
    let size = fs::metadata(&pair.new)?.len();
    let mut sides = Vec::new();
    for (way, seen) in ways.iter().zip(&seen) {
        // Faster than each of the others.
        let hold = (way.is_peer && refusal.is_none()).then_some(1.0);
        sides.push(Side::new(way.what, hold, move |_| {
            let (turn, moved) = turn(lab, pair, (place, way))?;
            seen.set(moved);
            Ok(turn)
        }));
    }
    let title = format!(
        "cache update, {CHANGED} % changed {}, {}",
        spread.name(),
        place.name()
    );
    let mut table = Table::measure(title, size, lab.options.runs, sides)?;
    if let Some(why) = refusal {
        table.note(format!(
            "**no** line for azud cache update: it refuses. {why}"
        ));
    }
    table.note(format!("image {} MB; {}", mb(size), pair.absent.text()));
    for (way, seen) in ways.iter().zip(&seen) {
        let moved = seen.get();
        table.note(format!(
            "{}: {} MB from the source ({}), {} MB written to the medium{}",
            way.what,
            mb(moved.fetched),
            pair.absent.times(moved.fetched),
            mb(moved.written),
            moved.over_loopback()
        ));
    }
    table.note_memory(pair.manager.peak()?);
    Ok(table)
}

fn turn(lab: &Lab, pair: &Pair, (place, way): (Place, &Way<'_>)) -> Result<(Turn, Moved)> {
    let (disk, mount) = place.make(lab, pair.larger()?)?;
    let image = mount.path().join("volume.img");
    fs::copy(&pair.old, &image)?;
    run("sync", &["-f", text(&image)?])?;
    warm(&image)?;
    warm(&pair.new)?;
    let statistics = lab.path("statistics");
    let (before, wire) = (disk.written()?, loopback()?);
    let args = [
        lab.azud.as_str(),
        text(&image)?,
        text(&pair.new)?,
        text(&statistics)?,
        &way.own,
    ];
    let sample = measure(&[CLIENT, way.script].concat(), &args).with_context(|| {
        let said = fs::read(&statistics).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    })?;
    let (written, wire) = (disk.written()? - before, loopback()? - wire);
    let said = String::from_utf8_lossy(&fs::read(&statistics)?).into_owned();
    let fetched = (way.fetched)(&said).with_context(|| format!("{}: {said}", way.what))?;
    let same = File::open(&image)?.metadata()?.len() == fs::metadata(&pair.new)?.len()
        && run("cmp", &[text(&image)?, text(&pair.new)?]).is_ok();
    ensure!(same, "{}: another file", way.what);
    mount.unmount()?;
    let moved = Moved {
        fetched,
        written,
        wire,
    };
    Ok((Turn { sample, size: None }, moved))
}

#[cfg(test)]
mod tests {
    use super::number_after;

    #[test]
    fn statistics_are_understood() {
        assert_eq!(
            number_after("Total bytes sent: 1,234,567\nx", "Total bytes sent:"),
            Some(1_234_567)
        );
        assert_eq!(
            number_after("used 5 local, fetched 78\n", "fetched "),
            Some(78)
        );
        assert_eq!(number_after("nothing", "fetched "), None);
    }
}
