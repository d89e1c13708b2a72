//! What is no volume, no image or no place for one is told from what is.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use azud_testkit::loops::Mount;
use azud_testkit::tools::{have, have_root, run, sh};

use crate::kit::{self, Disk, Said, azud, command, done, names, refused, text};
use crate::{Site, word};

fn hint(said: &Said) -> Result<String> {
    let hint = said.last()["error"]["hint"].as_str().context("hint")?;
    Ok(hint.to_owned())
}

#[test]
fn what_is_compressed_is_no_volume() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/x.img");
    sh("gzip -1 < \"$1\" > \"$1.gz\"", &[text(&site.volume)])?;
    let packed = site.path("volume.gz");
    let said = azud(&["image", "create", &packed, &image])?;
    ensure!(said.refused()? == "image/unknown-format", "{said:?}");
    ensure!(hint(&said)?.contains("gzip -dc"), "{said:?}");
    // Whoever tries to import it is told the same, not to capture it.
    let said = azud(&["image", "import", &packed, &image])?;
    ensure!(said.refused()? == "image/unknown-format", "{said:?}");
    ensure!(hint(&said)?.contains("gzip -dc"), "{said:?}");
    // A whole disk in a compressor is imported.
    let disk = site.path("disk");
    let script =
        "head -c 2M /dev/zero > \"$1\"; printf 'start=2048' | sfdisk -q \"$1\"; gzip -1 \"$1\"";
    sh(script, &[&disk])?;
    let disk = disk + ".gz";
    let said = azud(&["image", "create", &disk, &image])?;
    ensure!(said.refused()? == "image/unknown-format", "{said:?}");
    ensure!(hint(&said)?.contains("azud image import"), "{said:?}");
    done(&["image", "import", &disk, &image])?;
    let said = azud(&["image", "create", &image, &site.path("images/y.img")])?;
    ensure!(hint(&said)?.contains("azud image copy"), "{said:?}");
    ensure!(names(Path::new(&site.path("images")))?.len() >= 1);
    Ok(())
}

#[test]
fn a_list_believes_no_identity_that_is_not_the_index_s() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/x.img");
    let made = site.create(&image, &[])?.done()?.clone();
    let listed = || -> Result<serde_json::Value> {
        Ok(done(&["image", "list", &site.path("images")])?["images"][0].clone())
    };
    ensure!(listed()?["identity"] == made["identity"]);
    std::fs::write(format!("{image}.info"), "PARTIMAGE:GZIP:NTFS:1000:pc1\n")?;
    let info = done(&["image", "info", &image])?;
    ensure!(info["untrue"] == listed()?["untrue"], "{info}");
    ensure!(
        info["untrue"].as_array().is_some_and(|all| all.len() == 4),
        "{info}"
    );
    // The identity as the trailer has it.
    let hash = word(&made, "identity")?.to_owned();
    let bytes = std::fs::read(&image)?;
    let raw: Vec<u8> = (0..hash.len() / 2)
        .map(|at| u8::from_str_radix(&hash[2 * at..2 * at + 2], 16))
        .collect::<Result<_, _>>()?;
    let at = bytes
        .windows(raw.len())
        .rposition(|part| part == raw)
        .context("no trailer")?;
    let file = std::fs::File::options().write(true).open(&image)?;
    file.write_all_at(&[raw[0] ^ 1], at as u64)?;
    let listed = listed()?;
    ensure!(
        listed["identity"].is_null() && !listed["problem"].is_null(),
        "{listed}"
    );
    Ok(())
}

