//! What a technician may rely on: a former version is checked before it comes back, nothing goes for good that no
//! plan named, and what is no image holds nobody up.

mod kit;

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run};
use kit::{Disk, Said, azud, command, done, refused, text, whole};
use serde_json::Value;
use tempfile::TempDir;

/// A volume in a file, and where its images go.
struct Site {
    dir: TempDir,
    volume: PathBuf,
}

impl Site {
    fn new() -> Result<Option<Self>> {
        if !have(&["mke2fs", "md5sum", "mkfifo"]) {
            return Ok(None);
        }
        let dir = tempfile::tempdir()?;
        let volume = dir.path().join("volume");
        kit::ext4(&volume, 8, 2)?;
        std::fs::create_dir(dir.path().join("images"))?;
        Ok(Some(Self { dir, volume }))
    }

    fn path(&self, name: &str) -> String {
        text(&self.dir.path().join(name)).to_owned()
    }

    fn create(&self, image: &str, more: &[&str]) -> Result<Said> {
        let args = ["image", "create", text(&self.volume), image];
        azud(&[&args[..], more].concat())
    }

    fn versions(image: &str) -> Result<Vec<Value>> {
        let history = done(&["image", "history", image])?;
        let versions = history["versions"].as_array().context("versions")?;
        Ok(versions.clone())
    }
}

fn word<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("{key} in {value}"))
}

/// Changes one byte in the middle of a file; its times stay.
fn flip(file: &Path) -> Result<()> {
    let modified = std::fs::metadata(file)?.modified()?;
    let open = std::fs::File::options().read(true).write(true).open(file)?;
    let (mut byte, at) = ([0], open.metadata()?.len() / 2);
    open.read_exact_at(&mut byte, at)?;
    open.write_all_at(&[byte[0] ^ 1], at)?;
    Ok(open.set_modified(modified)?)
}

#[test]
fn a_damaged_former_version_does_not_come_back() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    site.create(&image, &[])?.done()?;
    let second = site.create(&image, &[])?.done()?.clone();
    let versions = Site::versions(&image)?;
    flip(Path::new(word(&versions[1], "path")?))?;
    for more in [&["--dry-run"][..], &[]] {
        let code = refused(&[&["image", "rollback", &image], more].concat())?;
        ensure!(code == "image/corrupt", "{code}");
        ensure!(Site::versions(&image)? == versions, "something was moved");
    }
    ensure!(whole(Path::new(&image))? == word(&second, "identity")?);
    // Nor does the name of the server's tool bring it back unchecked; a sound one still comes.
    site.create(&image, &[])?.done()?;
    let slot = word(&Site::versions(&image)?[1], "version")?.to_owned();
    let back = done(&["image", "rollback", &image])?;
    ensure!(word(&back, "version")? == slot, "{back}");
    ensure!(whole(Path::new(&image))? == word(&second, "identity")?);
    Ok(())
}

#[test]
fn a_foreign_former_version_is_checked_by_its_sum() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    let foreign = |sum: &str| -> Result<()> {
        std::fs::write(&image, "PaRtImAgE-VoLuMe and so on")?;
        Ok(std::fs::write(format!("{image}.full.sum"), sum)?)
    };
    foreign("0123456789abcdef0123456789abcdef\n")?;
    site.create(&image, &[])?.done()?;
    ensure!(refused(&["image", "rollback", &image])? == "image/corrupt");
    let moved = Site::versions(&image)?;
    std::fs::remove_file(format!("{}.full.sum", word(&moved[1], "path")?))?;
    // Nothing tells: it comes back, and the plan says so.
    let back = azud(&["image", "rollback", &image])?;
    back.done()?;
    ensure!(
        back.warned() == ["unchecked", "to-history"],
        "{:?}",
        back.warned()
    );
    Ok(())
}

