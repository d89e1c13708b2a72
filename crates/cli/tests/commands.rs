//! What scripts rely on: the members of what the commands answer with `--json`, and the life of an
//! image: made, replaced, brought back, compared, removed.

mod kit;

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, run, sh};
use kit::{Disk, azud, done, refused, text, tidy, whole};
use serde_json::Value;

/// Fails unless an object has exactly these members.
fn members(value: &Value, wanted: &str) -> Result<()> {
    let object = value
        .as_object()
        .with_context(|| format!("no object: {value}"))?;
    let mut found: Vec<&str> = object.keys().map(String::as_str).collect();
    let mut wanted: Vec<&str> = wanted.split(' ').collect();
    found.sort_unstable();
    wanted.sort_unstable();
    ensure!(found == wanted, "{found:?}, wanted were {wanted:?}");
    Ok(())
}

fn word<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("{key} in {value}"))
}

fn number(value: &Value, key: &str) -> Result<u64> {
    value[key]
        .as_u64()
        .with_context(|| format!("{key} in {value}"))
}

fn versions(image: &str) -> Result<Vec<Value>> {
    let history = done(&["image", "history", image])?;
    members(&history, "image versions rollback")?;
    let versions = history["versions"].as_array().context("versions")?;
    for version in versions {
        members(
            version,
            "version current identity created replaced file_size path",
        )?;
    }
    Ok(versions.clone())
}

/// Writes something else into a file of the volume.
fn change(volume: &Path) -> Result<()> {
    let script = r#"f=$(mktemp); head -c 200000 /dev/urandom > "$f"
debugfs -w -R "rm a/noise1" "$1" 2>/dev/null; debugfs -w -R "write $f a/noise1" "$1" 2>/dev/null; rm "$f""#;
    sh(script, &[text(volume)])?;
    run("e2fsck", &["-fn", text(volume)])?;
    Ok(())
}

