//! Former versions: checked before they come back, and told apart.

use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::kit::{azud, done, refused, whole};
use crate::{Site, word};

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