#[test]
fn the_plan_of_a_rollback_tells_the_two_versions_apart() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    let first = site.create(&image, &[])?.done()?.clone();
    let second = site.create(&image, &["--level", "1", "--base", "none"])?;
    let second = second.done()?.clone();
    let next = done(&["image", "history", &image])?["rollback"].clone();
    let back = azud(&["image", "rollback", &image])?;
    back.done()?;
    let rows = &back.plan()["rows"];
    ensure!(
        rows["version"] == next && rows["identity"] == first["identity"],
        "{rows}"
    );
    ensure!(rows["file_size"] == first["file_size"], "{rows}");
    ensure!(rows["created"].is_string(), "{rows}");
    ensure!(
        rows["present"]["identity"] == second["identity"] && rows["checked"] == "sound",
        "{rows}"
    );
    ensure!(back.warned() == ["to-history"], "{:?}", back.warned());
    // The second one is the way back: it goes forward, and says so.
    let forth = azud(&["image", "rollback", &image])?;
    ensure!(forth.done()?["identity"] == second["identity"]);
    ensure!(
        forth.warned() == ["to-history", "rolls-forward"],
        "{:?}",
        forth.warned()
    );
    Ok(())
}

/// What a run says that ends in time.
fn in_time(args: &[&str]) -> Result<Said> {
    let mut child = command(args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    let ended = wait(&mut child)?;
    if !ended {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    ensure!(ended, "{args:?} hangs");
    Said::of(&output)
}

fn wait(child: &mut Child) -> Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(false)
}

#[test]
fn regression_pipes_sockets_and_devices_are_no_images() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let (pipe, socket) = (site.path("images/pipe.img"), site.path("images/socket.img"));
    run("mkfifo", &[&pipe])?;
    let _listener = std::os::unix::net::UnixListener::bind(&socket)?;
    let new = site.path("new.img");
    let former = site.path("images/aula.img");
    site.create(&former, &[])?.done()?;
    for name in [&pipe, &socket, "/dev/null"] {
        for args in [
            &["image", "info", name][..],
            &["image", "verify", name],
            &["image", "restore", name, &new],
            &["image", "import", name, &new],
            &["image", "diff", &former, name],
            &["image", "export", "--to", "raw", name, &new],
        ] {
            let said = in_time(args)?;
            let code = said.refused().with_context(|| format!("{args:?}"))?;
            ensure!(code == "image/not-a-file", "{args:?}: {code}");
        }
    }
    for name in [&pipe, &socket] {
        for args in [
            &["image", "copy", name, &new][..],
            &["image", "create", text(&site.volume), name],
            &["image", "create", text(&site.volume), &new, "--base", name],
            &["image", "rm", name],
            &["image", "rollback", name],
            &["image", "history", name],
        ] {
            let said = in_time(args)?;
            let code = said.refused().with_context(|| format!("{args:?}"))?;
            ensure!(code == "image/not-a-file", "{args:?}: {code}");
        }
    }
    let list = in_time(&["image", "list", &site.path("images")])?;
    let images = list.done()?["images"].as_array().context("images")?.len();
    ensure!(images == 1, "{}", list.last());
    // One that was put beside an image does not hold it up either.
    for ending in [".info", ".full.sum", ".sum", ".lock"] {
        let beside = format!("{former}{ending}");
        let _ = std::fs::remove_file(&beside);
        run("mkfifo", &[&beside])?;
    }
    for args in [
        &["image", "info", &former][..],
        &["image", "verify", &former],
        &["image", "list", &site.path("images")],
        &["image", "copy", &former, &new],
    ] {
        let said = in_time(args)?;
        if said.status != Some(0) {
            bail!("{args:?}: {}", said.last());
        }
    }
    Ok(())
}

