//! Plans that keep their word: what goes, what is refused, what fits.

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run};

use crate::kit::{Disk, azud, done, refused, text};
use crate::{Site, word};

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
        // Both may have been replaced within one second.
        ensure!(
            purges["oldest"].as_str() <= purges["newest"].as_str(),
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
    spoken(&site, &image)
}

/// What goes is told to people too, in their language.
fn spoken(site: &Site, image: &str) -> Result<()> {
    site.create(image, &[])?.done()?;
    let spoken = std::process::Command::new(env!("CARGO_BIN_EXE_azud"))
        .args([
            "image",
            "create",
            text(&site.volume),
            image,
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

/// A small file system.
fn small(site: &Site, mib: u64) -> Result<(Disk, Mount)> {
    let disk = Disk::blank(site.dir.path().join(format!("small{mib}")), mib << 20)?;
    let make = ["-q", "-F", "-m", "0", "-O", "^has_journal", disk.name()];
    run("mke2fs", &make)?;
    let mount = Mount::new(disk.path(), None, "")?;
    Ok((disk, mount))
}

fn out(mount: &Mount, name: &str) -> String {
    text(&mount.path().join(name)).to_owned()
}

#[test]
fn loop_a_plan_says_when_there_may_be_too_little_room() -> Result<()> {
    let (Some(site), true) = (Site::new()?, have_root()) else {
        return Ok(());
    };
    let image = site.path("images/aula.img");
    site.create(&image, &[])?.done()?;
    let (_disk, mount) = small(&site, 3)?;
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
    what_does_not_fit_leaves_nothing(&site, &image)
}

fn what_does_not_fit_leaves_nothing(site: &Site, image: &str) -> Result<()> {
    let (_disk, mount) = small(site, 1)?;
    // Samples of what is used tell that it does not fit, whatever zstd makes of it.
    for more in [&["--dry-run"][..], &[], &["--level", "19"]] {
        let said = site.create(&out(&mount, "x.img"), more)?;
        ensure!(said.refused()? == "store/no-room", "{}", said.last());
        let message = said.last()["error"]["message"].to_string();
        ensure!(
            message.contains("samples") && message.contains(" bytes"),
            "{message}"
        );
    }
    // What another program made is not read twice: it fails in the midst, and leaves nothing.
    let foreign = site.path("old.img");
    done(&["image", "export", "--to", "partclone", image, &foreign])?;
    let to = out(&mount, "y.img");
    let import = ["image", "import", &foreign, &to];
    let dry = azud(&[&import[..], &["--dry-run"]].concat())?;
    dry.done()?;
    // What is exported for partclone has no checksums.
    let warned = ["imports-no-sums", "hardly-fits"];
    ensure!(dry.warned() == warned, "{}", dry.plan());
    let before = names(&mount)?;
    let said = azud(&import)?;
    ensure!(said.refused()? == "disk/no-space", "{}", said.last());
    let hint = said.last()["error"]["hint"].to_string();
    ensure!(
        hint.contains("Nothing of") && hint.contains("y.img"),
        "{hint}"
    );
    ensure!(names(&mount)? == before, "{:?}", names(&mount)?);
    Ok(())
}

fn names(mount: &Mount) -> Result<Vec<std::ffi::OsString>> {
    let names = std::fs::read_dir(mount.path())?.map(|entry| Ok(entry?.file_name()));
    names.collect()
}
