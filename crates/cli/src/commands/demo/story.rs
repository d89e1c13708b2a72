//! The steps of the demo.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use azud_core::code::Code;
use azud_disk::command::Tool;
use azud_transport::http::Manager;
use serde_json::{Value, json};

use super::files::{broken, flip, gather, hashes, size};
use super::room::{self, Kept};
use crate::args;
use crate::commands::Context;
use crate::failure::Failure;
use crate::human;
use crate::i18n::Catalog;
use crate::opened::Opened;
use crate::output::detail;
use crate::output::{Mode, Output};
use crate::site::SiteArgs;
use crate::table;
use crate::telling::Teller;

/// Bytes of real files that the volume gets.
const FILES: u64 = 384 << 20;

/// A row of the final table.
struct Row {
    step: &'static str,
    bytes: u64,
    time: Option<Duration>,
}

/// The story while it is told.
struct Story<'a> {
    context: &'a Context,
    dir: &'a Path,
    rows: Vec<Row>,
    /// The manager, once it is there.
    manager: Option<Manager>,
}

/// Tells the story in a directory.
pub(super) fn tell(context: &Context, dir: &Path) -> Result<(), Failure> {
    let mut story = Story {
        context,
        dir,
        rows: Vec::new(),
        manager: None,
    };
    story.make_volume()?;
    story.capture_and_verify()?;
    story.notice_damage()?;
    story.restore()?;
    story.change_and_follow()?;
    story.serve_and_deploy()?;
    story.deploy_the_change()?;
    story.show();
    Ok(())
}