#[test]
fn images_that_were_cut_or_padded_are_known_as_damaged() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    site.create(&image, &[])?.done()?;
    let bytes = std::fs::read(&image)?;
    let new = site.path("new");
    let padded = |len: usize, with: u8| [&bytes[..], &vec![with; len]].concat();
    let cut = |len: usize| bytes[..len].to_vec();
    let cases = [
        ("cut.img", cut(bytes.len() / 2), "image/truncated", ""),
        ("end.img", cut(bytes.len() - 1), "image/truncated", ""),
        ("one.img", padded(1, 7), "image/corrupt", "1 bytes after"),
        (
            "pad.img",
            padded(70_000, 0),
            "image/corrupt",
            "70000 bytes after",
        ),
        (
            "far.img",
            padded(3 << 20, 0),
            "image/corrupt",
            "3145728 bytes after",
        ),
    ];
    for (name, bytes, code, said) in &cases {
        let image = site.path(&format!("images/{name}"));
        std::fs::write(&image, bytes)?;
        for args in [
            &["image", "info", &image][..],
            &["image", "verify", &image],
            &["image", "restore", &image, &new],
            &["image", "import", &image, &new],
        ] {
            let answer = azud(args)?;
            ensure!(answer.refused()? == *code, "{args:?}: {}", answer.last());
            let message = word(&answer.last()["error"], "message")?.to_owned();
            ensure!(message.contains(said), "{args:?}: {message}");
        }
    }
    ensure!(!Path::new(&new).exists());
    let list = done(&["image", "list", &site.path("images")])?;
    for row in list["images"].as_array().context("images")? {
        ensure!(row["native"] == true && row["format"] == "azud", "{row}");
        let whole = row["path"] == "aula.img";
        ensure!(row["problem"].is_null() == whole, "{row}");
        ensure!(row["identity"].is_string() == whole, "{row}");
        let padded = row["path"] == "one.img" || row["path"] == "pad.img";
        let problem = row["problem"].as_str().unwrap_or_default();
        ensure!(problem.contains(" bytes after ") == padded, "{row}");
    }
    Ok(())
}

#[test]
fn a_plan_names_what_is_deleted_and_nothing_else_goes() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    for _ in 0..3 {
        let made = site.create(&image, &["--base", "none"])?;
        made.done()?;
        ensure!(made.plan()["rows"]["purges"].is_null(), "{}", made.plan());
    }
    let slots = |image: &str| -> Result<Vec<String>> {
        let versions = Site::versions(image)?;
        let slots = versions
            .iter()
            .skip(1)
            .map(|version| word(version, "version"));
        slots.map(|slot| Ok(slot?.to_owned())).collect()
    };
    let before = slots(&image)?;
    ensure!(before.len() == 2, "{before:?}");
    for rule in [&["--keep-bytes", "0"][..], &["--keep-days", "0"]] {
        let dry = site.create(&image, &[rule, &["--dry-run"]].concat())?;
        dry.done()?;
        ensure!(dry.warned().contains(&"purges"), "{rule:?}: {}", dry.plan());
        let purges = &dry.plan()["rows"]["purges"];
        let told = purges["versions"].as_array().context("versions")?;
        let mut told: Vec<&str> = told.iter().filter_map(|v| v["version"].as_str()).collect();
        told.reverse();
        ensure!(told == before, "{purges} {before:?}");
        ensure!(
            purges["count"] == 2 && purges["bytes"].as_u64() > Some(4 << 20),
            "{purges}"
        );
        ensure!(
            purges["oldest"].as_str() < purges["newest"].as_str(),
            "{purges}"
        );
        ensure!(slots(&image)? == before, "a dry run deleted something");
    }
    let present = Site::versions(&image)?[0]["identity"].clone();
    let made = site.create(&image, &["--keep-days", "0"])?;
    let value = made.done()?;
    ensure!(value["purged_versions"] == 2, "{value}");
    // The one that was just replaced is still there.
    let left = Site::versions(&image)?;
    ensure!(
        left.len() == 2 && left[1]["identity"] == present,
        "{left:?}"
    );
    // For people too, in their language.
    site.create(&image, &[])?.done()?;
    let spoken = std::process::Command::new(env!("CARGO_BIN_EXE_azud"))
        .args([
            "image",
            "create",
            text(&site.volume),
            &image,
            "--keep-days",
            "0",
        ])
        .env("LC_ALL", "es_ES.UTF-8")
        .env_remove("AZUD_LANG")
        .output()?;
    let spoken = String::from_utf8(spoken.stdout)?;
    ensure!(
        spoken.contains("Se borra") && spoken.contains("2 versiones anteriores"),
        "{spoken}"
    );
    ensure!(spoken.contains("Borrado"), "{spoken}");
    Ok(())
}

