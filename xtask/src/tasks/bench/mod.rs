//! `cargo xtask bench`: how fast and how small, against what people use today.
//!
//! Every table comes from one run in which the sides take turns, on the same machine and data. Sources are
//! read into memory before each turn; targets are fresh loop devices over sparse files; the final sync
//! counts for everybody.

mod absent;
mod change;
mod data;
mod disks;
mod engine;
mod frames;
mod list;
mod measure;
mod ntfs;
mod options;
mod peers;
mod report;
mod served;
mod site;
mod table;
mod update;
mod upload;
mod wire;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{find, run as run_tool};

use super::complain;
use disks::Lab;
use options::Options;
use table::Table;

/// A group of tables over one volume or tree.
type Group = fn(&Lab) -> Result<Vec<Table>>;

/// Whether the tools of a group are here; says which one is not.
fn can(group: &str, tools: &[&str]) -> bool {
    let missing = tools.iter().find(|tool| find(tool).is_none());
    if let Some(tool) = missing {
        complain(&format!("bench: no {group}: {tool} is not installed"));
    }
    missing.is_none()
}

/// `bench frames DIR`, or everything against its peers.
pub(super) fn run(args: &[String]) -> Result<()> {
    if let [word, dir] = args
        && word == "frames"
    {
        return frames::run(dir.as_ref());
    }
    let options = Options::parse(args)?;
    for tool in ["time", "zstd", "losetup", "partclone.extfs", "mke2fs"] {
        ensure!(find(tool).is_some(), "{tool} is not installed");
    }
    let user = run_tool("id", &["-u"])?.stdout;
    ensure!(user == b"0\n", "loop devices and mounts need root");
    let lab = Lab::new(options)?;
    let groups: [(&str, Group); 7] = [
        ("ext4", engine::tables),
        ("ntfs", ntfs::tables),
        ("list", list::tables),
        ("update", update::tables),
        ("unicast", wire::unicast),
        ("deploy", wire::deploy),
        ("upload", upload::tables),
    ];
    for (name, group) in groups {
        if lab.options.only.is_empty() || lab.options.only.iter().any(|only| only.starts_with(name))
        {
            let tables = group(&lab).with_context(|| format!("group {name}"))?;
            report::show(&lab, name, &tables)?;
        }
    }
    complain("bench: done");
    Ok(())
}