impl Story<'_> {
    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn say(&self, key: &str) {
        self.context
            .output
            .note(&format!("\n{}", self.context.catalog.text(key)));
    }

    fn row(&mut self, step: &'static str, bytes: u64, time: impl Into<Option<Duration>>) {
        self.rows.push(Row {
            step,
            bytes,
            time: time.into(),
        });
    }

    /// Runs a command as a user would type it, quietly; the time it took.
    fn azud(&self, words: &[&str]) -> Result<Duration, Failure> {
        Ok(self.azud_telling(words)?.1)
    }

    /// The same, with what it says to programs.
    fn azud_telling(&self, words: &[&str]) -> Result<(Value, Duration), Failure> {
        self.note_line("azud", words);
        let typed: Vec<OsString> = std::iter::once("azud")
            .chain(words.iter().copied())
            .map(OsString::from)
            .collect();
        let parsed = args::parse(&typed, &self.context.catalog);
        let cli = parsed.map_err(|_| Failure::new(Code::Usage, words.join(" ")))?;
        let mode = Mode {
            json: true,
            quiet: true,
        };
        let kept = Kept::default();
        let output = Output::new(mode, Box::new(kept.clone()), Box::new(std::io::stderr()));
        let context = Context {
            catalog: Catalog::new(self.context.catalog.lang()).into(),
            output: output.into(),
            site: self.site(),
            teller: Teller::default(),
        };
        let begun = Instant::now();
        cli.command.run(&context)?;
        Ok((kept.last(), begun.elapsed()))
    }

    /// Nothing of this computer's own repositories is touched.
    fn site(&self) -> SiteArgs {
        let hosts = self.manager.iter().map(|manager| manager.host.clone());
        SiteArgs {
            root: Some(self.dir.join("root")),
            manager: hosts.collect(),
            met: self.manager.clone(),
            ..SiteArgs::default()
        }
    }

    /// A line as a user would type it.
    fn note_line(&self, program: &str, words: &[&str]) {
        let here = format!("{}/", self.dir.display());
        let line: Vec<String> = words.iter().map(|word| word.replace(&here, "")).collect();
        let line = format!("  $ {program} {}", line.join(" "));
        self.context.output.note(&line);
    }

    fn tool(&self, program: &str, words: &[&str]) -> Result<(), Failure> {
        self.note_line(program, words);
        Tool::find(program)?.args(words).run()?;
        Ok(())
    }

    fn make_volume(&mut self) -> Result<(), Failure> {
        self.say("demo-volume");
        let tree = self.dir.join("tree");
        let bytes = gather(&tree, FILES)?;
        let volume = self.path("volume.ext4");
        let file = std::fs::File::create(&volume).map_err(|error| Failure::io(self.dir, &error))?;
        file.set_len(bytes + bytes / 4 + (64 << 20))
            .map_err(|error| Failure::io(self.dir, &error))?;
        self.tool(
            "mke2fs",
            &["-q", "-t", "ext4", "-d", &self.path("tree"), &volume],
        )?;
        self.row("files", bytes, None);
        Ok(())
    }

    fn capture_and_verify(&mut self) -> Result<(), Failure> {
        self.say("demo-capture");
        let (volume, image) = (self.path("volume.ext4"), self.path("lab.img"));
        let time = self.azud(&["image", "create", &volume, &image])?;
        let used = Self::used(&image)?;
        self.row("capture", used, time);
        self.row("image", size(Path::new(&image))?, None);
        let time = self.azud(&["image", "verify", "--deep", &image])?;
        self.row("verify", used, time);
        Ok(())
    }

    fn used(image: &str) -> Result<u64, Failure> {
        let opened = Opened::at(Path::new(image))?;
        let header = &opened.native.geometry().header;
        Ok(header.used_blocks * u64::from(header.block_size))
    }

    fn notice_damage(&self) -> Result<(), Failure> {
        self.say("demo-damage");
        let (image, damaged) = (self.path("lab.img"), self.path("damaged.img"));
        std::fs::copy(&image, &damaged).map_err(|error| Failure::io(self.dir, &error))?;
        flip(Path::new(&damaged))?;
        match self.azud(&["image", "verify", &damaged]) {
            Err(failure) if failure.code == Code::Corrupt => {
                let said = detail(&self.context.catalog, &failure);
                let output = &self.context.output;
                output.note(&format!("  → {}: {said}", failure.code));
            }
            Err(other) => return Err(other),
            Ok(_) => return Err(broken("a flipped bit was not noticed")),
        }
        std::fs::remove_file(&damaged).map_err(|error| Failure::io(self.dir, &error))
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.say("demo-restore");
        let (image, target) = (self.path("lab.img"), self.path("pc.ext4"));
        let time = self.azud(&["image", "restore", "--read-back", &image, &target])?;
        self.row("restore", Self::used(&image)?, time);
        self.check(&target, "tree")
    }

    /// The file system's own checker, and every file compared with the tree it was made from.
    fn check(&self, target: &str, tree: &str) -> Result<(), Failure> {
        self.tool("e2fsck", &["-fn", target])?;
        let out = self.dir.join("out");
        let _ = std::fs::remove_dir_all(&out);
        std::fs::create_dir(&out).map_err(|error| Failure::io(&out, &error))?;
        let command = format!("rdump / {}", out.display());
        self.tool("debugfs", &["-R", &command, target])?;
        let mut got = hashes(&out)?;
        got.retain(|path, _| !path.starts_with("lost+found"));
        let want = hashes(&self.dir.join(tree))?;
        if got != want {
            return Err(broken("the restored files differ from the original ones"));
        }
        let values = [("count", want.len().into())];
        self.context.output.note(&format!(
            "  → {}",
            self.context.catalog.fmt("demo-same-files", &values)
        ));
        Ok(())
    }

    fn change_and_follow(&mut self) -> Result<(), Failure> {
        self.say("demo-change");
        let (volume, image, target) = (
            self.path("volume.ext4"),
            self.path("lab.img"),
            self.path("pc.ext4"),
        );
        self.change(&volume)?;
        std::fs::copy(&image, self.dir.join("before.img"))
            .map_err(|error| Failure::io(self.dir, &error))?;
        let time = self.azud(&["image", "create", &volume, &image])?;
        self.row("recapture", Self::used(&image)?, time);
        let (before, after) = (
            Opened::at(&self.dir.join("before.img"))?,
            Opened::at(Path::new(&image))?,
        );
        self.row(
            "new",
            azud_image::diff(&before.native, &after.native).new_compressed,
            None,
        );
        self.azud(&["image", "diff", &self.path("before.img"), &image])?;
        self.azud(&["image", "history", &image])?;
        self.say("demo-follow");
        let time = self.azud(&[
            "image",
            "restore",
            "--changed-only",
            "--yes",
            &image,
            &target,
        ])?;
        self.row("follow", Self::used(&image)?, time);
        self.check(&target, "tree")
    }

    /// A manager, two empty caches, another PC.
    fn serve_and_deploy(&mut self) -> Result<(), Failure> {
        self.say("demo-serve");
        self.note_line("azud", &["serve", "--images", "server"]);
        self.manager = Some(room::manager(self.dir)?);
        self.azud(&["image", "copy", &self.path("lab.img"), &self.path("server")])?;
        self.say("demo-deploy");
        let cache = self.path("cache");
        std::fs::create_dir(&cache).map_err(|error| Failure::io(self.dir, &error))?;
        let (bytes, time) = self.deploy()?;
        self.row("first", bytes, time);
        self.check(&self.path("pc2.ext4"), "tree")?;
        self.say("demo-second");
        let cache = self.path("cache2");
        std::fs::create_dir(&cache).map_err(|error| Failure::io(self.dir, &error))?;
        self.update("cache2", "update2")
    }

    /// Caches and PC follow a change.
    fn deploy_the_change(&mut self) -> Result<(), Failure> {
        self.say("demo-delta");
        let volume = self.path("volume.ext4");
        self.change(&volume)?;
        self.azud(&["image", "create", &volume, &self.path("server/lab.img")])?;
        self.update("cache", "delta")?;
        self.update("cache2", "delta2")?;
        let (bytes, time) = self.deploy()?;
        self.row("again", bytes, time);
        self.check(&self.path("pc2.ext4"), "tree")
    }

    /// Brings a cache up to date; the row shows what came over the wire for it.
    fn update(&mut self, cache: &str, step: &'static str) -> Result<(), Failure> {
        let cached = self.path(&format!("{cache}/lab.img"));
        let words = ["cache", "update", &cached, "--from", "REPO:lab"];
        let (said, time) = self.azud_telling(&words)?;
        self.row(step, said["from_source"].as_u64().unwrap_or(0), time);
        Ok(())
    }

    /// Bytes that came from the manager, and the time.
    fn deploy(&self) -> Result<(u64, Duration), Failure> {
        let (target, cache) = (self.path("pc2.ext4"), self.path("cache"));
        let words = ["deploy", "REPO:lab", &target, "--cache", &cache, "--yes"];
        let (said, time) = self.azud_telling(&words)?;
        Ok((said["from_source"].as_u64().unwrap_or(0), time))
    }

    /// Replaces, removes and adds a few files, in the volume and in the tree it was made from.
    fn change(&self, volume: &str) -> Result<(), Failure> {
        let tree = self.dir.join("tree");
        let names: Vec<_> = hashes(&tree)?.into_keys().collect();
        let failed = |error: std::io::Error| Failure::io(self.dir, &error);
        let mut script = String::new();
        for (n, name) in names.iter().step_by(names.len() / 8 + 1).enumerate() {
            let (host, inside) = (tree.join(name), format!("/{}", name.display()));
            script.extend(["rm \"", &inside, "\"\n"]);
            if n % 4 == 3 {
                std::fs::remove_file(&host).map_err(failed)?;
                continue;
            }
            let of = names.len();
            let content = format!("changed by azud demo, file {n} of {of}\n").repeat(5000);
            std::fs::write(&host, content).map_err(failed)?;
            script.extend([
                "write \"",
                &host.display().to_string(),
                "\" \"",
                &inside,
                "\"\n",
            ]);
        }
        let commands = self.path("changes.debugfs");
        std::fs::write(&commands, script).map_err(failed)?;
        self.tool("debugfs", &["-w", "-f", &commands, volume])
    }

    fn show(&self) {
        let text = |step: &str| self.context.catalog.text(&format!("demo-step-{step}"));
        let value = json!({ "steps": self.rows.iter().map(|row| json!({
            "step": row.step,
            "bytes": row.bytes,
            "seconds": row.time.map(|time| time.as_secs_f64()),
        })).collect::<Vec<_>>() });
        self.context.output.result(&value, || {
            let label = |key: &str| self.context.catalog.text(&format!("label-{key}"));
            let head = [
                self.context.catalog.text("demo-step"),
                label("size"),
                label("time"),
                label("rate"),
            ];
            let cells = |row: &Row| {
                let time = row.time.map_or_else(String::new, human::duration);
                let rate = row
                    .time
                    .map_or_else(String::new, |time| human::rate(row.bytes, time));
                vec![text(row.step), human::bytes(row.bytes), time, rate]
            };
            format!(
                "\n{}",
                table::table(&head, &self.rows.iter().map(cells).collect::<Vec<_>>())
            )
        });
    }
}