#[test]
fn a_dry_run_refuses_what_the_run_refuses() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    site.create(&image, &[])?.done()?;
    let (link, folder) = (site.path("images/link.img"), site.path("images/folder.img"));
    std::os::unix::fs::symlink(&image, &link)?;
    std::fs::create_dir(&folder)?;
    let locked = site.path("images/locked.img");
    std::fs::write(format!("{locked}.lock"), "")?;
    let (missing, volume) = (site.path("no/dir/x.img"), text(&site.volume));
    let (raw, dangling) = (site.path("no/raw"), site.path("dangling"));
    std::os::unix::fs::symlink("nowhere", &dangling)?;
    let foreign = site.path("old.img");
    done(&["image", "export", "--to", "partclone", &image, &foreign])?;
    let not_a_base = site.path("images/new.img");
    for args in [
        &["image", "create", volume, &missing][..],
        &["image", "create", volume, &link],
        &["image", "create", volume, &folder],
        &["image", "create", volume, &locked],
        &["image", "create", volume, &not_a_base, "--base", volume],
        &["image", "import", &foreign, &missing],
        &["image", "import", &foreign, &link],
        &["image", "copy", &image, &missing],
        &["image", "copy", &image, &link],
        &["image", "export", "--to", "raw", &image, &raw],
        &["image", "export", "--to", "raw", &image, &locked],
        &["image", "restore", &image, &raw],
        &["image", "restore", &image, &dangling],
        &["image", "rm", &missing],
        &["image", "rm", &site.path("images/none")],
        &["image", "rm", &locked],
        &["image", "rollback", &image],
        &["image", "rollback", &locked],
    ] {
        let dry = azud(&[args, &["--dry-run"]].concat())?;
        let run = azud(args)?;
        let code = run.refused().with_context(|| format!("{args:?}"))?;
        let told = dry.refused().with_context(|| format!("{args:?}"))?;
        ensure!(told == code, "{args:?}: {told}, then {code}");
    }
    Ok(())
}

#[test]
fn a_sum_that_is_not_the_images_is_told() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    let made = site.create(&image, &[])?;
    let identity = word(made.done()?, "identity")?.to_owned();
    let verified = done(&["image", "verify", &image])?;
    ensure!(verified["full_sum"] == true, "{verified}");
    let of = |ending: &str| format!("{image}{ending}");
    for (ending, content) in [
        (".full.sum", "0123456789abcdef0123456789abcdef\n"),
        (".full.sum", "none\n"),
        (".sum", "0123456789abcdef0123456789abcdef\n"),
    ] {
        let kept = std::fs::read(of(ending))?;
        std::fs::write(of(ending), content)?;
        let said = azud(&["image", "verify", &image])?;
        ensure!(
            said.refused()? == "image/false-sum",
            "{ending}: {}",
            said.last()
        );
        let message = word(&said.last()["error"], "message")?.to_owned();
        ensure!(message.contains(&of(ending)), "{message}");
        // What is known already costs nothing to tell.
        let info = done(&["image", "info", &image])?;
        let told = &info["false_sums"][0];
        ensure!(told["file"] == of(ending) && told["told"] == content.trim().replace("none", ""));
        ensure!(info["identity"] == identity.as_str(), "{info}");
        let list = done(&["image", "list", &site.path("images")])?;
        let row = &list["images"][0];
        ensure!(row["false_sum"].is_object() == (ending == ".sum"), "{row}");
        std::fs::write(of(ending), kept)?;
        done(&["image", "verify", &image])?;
    }
    // Of an image that nobody read yet as well.
    std::fs::remove_file(site.path("images/.azud-catalogue"))?;
    std::fs::write(of(".full.sum"), "0123456789abcdef0123456789abcdef")?;
    ensure!(refused(&["image", "verify", &image])? == "image/false-sum");
    std::fs::remove_file(of(".full.sum"))?;
    ensure!(done(&["image", "verify", &image])?["full_sum"] == false);
    Ok(())
}

