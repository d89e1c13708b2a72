//! An image comes from a server to the files of one client, or of eight.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use azud_testkit::cable::Cable;
use azud_testkit::tools::run;

use super::super::data;
use super::super::disks::{Lab, Origin, text, warm};
use super::super::measure::measure;
use super::super::peers::{self, OURS, image};
use super::super::table::{Side, Table, Turn, mb};
use super::room::{CLIENT, Room};

/// The part of nginx' and curl's rate that is to be reached.
const HOLD: f64 = 0.97;
/// What the cable gives.
const RATE: &str = "1gbit";

/// `$1` is where the files go, `$2` the certificate, `$3` how many clients.
const AZUD: &str = r#"for n in $(seq "$3"); do mkdir "$1/$n"; client "$azud" --quiet image copy --yes REPO:volume "$1/$n/volume.img" & pids="${pids:-} $!"; done
for pid in $pids; do wait "$pid"; done; sync -f "$1""#;
const CURL: &str = r#"for n in $(seq "$3"); do mkdir "$1/$n"; client curl -sSf --cacert "$2" -o "$1/$n/volume.img" "$4/volume.img" & pids="${pids:-} $!"; done
for pid in $pids; do wait "$pid"; done; sync -f "$1""#;

/// All tables; none when tools are missing.
pub(in super::super) fn tables(lab: &Lab) -> Result<Vec<Table>> {
    if !super::can("unicast") {
        return Ok(Vec::new());
    }
    let origin = Origin::open(&data::ext4(&lab.options)?)?;
    peers::create(lab, &origin, OURS, None)?;
    let mut tables = Vec::new();
    for (rate, clients) in [(Some(RATE), 1), (Some(RATE), 8), (None, 1), (None, 8)] {
        tables.push(table(lab, rate, clients)?);
    }
    Ok(tables)
}

fn table(lab: &Lab, rate: Option<&str>, clients: u64) -> Result<Table> {
    let wanted = image(lab, OURS);
    let room = Room::new(lab, rate, &lab.path(OURS))?;
    let size = fs::metadata(&wanted)?.len();
    let urls = ["https", "http"].map(|scheme| format!("{scheme}://{}", Cable::SERVER));
    let turn = |script: &str, url: &str, run_number: usize| -> Result<Turn> {
        warm(&wanted)?;
        let to = lab.fresh_dir("received")?;
        let certificate = room.certificate();
        let count = clients.to_string();
        let own = [text(&to)?, text(&certificate)?, &count, url];
        let sample = measure(
            &[CLIENT, script].concat(),
            &[&room.args()?[..], &own].concat(),
        )?;
        if run_number == 0 {
            all_same(&wanted, &to, clients)?;
        }
        fs::remove_dir_all(&to)?;
        Ok(Turn { sample, size: None })
    };
    let hold = rate.map(|_| HOLD);
    let sides = vec![
        Side::new("azud image copy, TLS", None, |run| turn(AZUD, "", run)),
        Side::new("nginx and curl, TLS", hold, |run| turn(CURL, &urls[0], run)),
        Side::new("nginx and curl, plain", hold, |run| {
            turn(CURL, &urls[1], run)
        }),
    ];
    let title = format!(
        "unicast, {}, {}",
        rate.map_or("a cable without limit", |_| "1 Gbit"),
        if clients == 1 {
            "one client"
        } else {
            "eight clients"
        }
    );
    let mut table = Table::measure(title, size * clients, lab.options.runs, sides)?;
    table.note(format!("image {} MB", mb(size)));
    table.note_memory(room.manager_peak()?);
    Ok(table)
}

fn all_same(wanted: &Path, dir: &Path, clients: u64) -> Result<()> {
    for number in 1..=clients {
        let got = dir.join(number.to_string()).join("volume.img");
        let same = run("cmp", &[text(wanted)?, text(&got)?]).is_ok();
        ensure!(same, "client {number} has another file");
    }
    Ok(())
}
