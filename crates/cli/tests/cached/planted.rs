//! Links that somebody planted in the state of a cache: they are not followed, and say nothing of its images.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::kit::{azud, names, text};
use crate::{cache, foreign, listed, refusal};

/// A cache whose one image was checked, and a folder elsewhere that must stay as it is.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        foreign(&dir.path().join("cache"), "aula/win.img", 7, 50_000)?;
        fs::create_dir(dir.path().join("precious"))?;
        fs::write(dir.path().join("precious/letter"), "dear")?;
        let scene = Self { dir };
        cache(&scene.root(), "verify", &[])?;
        Ok(scene)
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn state(&self, part: &str) -> PathBuf {
        self.root().join(".azud-cache").join(part)
    }

    /// Puts a link in the place of a part of the state.
    fn plant(&self, part: &str) -> Result<()> {
        fs::remove_dir_all(self.state(part))?;
        Ok(symlink(self.dir.path().join("precious"), self.state(part))?)
    }

    fn nothing_else_changed(&self) -> Result<()> {
        let precious = self.dir.path().join("precious");
        ensure!(names(&precious)? == ["letter"], "{:?}", names(&precious)?);
        ensure!(fs::read_to_string(precious.join("letter"))? == "dear");
        Ok(())
    }
}

fn verified(root: &Path) -> Result<()> {
    let said = azud(&["cache", "verify", "--cache", text(root)])?;
    let told = said.done()?;
    ensure!(told["images"][0]["state"] == "sound", "{told}");
    Ok(())
}

#[test]
fn a_sound_image_stays_sound() -> Result<()> {
    for part in ["images", "pins", "installed", "leases", "evicting"] {
        let scene = Scene::new()?;
        scene.plant(part)?;
        verified(&scene.root()).with_context(|| part.to_owned())?;
        ensure!(listed(&scene.root(), "aula/win.img")?["pinned"] == false);
        cache(&scene.root(), "list", &[])?;
        // What would change the state says what is in its place.
        let evict = azud(&[
            "cache",
            "evict",
            "--cache",
            text(&scene.root()),
            "aula/win",
            "--yes",
        ])?;
        ensure!(evict.refused()? == "image/not-a-file", "{}", evict.last());
        ensure!(evict.last().to_string().contains(part), "{}", evict.last());
        ensure!(refusal(&scene.root(), "pin", &["aula/win"])? == "image/not-a-file");
        ensure!(scene.root().join("aula/win.img").is_file());
        scene
            .nothing_else_changed()
            .with_context(|| part.to_owned())?;
    }
    Ok(())
}

#[test]
fn a_link_in_the_place_of_a_record_gives_way() -> Result<()> {
    let scene = Scene::new()?;
    let letter = scene.dir.path().join("precious/letter");
    let record = names(&scene.state("images"))?.remove(0);
    for name in [record.clone(), format!("{record}.new")] {
        let path = scene.state("images").join(name);
        let _ = fs::remove_file(&path);
        symlink(&letter, path)?;
    }
    verified(&scene.root())?;
    scene.nothing_else_changed()?;
    let known = &listed(&scene.root(), "aula/win.img")?["verified"];
    ensure!(known["sound"] == true, "{known}");
    Ok(())
}