#[test]
fn loop_the_smallest_target_that_is_shown_is_enough() -> Result<()> {
    if !have(&["mkntfs", "partclone.ntfs"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    let disk = Disk::blank(path("ntfs"), 24 << 20)?;
    run("mkntfs", &["-q", "-F", "-Q", disk.name()])?;
    let (old, native) = (path("old.img"), path("native.img"));
    run(
        "partclone.ntfs",
        &["-c", "-s", disk.name(), "-o", text(&old)],
    )?;
    done(&["image", "import", text(&old), text(&native)])?;
    for image in [&old, &native] {
        let target = path("target");
        let restore = ["image", "restore", text(image), text(&target), "--yes"];
        let dry = azud(&[&restore[..], &["--dry-run"]].concat())?;
        dry.done()?;
        let smallest = dry.plan()["rows"]["minimum_size"].as_u64();
        let smallest = smallest.context("minimum_size")?;
        for (len, fits) in [(smallest, true), (smallest - 1, false)] {
            std::fs::File::create(&target)?.set_len(len)?;
            for more in [&["--dry-run"][..], &[]] {
                let said = azud(&[&restore[..], more].concat())?;
                if fits {
                    said.done().with_context(|| format!("{len} {more:?}"))?;
                } else {
                    ensure!(said.refused()? == "disk/too-small", "{more:?}");
                }
            }
        }
        std::fs::remove_file(&target)?;
    }
    Ok(())
}

#[test]
fn loop_a_plan_says_when_there_may_be_too_little_room() -> Result<()> {
    let (Some(site), true) = (Site::new()?, have_root()) else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    site.create(&image, &[])?.done()?;
    let small = |mib: u64| -> Result<(Disk, Mount)> {
        let disk = Disk::blank(site.dir.path().join(format!("small{mib}")), mib << 20)?;
        run(
            "mke2fs",
            &["-q", "-F", "-m", "0", "-O", "^has_journal", disk.name()],
        )?;
        let mount = Mount::new(disk.path(), None, "")?;
        Ok((disk, mount))
    };
    let out = |mount: &Mount, name: &str| text(&mount.path().join(name)).to_owned();
    let (_disk, mount) = small(3)?;
    // A device's used blocks do not fit as they are, which is known; compressed they might.
    let export = [
        "image",
        "export",
        "--to",
        "partclone",
        &image,
        &out(&mount, "x.pcl"),
    ];
    for more in [&["--dry-run"][..], &[]] {
        let code = refused(&[&export[..], more].concat())?;
        ensure!(code == "store/no-room", "{code}");
    }
    let made = site.create(&out(&mount, "x.img"), &[])?;
    made.done()?;
    ensure!(made.warned() == ["may-not-fit"], "{}", made.plan());
    let rows = &made.plan()["rows"];
    let number = |key: &str| {
        rows[key]
            .as_u64()
            .with_context(|| format!("{key} in {rows}"))
    };
    ensure!(number("room_needed")? <= number("room")? && number("room")? < number("room_most")?);
    let (_disk, mount) = small(1)?;
    let said = site.create(&out(&mount, "x.img"), &[])?;
    ensure!(said.refused()? == "disk/no-space", "{}", said.last());
    ensure!(said.warned() == ["hardly-fits"], "{}", said.plan());
    let dry = ["image", "import", "--dry-run"];
    let foreign = site.path("old.img");
    done(&["image", "export", "--to", "partclone", &image, &foreign])?;
    let dry = azud(&[&dry[..], &[&foreign, &out(&mount, "y.img")]].concat())?;
    dry.done()?;
    ensure!(dry.warned() == ["hardly-fits"], "{}", dry.plan());
    Ok(())
}
