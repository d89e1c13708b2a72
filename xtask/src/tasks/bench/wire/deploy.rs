//! An image comes from a server into a cache and onto a disk, at once or one after the other.

use std::cell::Cell;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use azud_testkit::cable::{Cable, Side as End};
use azud_testkit::loops::Mount;
use azud_testkit::tools::run;

use super::super::absent::Absent;
use super::super::change::{Spread, changed};
use super::super::data;
use super::super::disks::{Disk, Lab, Origin, check, text, warm};
use super::super::measure::measure;
use super::super::peers::{self, EXT_A1, OURS, image};
use super::super::table::{Side, Table, Turn, mb};
use super::room::{CLIENT, Room};

const RATE: &str = "1gbit";
/// Share of the files' bytes that changed, in percent.
const CHANGED: u32 = 2;
/// A deployment takes at most so many times as long as its slowest part.
const HOLD: f64 = 1.1;

/// `$1` is the directory of the cache, `$2` the disk, `$3` the url of today's image, `$4` the image, `$5` how many
/// pieces of 4 MiB its content has.
const DEPLOY: &str =
    r#"client "$azud" --quiet deploy --yes --cache "$1" REPO:volume "$2"; sync -f "$1"; sync "$2""#;
const DIRECT: &str =
    r#"client "$azud" --quiet deploy --yes --no-cache REPO:volume "$2"; sync "$2""#;
const DOWNLOAD: &str =
    r#"client "$azud" --quiet image copy --yes REPO:volume "$1/volume.img"; sync -f "$1""#;
const RESTORE: &str = r#"client "$azud" --quiet image restore --yes "$4" "$2"; sync "$2""#;
const UPDATE: &str =
    r#"client "$azud" --quiet cache update --yes "$1/volume.img" --from REPO:volume; sync -f "$1""#;
const CHANGED_ONLY: &str =
    r#"client "$azud" --quiet image restore --yes --changed-only "$4" "$2"; sync "$2""#;
/// What cache and disk, which lie on one disk here, take to be written with nothing else to be done.
const WRITE: &str = r#"cat "$4" >"$1/volume.img" & pid=$!
dd if=/dev/zero of="$2" bs=4M count="$5" oflag=direct conv=notrunc status=none; wait "$pid"; sync -f "$1"; sync "$2""#;
/// What the disk, on which both lie here, has to do for the second one: all in use is read, the cache written.
const DISK: &str = r#"cat "$4" >"$1/new.img" & all=$!; quarter=$((($5 + 3) / 4))
for from in 0 1 2 3; do
dd if="$2" of=/dev/null bs=4M iflag=direct skip="$((from * quarter))" count="$quarter" status=none & all="$all $!"
done
for pid in $all; do wait "$pid"; done; sync -f "$1""#;
const TODAY: &str = r#"client curl -sSf -o "$1/today" "$3"; sync -f "$1"
zstd -dcq "$1/today" | partclone.restore -q -s - -o "$2" -L /dev/null; sync "$2""#;

/// All tables; none when tools are missing.
pub(in super::super) fn tables(lab: &Lab) -> Result<Vec<Table>> {
    if !super::can("deploy") {
        return Ok(Vec::new());
    }
    let origin = Origin::open(&data::ext4(&lab.options)?)?;
    peers::create(lab, &origin, OURS, None)?;
    EXT_A1.capture(lab, &origin)?;
    fs::rename(lab.path(EXT_A1.image), lab.path(OURS).join(EXT_A1.image))?;
    Ok(vec![first(lab, &origin)?, again(lab, &origin)?])
}

/// A cache and a disk, both fresh.
struct Client {
    mount: Mount,
    _cache: Disk,
    disk: Disk,
}

impl Client {
    fn new(lab: &Lab, origin: &Origin) -> Result<Self> {
        let size = fs::metadata(image(lab, OURS))?.len();
        let cache = lab.disk((size * 3 + (256 << 20)).next_multiple_of(1 << 20))?;
        run(
            "mke2fs",
            &["-q", "-F", "-t", "ext4", "-m", "0", cache.name()],
        )?;
        let mount = Mount::new(Path::new(cache.name()), None, "noatime")?;
        Ok(Self {
            mount,
            _cache: cache,
            disk: lab.disk(origin.volume.device_size)?,
        })
    }

    /// Runs a script; how long it took until the first byte was on the disk.
    fn turn(
        &self,
        room: &Room,
        script: &str,
        (image, used): (&Path, u64),
    ) -> Result<(Turn, Option<Duration>)> {
        let url = format!("http://{}/{}", Cable::SERVER, EXT_A1.image);
        let pieces = (used >> 22).to_string();
        let own = [
            text(self.mount.path())?,
            self.disk.name(),
            &url,
            text(image)?,
            &pieces,
        ];
        let args = [&room.args()?[..], &own].concat();
        // What others left to be written would count as the first byte, and before that its time.
        run("sync", &[])?;
        let before = self.disk.written()?;
        let ended = &AtomicBool::new(false);
        let (sample, first) = thread::scope(|scope| {
            let begun = Instant::now();
            let watcher = scope.spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    if self.disk.written().is_ok_and(|now| now > before) {
                        return Some(begun.elapsed());
                    }
                    thread::sleep(Duration::from_millis(2));
                }
                None
            });
            let sample = measure(&[CLIENT, script].concat(), &args);
            ended.store(true, Ordering::Relaxed);
            (sample, watcher.join().ok().flatten())
        });
        let turn = Turn {
            sample: sample?,
            size: None,
        };
        Ok((turn, first))
    }
}

