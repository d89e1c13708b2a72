//! What the tests of the real program share: running it, disks on loop devices, volumes with content.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::print_stdout,
    reason = "seeds are printed for whoever repeats a failure"
)]

mod kills;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::loops::{Loop, Mount};
use azud_testkit::tools::{run, sh};
use azud_testkit::tree::{Picture, picture};
use serde_json::Value;

#[allow(unused_imports, reason = "only some tests kill")]
pub(crate) use kills::{Kills, kill_after};

/// What a run of the program said.
#[derive(Debug)]
pub(crate) struct Said {
    /// The exit status; `None` when a signal ended it.
    pub(crate) status: Option<i32>,
    /// The lines of standard output.
    pub(crate) lines: Vec<Value>,
}

impl Said {
    /// Understands what a run with `--json` left.
    pub(crate) fn of(output: &Output) -> Result<Self> {
        let text = std::str::from_utf8(&output.stdout)?;
        let lines = text.lines().map(serde_json::from_str);
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(errors.is_empty(), "on standard error: {errors}");
        Ok(Self {
            status: output.status.code(),
            lines: lines.collect::<Result<_, _>>()?,
        })
    }

    /// The last line.
    pub(crate) fn last(&self) -> &Value {
        self.lines.last().unwrap_or(&Value::Null)
    }

    /// What was found or done, of a run that failed, too.
    pub(crate) fn result(&self) -> &Value {
        match &self.last()["result"] {
            Value::Null => self.last(),
            result => result,
        }
    }

    /// The rows of the plan.
    pub(crate) fn plan(&self) -> &Value {
        let plan = self.lines.iter().map(|line| &line["plan"]);
        plan.into_iter()
            .find(|plan| plan.is_object())
            .unwrap_or(&Value::Null)
    }

    /// The warnings that came in words.
    #[allow(dead_code, reason = "only some tests ask")]
    pub(crate) fn told(&self) -> String {
        let told = self
            .lines
            .iter()
            .filter_map(|line| line["warning"].as_str());
        told.collect::<Vec<_>>().join("\n")
    }

    /// The words of the plan's warnings.
    pub(crate) fn warned(&self) -> Vec<&str> {
        let warnings = self.plan()["warnings"].as_array();
        let words = warnings.into_iter().flatten();
        words
            .filter_map(|warning| warning["word"].as_str())
            .collect()
    }

    /// Fails unless the program succeeded; its last line.
    pub(crate) fn done(&self) -> Result<&Value> {
        ensure!(self.status == Some(0), "{:?}: {}", self.status, self.last());
        Ok(self.last())
    }

    /// Fails unless the program refused; the code that it gave.
    pub(crate) fn refused(&self) -> Result<&str> {
        ensure!(self.status == Some(1), "{:?}: {}", self.status, self.last());
        let code = self.last()["error"]["code"].as_str();
        code.with_context(|| format!("no code: {}", self.last()))
    }
}

/// The program that is tested: the one that was just built, unless `AZUD_TEST_PROGRAM` names another build of it.
pub(crate) fn program() -> PathBuf {
    let named = std::env::var_os("AZUD_TEST_PROGRAM");
    named.map_or_else(|| env!("CARGO_BIN_EXE_azud").into(), PathBuf::from)
}

/// The program, asked to speak JSON; nobody is there to answer.
pub(crate) fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    over(Command::new(program()), args)
}

/// The same by way of another program, which is already told to start it.
pub(crate) fn over<S: AsRef<OsStr>>(mut command: Command, args: &[S]) -> Command {
    command
        .args(args)
        .arg("--json")
        .stdin(Stdio::null())
        .env("LC_ALL", "C");
    command
}

/// Runs it to its end.
pub(crate) fn azud<S: AsRef<OsStr>>(args: &[S]) -> Result<Said> {
    Said::of(&command(args).output()?)
}

/// Runs it; it must succeed.
pub(crate) fn done<S: AsRef<OsStr>>(args: &[S]) -> Result<Value> {
    let words: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
    let said = azud(args)?;
    let value = said.done().with_context(|| format!("{words:?}"))?;
    Ok(value.clone())
}

