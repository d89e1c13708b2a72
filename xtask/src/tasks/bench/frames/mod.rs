//! `cargo xtask bench frames DIR`: what each way of cutting costs in size and saves in updates, over the
//! volumes that `bench/os-upgrade.sh DIR` makes.

mod ways;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use azud_core::format::index::Frame;
use azud_disk::Source;
use azud_disk::source::{Access, Bulk};
use azud_image::capture::DeviceContent;
use azud_image::fs::{MapOptions, Volume, map};

use super::super::{complain, say};
use super::measure::own_cpu;
use ways::{Cut, Way};

/// The states of the system, oldest first.
const STATES: [&str; 4] = [
    "1-installed",
    "2-small-update",
    "3-upgraded",
    "4-reinstalled",
];

/// A state: its volume and how to read it.
struct State {
    volume: Volume,
    device: Bulk,
}

impl State {
    fn open(file: &Path) -> Result<Self> {
        let source = Source::open(file).with_context(|| file.display().to_string())?;
        let volume = map(&source, &MapOptions::default())?.context("no file system is known")?;
        let device = source.bulk(Access::Cached)?;
        Ok(Self { volume, device })
    }

    fn content(&self) -> DeviceContent<'_> {
        DeviceContent::new(&self.device, &self.volume.used, self.volume.block_size)
    }
}

/// Prints the tables.
pub(super) fn run(dir: &Path) -> Result<()> {
    let states = STATES
        .iter()
        .map(|name| State::open(&dir.join(format!("{name}.img"))))
        .collect::<Result<Vec<_>>>()?;
    let streams = floor(&states)?;
    say(
        "\n| frames | size % of one stream | frames per GiB | index MB | small update MB | upgrade MB | reinstallation MB | CPU s |",
    );
    say("|---|---:|---:|---:|---:|---:|---:|---:|");
    let used: u64 = states.iter().map(|state| state.volume.used_bytes()).sum();
    for way in Way::ALL {
        complain(&format!("bench frames: {}", way.name()));
        let before = own_cpu()?;
        let cuts = states
            .iter()
            .map(|state| way.cut(&state.device, &state.volume))
            .collect::<Result<Vec<_>>>()?;
        let cpu = own_cpu()? - before;
        say(&row(way, &cuts, (streams, used), cpu));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn row(way: Way, cuts: &[Cut], (streams, used): (u64, u64), cpu: f64) -> String {
    let size: u64 = cuts.iter().map(|cut| cut.file_len).sum();
    let frames: usize = cuts.iter().map(|cut| cut.frames.len()).sum();
    let index: u64 = cuts.iter().map(Cut::index_len).sum();
    let new = |n: usize| mb(lacking(&cuts[n - 1].frames, &cuts[n].frames));
    format!(
        "| {} | {:+.2} | {:.0} | {} | {} | {} | {} | {cpu:.1} |",
        way.name(),
        (size as f64 / streams as f64 - 1.0) * 100.0,
        frames as f64 / (used as f64 / f64::from(1 << 30)),
        mb(index / cuts.len() as u64),
        new(1),
        new(2),
        new(3),
    )
}

/// Bytes of the frames of `new` whose content is not in `old`, each content once.
fn lacking(old: &[Frame], new: &[Frame]) -> u64 {
    let mut known: HashSet<_> = old.iter().map(|frame| frame.content_hash).collect();
    new.iter()
        .filter(|frame| known.insert(frame.content_hash))
        .map(|frame| u64::from(frame.compressed_len))
        .sum()
}

/// Prints the volumes and what could at best be reached: blocks of 4 KiB that the state before lacks, compressed
/// as one stream. Returns the bytes of all states, each as one stream.
fn floor(states: &[State]) -> Result<u64> {
    say("| volume | used MB | one stream MB | new 4 KiB blocks MB | the same compressed MB |");
    say("|---|---:|---:|---:|---:|");
    let mut known = HashSet::new();
    let mut total = 0;
    for (name, state) in STATES.iter().zip(states) {
        complain(&format!("bench frames: {name} as one stream"));
        let mut stream = Stream::start()?;
        std::io::copy(&mut state.content(), stream.input())?;
        let whole = stream.finish()?;
        total += whole;
        let mut new = Stream::start()?;
        let (blocks, fresh) = new_blocks(state, &known, new.input())?;
        say(&format!(
            "| {name} | {} | {} | {} | {} |",
            mb(state.volume.used_bytes()),
            mb(whole),
            mb(fresh),
            mb(new.finish()?),
        ));
        known = blocks;
    }
    Ok(total)
}

/// The first half of a block's hash: enough among some million blocks.
type Short = [u8; 16];

/// Copies blocks that are not in `known`, each content once; the hashes of all blocks and the bytes copied.
fn new_blocks(
    state: &State,
    known: &HashSet<Short>,
    out: &mut impl Write,
) -> Result<(HashSet<Short>, u64)> {
    let mut content = state.content();
    let mut block = [0; 4096];
    let (mut all, mut fresh) = (HashSet::new(), 0);
    for _ in 0..state.volume.used_bytes() / block.len() as u64 {
        content.read_exact(&mut block)?;
        let hash = *blake3::hash(&block)
            .as_bytes()
            .first_chunk()
            .expect("hashes have 32 bytes");
        if all.insert(hash) && !known.contains(&hash) {
            out.write_all(&block)?;
            fresh += block.len() as u64;
        }
    }
    Ok((all, fresh))
}

/// What `zstd` makes of a stream, counted.
struct Stream {
    child: std::process::Child,
    count: std::thread::JoinHandle<std::io::Result<u64>>,
}

impl Stream {
    fn start() -> Result<Self> {
        let mut child = Command::new("zstd")
            .args(["-q", "-3", "-T1", "-c"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting zstd")?;
        let mut output = child.stdout.take().context("zstd's output")?;
        let count = std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Ok(Self { child, count })
    }

    fn input(&mut self) -> &mut std::process::ChildStdin {
        self.child.stdin.as_mut().expect("taken only when finished")
    }

    fn finish(mut self) -> Result<u64> {
        drop(self.child.stdin.take());
        let count = self.count.join().expect("counting does not panic")?;
        ensure!(self.child.wait()?.success(), "zstd failed");
        Ok(count)
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn mb(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