fn first(lab: &Lab, origin: &Origin) -> Result<Table> {
    let room = Room::new(lab, Some(RATE), &lab.path(OURS))?;
    let ours = image(lab, OURS);
    let ways = [
        ("azud deploy, cache and disk", DEPLOY, None),
        ("the download alone", DOWNLOAD, None),
        ("the restore alone", RESTORE, None),
        ("the writing alone", WRITE, None),
        ("azud deploy --no-cache", DIRECT, None),
        ("curl, then zstd and partclone.restore", TODAY, Some(1.0)),
    ];
    let firsts: Vec<_> = ways.iter().map(|_| Cell::new(None)).collect();
    let sides = ways
        .iter()
        .zip(&firsts)
        .map(|((what, script, hold), seen)| {
            let (room, ours) = (&room, &ours);
            Side::new(*what, *hold, move |run_number| {
                let client = Client::new(lab, origin)?;
                warm(ours)?;
                warm(&lab.path(OURS).join(EXT_A1.image))?;
                let (turn, first) = client.turn(room, script, (ours, origin.used()))?;
                seen.set(first);
                if run_number == 0 && ![DOWNLOAD, WRITE].contains(script) {
                    check(&client.disk, origin, what, *script != TODAY)?;
                }
                client.mount.unmount()?;
                Ok(turn)
            })
        });
    let title = "deploy, 1 Gbit, cache and disk empty";
    let sides = sides.collect();
    let mut table = Table::measure(title, origin.used(), lab.options.runs, sides)?;
    note_parts(&mut table, 1..4);
    for ((what, ..), seen) in ways.iter().zip(&firsts) {
        if let Some(first) = seen.get() {
            let millis = first.as_millis();
            table.note(format!("{what}: first byte on the disk after {millis} ms"));
        }
    }
    table.note_memory(room.manager_peak()?);
    Ok(table)
}

/// Holds the first side against the slowest of those that do a part of it.
fn note_parts(table: &mut Table, parts: Range<usize>) {
    let slowest = parts.map(|part| table.wall(part)).fold(0.0, f64::max);
    let ratio = table.wall(0) / slowest;
    let verdict = if ratio <= HOLD { "yes" } else { "**no**" };
    table.note(format!(
        "azud deploy takes {ratio:.2} times as long as the slowest of its parts, hold: ≤ {HOLD} {verdict}"
    ));
}

/// The image before and after a change, and the changed volume.
struct Pair {
    old: PathBuf,
    new: PathBuf,
    now: Origin,
    absent: Absent,
}

impl Pair {
    fn make(lab: &Lab, origin: &Origin) -> Result<Self> {
        let old = lab.fresh_dir("old")?.join("volume.img");
        fs::copy(image(lab, OURS), &old)?;
        let change = (CHANGED, Spread::Files);
        let file = changed(lab, &origin.file, "changed.ext4", change)?;
        let now = Origin::open(&file)?;
        peers::create(lab, &now, "newer", Some(&old))?;
        let new = image(lab, "newer");
        EXT_A1.capture(lab, &now)?;
        let today = lab.path("newer").join(EXT_A1.image);
        fs::rename(lab.path(EXT_A1.image), today)?;
        Ok(Self {
            absent: Absent::of((&old, &new), (origin, &now))?,
            old,
            new,
            now,
        })
    }
}

fn again(lab: &Lab, origin: &Origin) -> Result<Table> {
    let pair = &Pair::make(lab, origin)?;
    let room = &Room::new(lab, Some(RATE), &lab.path("newer"))?;
    let ways = [
        ("azud deploy", DEPLOY),
        ("azud deploy --no-cache", DIRECT),
        ("curl, then zstd and partclone.restore", TODAY),
        ("the update of the cache alone", UPDATE),
        ("the restore alone", CHANGED_ONLY),
        ("reading the disk and writing the cache alone", DISK),
    ];
    let came: Vec<_> = ways.iter().map(|_| Cell::new(0)).collect();
    let sides = ways.iter().zip(&came).map(|((what, script), came)| {
        let hold = (*script == TODAY).then_some(1.0);
        Side::new(*what, hold, move |run_number| {
            let client = Client::new(lab, &pair.now)?;
            fs::copy(&pair.old, client.mount.path().join("volume.img"))?;
            peers::restore(lab, &pair.old, &client.disk, false)?;
            warm(&pair.new)?;
            let before = room.cable.received(End::Client)?;
            let (turn, _) = client.turn(room, script, (&pair.new, pair.now.used()))?;
            came.set(room.cable.received(End::Client)? - before);
            if run_number == 0 && ![UPDATE, DISK].contains(script) {
                check(&client.disk, &pair.now, what, *script != TODAY)?;
            }
            client.mount.unmount()?;
            Ok(turn)
        })
    });
    let title = format!(
        "deploy again, 1 Gbit, {CHANGED} % changed {}",
        Spread::Files.name()
    );
    let sides = sides.collect();
    let mut table = Table::measure(title, pair.now.used(), lab.options.runs, sides)?;
    note_parts(&mut table, 3..6);
    table.note(pair.absent.text());
    for ((what, _), came) in ways.iter().zip(&came) {
        let came = came.get();
        table.note(format!(
            "{what}: {} MB over the cable, with all that belongs to it ({})",
            mb(came),
            pair.absent.times(came)
        ));
    }
    table.note_memory(room.manager_peak()?);
    fs::remove_file(&pair.now.file).context("the changed volume")?;
    Ok(table)
}