/// Runs it; it must refuse. The code.
pub(crate) fn refused<S: AsRef<OsStr>>(args: &[S]) -> Result<String> {
    let words: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
    let said = azud(args)?;
    let code = said.refused().with_context(|| format!("{words:?}"))?;
    Ok(code.to_owned())
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// A file on a loop device.
pub(crate) struct Disk {
    device: Loop,
    file: PathBuf,
}

impl Disk {
    /// A disk of zeros that takes no space.
    pub(crate) fn blank(file: PathBuf, bytes: u64) -> Result<Self> {
        File::create(&file)?.set_len(bytes)?;
        Self::over(file)
    }

    /// A disk full of 0xA5.
    pub(crate) fn poisoned(file: PathBuf, bytes: u64) -> Result<Self> {
        azud_testkit::poison::fill(&file, bytes)?;
        Self::over(file)
    }

    /// A disk over a file that is there.
    pub(crate) fn over(file: PathBuf) -> Result<Self> {
        let device = Loop::attach(&file)?;
        Ok(Self { device, file })
    }

    /// `/dev/loopN`.
    pub(crate) fn name(&self) -> &str {
        self.device.name()
    }

    /// The same as a path.
    pub(crate) fn path(&self) -> &Path {
        self.device.path()
    }

    /// Takes the device away; the file stays.
    pub(crate) fn detach(self) -> PathBuf {
        self.file
    }

    /// Everything that it holds.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        Ok(fs::read(self.device.path())?)
    }

    /// A hash of everything that it holds.
    pub(crate) fn hash(&self) -> Result<String> {
        let output = run("b2sum", &["-l", "256", self.name()])?;
        let line = String::from_utf8(output.stdout)?;
        Ok(line.split(' ').next().unwrap_or_default().to_owned())
    }

    /// What `blkid` sees of it, without its cache.
    pub(crate) fn seen(&self) -> Result<Option<String>> {
        seen(self.path())
    }
}

/// What `blkid` sees in a device or file, without its cache.
pub(crate) fn seen(path: &Path) -> Result<Option<String>> {
    let output = azud_testkit::tools::run_any("blkid", &["-p", text(path)])?;
    let found = String::from_utf8(output.stdout)?;
    match output.status.code() {
        Some(0) => Ok(Some(found)),
        Some(2) => Ok(None),
        // It found more than one thing and does not want to choose.
        Some(8) => Ok(Some("ambivalent".to_owned())),
        other => bail!("blkid ended with {other:?}"),
    }
}