#[test]
fn a_stream_makes_the_file_that_it_needs() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/x.img");
    site.create(&image, &[])?.done()?;
    let from = |target: &str, more: &[&str]| -> Result<Said> {
        let args = [&["image", "restore", "-", target, "--yes"], more].concat();
        let mut command = command(&args);
        command.stdin(Stdio::from(std::fs::File::open(&image)?));
        Said::of(&command.output()?)
    };
    let (new, empty) = (site.path("new"), site.path("empty"));
    let planned = from(&new, &["--dry-run"])?;
    planned.done()?;
    ensure!(
        planned.plan()["rows"]["device_size"] == 8 << 20,
        "{planned:?}"
    );
    ensure!(!Path::new(&new).exists());
    std::fs::write(&empty, "")?;
    for target in [&new, &empty] {
        from(target, &[])?.done()?;
        run("cmp", &[text(&site.volume), target])?;
    }
    // Nobody means a file of that name.
    let said = azud(&["image", "restore", &image, "-", "--yes"])?;
    ensure!(said.refused()? == "disk/bad-name", "{said:?}");
    ensure!(!Path::new("-").exists());
    Ok(())
}

#[test]
fn a_plan_tells_what_stays_and_what_room_a_new_file_takes() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let (image, large) = (site.path("images/x.img"), site.path("large"));
    site.create(&image, &[])?.done()?;
    std::fs::write(&large, vec![7; 12 << 20])?;
    let plan = |target: &str, more: &[&str]| {
        azud(&[&["image", "restore", &image, target, "--dry-run"], more].concat())
    };
    let told = |said: &Said| said.warned().contains(&"beyond-stays");
    ensure!(!told(&plan(&large, &[])?));
    for how in ["zero", "discard"] {
        ensure!(told(&plan(&large, &["--unused", how])?), "{how}");
    }
    std::fs::write(&large, vec![7; 8 << 20])?;
    ensure!(!told(&plan(&large, &["--unused", "zero"])?));
    let said = plan(&site.path("new"), &[])?;
    let needs = said.plan()["rows"]["room_needed"].as_u64();
    ensure!(needs.is_some_and(|needs| needs > 2 << 20), "{said:?}");
    Ok(())
}

#[test]
fn loop_a_folder_that_takes_no_file_is_refused_by_the_plan() -> Result<()> {
    let Some(site) = Site::new()?.filter(|_| have_root() && have(&["mke2fs", "mount"])) else {
        return Ok(());
    };
    let image = site.path("images/x.img");
    site.create(&image, &[])?.done()?;
    let file = site.dir.path().join("medium");
    kit::ext4(&file, 8, 0)?;
    let disk = Disk::over(file)?;
    let medium = Mount::new(disk.path(), None, "ro")?;
    let target = text(&medium.path().join("new")).to_owned();
    let restore = ["image", "restore", &image, &target];
    for more in ["--dry-run", "--yes"] {
        let code = refused(&[&restore[..], &[more]].concat())?;
        ensure!(code == "disk/read-only", "{more}: {code}");
    }
    medium.unmount()?;
    // An export goes into a file; for a device there is another command.
    let said = azud(&[
        "image",
        "export",
        &image,
        disk.name(),
        "--to",
        "raw",
        "--yes",
    ])?;
    ensure!(said.refused()? == "image/not-a-file", "{said:?}");
    ensure!(hint(&said)?.contains("azud image restore"), "{said:?}");
    Ok(())
}

#[test]
fn versions_were_replaced_when_they_were() -> Result<()> {
    let Some(site) = Site::new()? else {
        return Ok(());
    };
    let image = site.path("images/x.img");
    site.create(&image, &[])?.done()?;
    let said = azud(&["image", "rollback", &image, "--yes"])?;
    ensure!(said.refused()? == "image/no-such-version", "{said:?}");
    let message = word(&said.last()["error"], "message")?;
    ensure!(
        message.contains("no former version") && !message.contains("latest"),
        "{message}"
    );
    for _ in 0..6 {
        site.create(&image, &[])?.done()?;
    }
    let versions = Site::versions(&image)?;
    ensure!(versions.len() == 7);
    let now = String::from_utf8(run("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"])?.stdout)?;
    for version in &versions[1..] {
        ensure!(
            word(version, "replaced")? <= now.trim(),
            "{version} after {now}"
        );
    }
    Ok(())
}