#[test]
fn what_is_to_be_done_about_a_volume_is_said_with_its_name() -> Result<()> {
    if !have(&["mke2fs", "debugfs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    for (name, word) in [("volume", ""), ("a volume", "'")] {
        let volume = dir.path().join(name);
        kit::ext4(&volume, 16, 2)?;
        run(
            "debugfs",
            &["-w", "-R", "feature needs_recovery", text(&volume)],
        )?;
        let image = dir.path().join("x.img");
        let said = azud(&["image", "create", text(&volume), text(&image)])?;
        assert_eq!(said.refused()?, "fs/dirty");
        let hint = said.last()["error"]["hint"].as_str().context("a hint")?;
        let step = format!("e2fsck -p {word}{}{word}", text(&volume));
        ensure!(hint.contains(&step) && !hint.contains("DEVICE"), "{hint}");
    }
    Ok(())
}

#[test]
fn an_image_is_made_replaced_compared_brought_back_and_removed() -> Result<()> {
    if !have(&["mke2fs", "e2fsck", "debugfs", "md5sum"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let volume = dir.path().join("volume");
    // Of so many frames, the few that one file touches are never the most.
    kit::ext4(&volume, 64, 40)?;
    let images = dir.path().join("images");
    std::fs::create_dir(&images)?;
    // No extension was given, so it is `.img`.
    let (name, image) = (images.join("aula"), images.join("aula.img"));
    let create = ["image", "create", text(&volume), text(&name)];
    let first = done(&create)?;
    members(
        &first,
        "action image identity used file_size frames reused_frames reused_bytes former purged purged_versions seconds",
    )?;
    ensure!(
        first["former"].is_null() && number(&first, "reused_frames")? == 0,
        "{first}"
    );
    ensure!(word(&first, "image")? == text(&image), "{first}");
    ensure!(number(&first, "file_size")? == std::fs::metadata(&image)?.len());

    change(&volume)?;
    let said = azud(&create)?;
    let second = said.done()?.clone();
    ensure!(said.warned() == ["replaces"], "{:?}", said.warned());
    ensure!(
        said.plan()["rows"]["base"] == text(&image),
        "{}",
        said.plan()
    );
    // Where it lies in the trash; the last part is its version.
    let former = Path::new(word(&second, "former")?).file_name();
    let former = former.and_then(OsStr::to_str).context("a version")?;
    let (frames, reused) = (
        number(&second, "frames")?,
        number(&second, "reused_frames")?,
    );
    ensure!(
        reused * 2 > frames && reused < frames,
        "{reused} of {frames} taken over"
    );
    ensure!(whole(&image)? == word(&second, "identity")?);
    tidy(&images)?;

    let list = versions(text(&name))?;
    ensure!(
        list.len() == 2 && list[0]["current"] == true && list[0]["version"].is_null(),
        "{list:?}"
    );
    ensure!(
        list[1]["version"] == former && list[1]["identity"] == first["identity"],
        "{list:?}"
    );
    compare(&list[1], &image, &dir.path().join("target"))?;

    brought_back(&name, former, (&first, &second))?;
    removed(&name, &second)?;
    // Of former versions that take too much, the last one stays.
    let last = done(&[&create[..], &["--keep-bytes", "0"]].concat())?;
    ensure!(
        number(&last, "purged")? > 0 && versions(text(&name))?.len() == 2,
        "{last}"
    );
    tidy(&images)
}

/// The former version comes back, then the present one again.
fn brought_back(name: &Path, former: &str, (first, second): (&Value, &Value)) -> Result<()> {
    let (image, name) = (name.with_extension("img"), text(name));
    let back = done(&["image", "rollback", name, former])?;
    members(&back, "action image version identity")?;
    ensure!(back["identity"] == first["identity"], "{back}");
    ensure!(whole(&image)? == word(first, "identity")?);
    // The other one is now in the trash, and no argument means the last.
    done(&["image", "rollback", name])?;
    ensure!(whole(&image)? == word(second, "identity")?);
    let code = refused(&["image", "rollback", name, "20010101T000000Z-unknown"])?;
    ensure!(code == "image/no-such-version", "{code}");
    Ok(())
}

/// The image goes to the trash and comes back.
fn removed(name: &Path, second: &Value) -> Result<()> {
    let (image, name) = (name.with_extension("img"), text(name));
    let gone = done(&["image", "rm", name])?;
    members(&gone, "action image remains trash")?;
    ensure!(!image.exists() && refused(&["image", "rm", name])? == "image/not-found");
    ensure!(refused(&["image", "info", name])? == "image/not-found");
    let list = versions(name)?;
    ensure!(
        list.iter().all(|version| version["current"] == false),
        "{list:?}"
    );
    done(&["image", "rollback", name])?;
    ensure!(whole(&image)? == word(second, "identity")?);
    Ok(())
}

/// What `diff` and a restore of changes say of the former version and the present one.
fn compare(former: &Value, image: &Path, target: &Path) -> Result<()> {
    let former = word(former, "path")?;
    let diff = done(&["image", "diff", former, text(image)])?;
    members(&diff, "a b same shared new gone")?;
    for part in ["shared", "new"] {
        members(&diff[part], "frames content compressed")?;
    }
    members(&diff["gone"], "frames content")?;
    ensure!(
        diff["same"] == false && number(&diff["new"], "frames")? > 0,
        "{diff}"
    );
    ensure!(
        number(&diff["shared"], "frames")? > number(&diff["new"], "frames")?,
        "{diff}"
    );
    let same = done(&["image", "diff", text(image), text(image)])?;
    ensure!(
        same["same"] == true && number(&same["new"], "frames")? == 0,
        "{same}"
    );

    done(&["image", "restore", former, text(target)])?;
    let restored = done(&[
        "image",
        "restore",
        text(image),
        text(target),
        "--yes",
        "--changed-only",
    ])?;
    members(
        &restored,
        "action target content written kept fetched read_back seconds",
    )?;
    let (content, written) = (number(&restored, "content")?, number(&restored, "written")?);
    ensure!(written > 0 && written * 4 < content, "{restored}");
    ensure!(
        number(&restored, "kept")? + written == content,
        "{restored}"
    );
    run("e2fsck", &["-fn", text(target)])?;
    let again = done(&[
        "image",
        "restore",
        text(image),
        text(target),
        "--yes",
        "--changed-only",
    ])?;
    ensure!(number(&again, "written")? == 0, "{again}");
    Ok(())
}

#[test]
fn bases_are_chosen_and_never_change_the_content() -> Result<()> {
    if !have(&["mke2fs", "e2fsck", "debugfs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    kit::ext4(&path("volume"), 24, 8)?;
    let (volume, image) = (path("volume"), path("aula.img"));
    let create = |more: &[&str]| {
        let args = ["image", "create", text(&volume), text(&image)];
        done(&[&args[..], more].concat())
    };
    let first = create(&[])?;
    let none = create(&["--base", "none"])?;
    ensure!(number(&none, "reused_frames")? == 0, "{none}");
    let level = create(&["--base", "none", "--level", "1"])?;
    ensure!(
        number(&level, "frames")? == number(&first, "frames")?,
        "{level}"
    );
    let other = path("other.img");
    let args = [
        "image",
        "create",
        text(&volume),
        text(&other),
        "--base",
        text(&image),
        "--level",
        "9",
    ];
    let other = done(&args)?;
    ensure!(
        number(&other, "reused_frames")? + 3 >= number(&other, "frames")?,
        "{other}"
    );
    for (base, code) in [
        ("nothing", "image/not-found"),
        ("volume", "image/not-native"),
    ] {
        let found = refused(&[&args[..4], &["--base", text(&path(base))]].concat())?;
        ensure!(found == code, "{base}: {found}");
    }
    for name in ["aula.img", "other.img"] {
        done(&["image", "verify", "--deep", text(&path(name))])?;
        let out = path("out");
        done(&["image", "restore", text(&path(name)), text(&out)])?;
        run("e2fsck", &["-fn", text(&out)])?;
        std::fs::remove_file(&out)?;
    }
    listed(dir.path())
}

/// What `list` and `info` tell of the two images.
fn listed(dir: &Path) -> Result<()> {
    let list = done(&["image", "list", text(dir)])?;
    members(&list, "images")?;
    let rows = list["images"].as_array().context("images")?;
    ensure!(
        rows.len() == 2 && rows[0]["path"] == "aula.img" && rows[1]["path"] == "other.img",
        "{list}"
    );
    for row in rows {
        let all = "path file_size modified native format version compressor fs device_size used tool identity \
                   problem claimed untrue false_sum found_damaged lock side_files verified";
        members(row, all)?;
        ensure!(row["fs"] == "EXTFS" && row["native"] == true, "{row}");
    }
    let info = done(&["image", "info", text(&dir.join("other"))])?;
    for key in [
        "identity",
        "file_size",
        "device_size",
        "block_size",
        "used",
        "minimum_size",
        "frames",
        "facts",
    ] {
        ensure!(!info[key].is_null(), "{key} in {info}");
    }
    ensure!(
        info["facts"]["fs"] == "EXTFS" && info["facts"]["level"] == 9,
        "{info}"
    );
    ensure!(number(&info, "device_size")? == 24 << 20);
    Ok(())
}

#[test]
fn loop_page_and_swap_files_are_left_out_unless_they_are_wanted() -> Result<()> {
    if !have(&["mkntfs", "ntfs-3g", "ntfsfix", "ntfscat", "cmp"]) || !have_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let source = Disk::blank(dir.path().join("ntfs"), 32 << 20)?;
    run("mkntfs", &["-q", "-F", "-Q", source.name()])?;
    let script = r#"head -c 6M /dev/urandom > "$1/pagefile.sys"; head -c 2M /dev/urandom > "$1/swapfile.sys"
head -c 300000 /dev/urandom > "$1/mine""#;
    kit::in_mount(source.path(), Some("ntfs-3g"), script)?;
    let image = dir.path().join("windows.img");
    let create = ["image", "create", source.name(), text(&image)];
    let said = azud(&create)?;
    let less = said.done()?.clone();
    ensure!(said.warned() == ["left-out", "left-out"], "{}", said.plan());
    let info = done(&["image", "info", text(&image)])?;
    let names: Vec<&str> = info["facts"]["left_out"]
        .as_array()
        .context("left_out")?
        .iter()
        .filter_map(|file| file[0].as_str())
        .collect();
    ensure!(names == ["pagefile.sys", "swapfile.sys"], "{info}");
    let target = Disk::poisoned(dir.path().join("target"), 32 << 20)?;
    let restore = [
        "image",
        "restore",
        text(&image),
        target.name(),
        "--yes",
        "--read-back",
    ];
    let same = r#"cmp <(ntfscat "$1" "$3") <(ntfscat "$2" "$3")"#;
    done(&restore)?;
    run("ntfsfix", &["-n", target.name()])?;
    sh(same, &[source.name(), target.name(), "mine"])?;
    ensure!(
        sh(same, &[source.name(), target.name(), "pagefile.sys"]).is_err(),
        "it was not left out"
    );

    let said = azud(&[&create[..], &["--keep-pagefile"]].concat())?;
    let more = said.done()?;
    ensure!(said.warned() == ["replaces"], "{}", said.plan());
    ensure!(
        number(more, "used")? > number(&less, "used")? + (7 << 20),
        "{more}"
    );
    done(&restore)?;
    for file in ["mine", "pagefile.sys", "swapfile.sys"] {
        sh(same, &[source.name(), target.name(), file]).context(file)?;
    }
    Ok(())
}

#[test]
fn regression_an_image_is_never_the_target_of_another_command() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    azud_testkit::tools::sh(
        "truncate -s 16M $1 && mke2fs -q -t ext4 $1",
        &[&path("vol")],
    )?;
    let azud = |words: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_azud"))
            .args(words)
            .output()
    };
    assert!(
        azud(&["image", "create", &path("vol"), &path("vol.img")])?
            .status
            .success()
    );
    let before = std::fs::read(path("vol.img"))?;
    for words in [
        [
            "image",
            "export",
            "--to=raw",
            "--yes",
            &path("vol.img"),
            &path("vol.img"),
        ],
        [
            "image",
            "export",
            "--to=qcow2",
            "--yes",
            &path("vol.img"),
            &path("vol.img"),
        ],
        [
            "image",
            "restore",
            "--json",
            "--yes",
            &path("vol.img"),
            &path("vol.img"),
        ],
    ] {
        assert!(!azud(&words)?.status.success(), "{words:?}");
        assert!(
            std::fs::read(path("vol.img"))? == before,
            "{words:?} wrote over the image"
        );
    }
    // `vol` is the volume, and also the name of the image that was made of it.
    assert!(azud(&["image", "verify", &path("vol")])?.status.success());
    // A file that was cut short is said to be that.
    std::fs::write(path("cut.img"), &before[..before.len() / 2])?;
    let told = azud(&["--json", "image", "verify", &path("cut.img")])?.stdout;
    assert!(String::from_utf8(told)?.contains("image/truncated"));
    Ok(())
}

#[test]
fn history_says_when_each_version_was_captured_and_replaced() -> Result<()> {
    if !have(&["mke2fs", "touch"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (volume, image) = (dir.path().join("volume"), dir.path().join("aula.img"));
    kit::ext4(&volume, 8, 1)?;
    let captured = || -> Result<String> {
        done(&["image", "create", text(&volume), text(&image)])?;
        // A copy or a file server changes this.
        run("touch", &["-d", "2001-02-03", text(&image)])?;
        let info = done(&["image", "info", text(&image)])?;
        Ok(word(&info["facts"], "created")?.to_owned())
    };
    let (first, second) = (captured()?, captured()?);
    ensure!(first < second, "{first} {second}");
    let versions = versions(text(&image))?;
    let told: Vec<_> = versions.iter().map(|version| &version["created"]).collect();
    ensure!(told == [second.as_str(), first.as_str()], "{told:?}");
    ensure!(versions[0]["replaced"].is_null(), "{}", versions[0]);
    // To the second: it may seem to be a little before the next capture ended.
    ensure!(
        word(&versions[1], "replaced")?[..4] >= first[..4],
        "{}",
        versions[1]
    );
    Ok(())
}