/// Fills the folder `$1` and empties half of it again, so that free space is not blank.
pub(crate) const FILL: &str = r#"cd "$1"; mkdir -p a/b/c many
for i in $(seq 60); do head -c $((i * 311)) /dev/urandom > many/"file $i"; done
head -c 1500000 /dev/urandom > a/b/noise; seq 60000 > a/b/c/numbers; : > a/empty
echo tiny > "a/ñandú"; touch -d @1234567890 a/b/c/numbers; sync -f .
rm many/*[02468]; head -c 700000 /dev/urandom > a/again; mkdir a/new; seq 900 > a/new/seq"#;

/// What only file systems of Unix can hold.
pub(crate) const FILL_UNIX: &str = r#"cd "$1"; ln a/again a/hard; ln -s b/noise a/soft; mkfifo a/pipe
chown 1234:567 a/again; chmod 4751 a/b/noise; chmod 0700 a/b; truncate -s 3M a/holes; echo end >> a/holes
touch -hd @1000000000.123456789 a/soft a/b/noise; mknod a/null c 1 3
setfattr -n user.azud -v "$(head -c 300 /dev/zero | tr '\0' x)" a/again; setfattr -n trusted.t -v 1 a/b"#;

/// Mounts a device, runs a script there with the folder as `$1`, unmounts.
pub(crate) fn in_mount(device: &Path, kind: Option<&str>, script: &str) -> Result<()> {
    let mount = Mount::new(device, kind, "")?;
    sh(script, &[text(mount.path())])?;
    mount.unmount()
}

/// The picture of what is on a device, mounted without writing to it.
pub(crate) fn picture_of(device: &Path, kind: Option<&str>, options: &str) -> Result<Picture> {
    let mount = Mount::new(device, kind, options)?;
    let seen = picture(mount.path())?;
    mount.unmount()?;
    Ok(seen)
}

/// Numbers that look random; a seed tells them all (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The seed in `AZUD_SEED`, else `default`; printed, so that a failure can be repeated.
    pub(crate) fn seeded(default: u64) -> Self {
        let given = std::env::var("AZUD_SEED");
        let seed = given.ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(default);
        println!("AZUD_SEED={seed}");
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// Whether the long run was asked for.
pub(crate) fn soak() -> bool {
    std::env::var_os("AZUD_SOAK").is_some()
}

/// Names in a folder, the trash and other hidden things included.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// An ext4 volume in a file, made without mounting: `mib` MiB of noise and a few small files.
pub(crate) fn ext4(file: &Path, size_mib: u64, noise_mib: u64) -> Result<()> {
    let script = r#"tree=$(mktemp -d); mkdir "$tree/a"; seq 90000 > "$tree/a/seq"; ln -s seq "$tree/a/link"
for i in $(seq "$3"); do head -c 1M /dev/urandom > "$tree/a/noise$i"; done
truncate -s "$2M" "$1"; mke2fs -q -F -t ext4 -b 1024 -d "$tree" "$1"; rm -r "$tree""#;
    sh(
        script,
        &[text(file), &size_mib.to_string(), &noise_mib.to_string()],
    )
    .map(drop)
}

/// Copies all bytes of a file or device onto another.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (format!("if={}", text(from)), format!("of={}", text(to)));
    run("dd", &["bs=1M", "conv=fsync", "status=none", &from, &to]).map(drop)
}

/// Fails unless an image is whole and its side files are its own; its identity.
pub(crate) fn whole(image: &Path) -> Result<String> {
    let verified = done(&["image", "verify", "--deep", text(image)])?;
    let script = r#"test "$(cut -c1-32 "$1.full.sum")" = "$(md5sum < "$1" | cut -c1-32)"
test "$(cut -c1-32 "$1.sum")" = "$(tail -c 1048576 "$1" | md5sum | cut -c1-32)"; grep -q ^PARTCLONE:ZSTD: "$1.info""#;
    sh(script, &[text(image)]).context("the side files are not this image's")?;
    let identity = verified["identity"].as_str();
    Ok(identity.context("identity")?.to_owned())
}

/// Who is killed between making a lock, or a directory to work in, and writing into it leaves an empty one, which goes after
/// a minute.
pub(crate) fn is_draft(dir: &Path, name: &str) -> bool {
    let path = dir.join(name);
    let is_empty = |file: &Path| fs::metadata(file).is_ok_and(|meta| meta.len() == 0);
    match fs::read_dir(&path) {
        Ok(entries) => {
            let mut entries = entries.flatten();
            name.starts_with(".azud-stage-")
                && entries.all(|one| one.file_name() == "owner" && is_empty(&one.path()))
        }
        Err(_) => name.starts_with(".azud-lease-") && is_empty(&path),
    }
}

/// Fails if a folder holds anything but `aula.img`, its side files, the lock, the trash and what checks left.
pub(crate) fn tidy(dir: &Path) -> Result<()> {
    const KNOWN: [&str; 7] = [
        "aula.img",
        "aula.img.info",
        "aula.img.sum",
        "aula.img.full.sum",
        ".azud-trash",
        ".azud-lock",
        ".azud-catalogue",
    ];
    let mut found = names(dir)?;
    found.retain(|name| !KNOWN.contains(&name.as_str()) && !is_draft(dir, name));
    ensure!(found.is_empty(), "left behind: {found:?}");
    Ok(())
}
