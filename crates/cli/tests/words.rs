//! What fails is told in the language of the user, and as one JSON object, whichever command it was.

mod kit;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use kit::text;
use serde_json::Value;

/// What a failing command says in a language, as it is told to scripts.
fn error(args: &[&str], lang: &str) -> Result<Value> {
    let root = tempfile::tempdir()?;
    let output = Command::new(env!("CARGO_BIN_EXE_azud"))
        .args(args)
        .args(["--json", "--lang", lang])
        .stdin(Stdio::null())
        .env("AZUD_ROOT", root.path().join("root"))
        .env("AZUD_MNT", root.path().join("mnt"))
        .env("AZUD_CONFIG", "/dev/null")
        .env_remove("AZUD_MANAGER")
        .env_remove("AZUD_CACHE")
        .output()?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    ensure!(output.stderr.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stdout)?;
    let lines: Vec<Value> = said
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let errors = lines.iter().filter(|line| line["error"].is_object());
    ensure!(errors.count() == 1, "{said}");
    let last = lines.last().context("a line")?;
    ensure!(last["error"].is_object(), "{said}");
    Ok(last["error"].clone())
}

fn word(error: &Value, key: &str) -> Result<String> {
    let word = error[key]
        .as_str()
        .with_context(|| format!("{key}: {error}"))?;
    ensure!(!word.is_empty(), "{key} is empty: {error}");
    Ok(word.to_owned())
}

#[test]
fn every_new_command_fails_in_the_language_of_the_user() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (file, held) = (dir.path().join("file"), dir.path().join("held.img"));
    std::fs::write(&file, vec![0; 1 << 20])?;
    std::fs::write(&held, vec![0; 1 << 20])?;
    std::fs::write(dir.path().join("held.img.lock"), "")?;
    let (file, none) = (text(&file), text(dir.path()).to_owned() + "/none");
    let in_cache = |verb| ["cache", verb, "x", "--cache", text(dir.path())];
    let commands: Vec<Vec<&str>> = vec![
        vec!["cache", "find", &none],
        vec!["cache", "init", &none],
        vec!["cache", "mount", &none],
        vec!["cache", "unmount", &none],
        vec!["cache", "status", &none],
        vec!["cache", "list", "--cache", &none],
        in_cache("pin").into(),
        in_cache("unpin").into(),
        in_cache("evict").into(),
        in_cache("verify").into(),
        [&in_cache("repair")[..], &["--from", file]].concat(),
        vec!["cache", "update", "REPO:aula1/win11"],
        vec!["cache", "update", "CACHE:aula1/win11"],
        vec!["image", "copy", "USB-none:x", &none],
        vec!["image", "copy", file, text(&held)],
        vec!["image", "list", "CACHE:"],
        vec!["repo", "mount", "REPO"],
        vec!["repo", "forget", "10.99.0.9"],
        vec!["repo", "unmount", "10.99.0.9"],
        vec!["storage", "mount", "none"],
        vec!["storage", "unmount", "none"],
    ];
    for args in commands {
        let (en, es) = (error(&args, "en")?, error(&args, "es")?);
        ensure!(en["code"] == es["code"], "{args:?}: {en} {es}");
        for key in ["message", "hint"] {
            let (en, es) = (word(&en, key)?, word(&es, key)?);
            let first = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
            ensure!(first(&en) != first(&es), "{args:?}: {en}");
        }
    }
    Ok(())
}

#[test]
fn who_has_no_cache_is_told_how_to_get_one() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for args in [
        &["cache", "update", "REPO:aula1/win11"][..],
        &["cache", "list"],
        &["image", "copy", "CACHE:win11", text(dir.path())],
    ] {
        for lang in ["en", "es"] {
            let error = error(args, lang)?;
            ensure!(error["code"] == "place/not-mounted", "{args:?}: {error}");
            let hint = word(&error, "hint")?;
            let ways = ["azud cache mount", "azud cache init", "AZUD_CACHE=DIR"];
            ensure!(
                ways.iter().all(|way| hint.contains(way)) && !hint.contains("repo add"),
                "{args:?}: {hint}"
            );
        }
    }
    Ok(())
}

/// A plan tells of an old image only where there is one.
#[test]
fn the_first_image_of_a_name_stands_beside_no_other() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    let (source, from, to) = (path("volume"), path("from.img"), path("to.img"));
    let from_volume = ["image", "create", text(&source), text(&from), "--yes"];
    std::fs::write(&source, vec![1; 1 << 20])?;
    kit::done(&from_volume)?;
    let copy = ["image", "copy", text(&from), text(&to)];
    let (beside, first) = ("copiada junto a la anterior", "copiada; aún no hay ninguna");
    let plan = in_spanish(&[&copy[..], &["--dry-run"]].concat())?;
    ensure!(plan.contains(first) && !plan.contains(beside), "{plan}");
    let done = kit::azud(&[&copy[..], &["--yes"]].concat())?;
    ensure!(done.plan()["rows"]["way"] == "copy", "{}", done.plan());
    std::fs::write(&source, vec![2; 1 << 20])?;
    kit::done(&from_volume)?;
    let plan = in_spanish(&[&copy[..], &["--dry-run"]].concat())?;
    ensure!(plan.contains(beside) && !plan.contains(first), "{plan}");
    Ok(())
}

/// What a technician does about a volume that was not shut down is said in their language, command by command.
#[test]
fn a_remedy_is_told_in_the_language_of_the_user() -> Result<()> {
    if !azud_testkit::tools::have(&["mke2fs", "debugfs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let volume = dir.path().join("volume");
    std::fs::File::create(&volume)?.set_len(16 << 20)?;
    azud_testkit::tools::run("mke2fs", &["-q", "-F", "-t", "ext4", text(&volume)])?;
    azud_testkit::tools::run(
        "debugfs",
        &["-w", "-R", "feature needs_recovery", text(&volume)],
    )?;
    let image = dir.path().join("x");
    let args = ["image", "create", text(&volume), text(&image)];
    let (english, spanish) = (error(&args, "en")?, error(&args, "es")?);
    ensure!(english["code"] == "fs/dirty", "{english}");
    for key in ["message", "hint"] {
        let (ours, theirs) = (word(&spanish, key)?, word(&english, key)?);
        ensure!(ours != theirs, "{ours}");
        for english in ["journal was", "or:", "the flag"] {
            ensure!(!ours.contains(english), "{ours}");
        }
    }
    let step = format!("e2fsck -p {}", text(&volume));
    ensure!(word(&spanish, "hint")?.contains(&step), "{spanish}");
    Ok(())
}

/// What a command prints for people who read Spanish.
fn in_spanish(args: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_azud"))
        .args(args)
        .args(["--lang", "es"])
        .env("AZUD_CONFIG", "/dev/null")
        .output()?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    ensure!(output.status.success(), "{said}");
    Ok(said)
}

#[test]
fn what_is_told_of_foreign_images_is_in_the_users_language() -> Result<()> {
    if !azud_testkit::tools::have(&["mke2fs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let image = dir.path().join("sync.img");
    kit::ext4(&image, 8, 0)?;
    std::fs::write(
        dir.path().join("sync.img.info"),
        "PARTCLONE:LZOP:NTFS:1000:pc1\n",
    )?;
    for (lock, owner) in [
        (
            "mounted",
            "un servidor que tiene montado su sistema de ficheros",
        ),
        ("", "una herramienta que no dice quién es"),
    ] {
        std::fs::write(dir.path().join("sync.img.lock"), lock)?;
        let said = in_spanish(&["image", "info", text(&image)])?;
        ensure!(said.contains(owner), "{said}");
        for fact in [
            "programa: ",
            "compresor: ",
            "sistema de ficheros: ",
            "tamaño en KiB: ",
        ] {
            ensure!(said.contains(fact), "no {fact}: {said}");
        }
        ensure!(!said.contains("server") && !said.contains("filesystem: "));
    }
    let list = in_spanish(&["image", "list", text(dir.path())])?;
    ensure!(list.contains("sistema de ficheros"), "{list}");
    Ok(())
}

#[test]
fn room_that_lacks_is_told_in_sizes_that_people_read() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let evict = ["cache", "evict", "--cache", text(dir.path()), "--yes"];
    let evict = [&evict[..], &["--free", "900T"]].concat();
    for (lang, words) in [("en", "more would have to be free"), ("es", "haría falta")] {
        let error = error(&evict, lang)?;
        ensure!(error["code"] == "cache/no-room", "{error}");
        let exactly = word(&error, "message")?;
        ensure!(
            !exactly.contains("TiB") && exactly.contains(words),
            "{exactly}"
        );
        let said = read(&evict, lang)?;
        ensure!(said.contains("TiB") && said.contains(words), "{said}");
        for text in [exactly, said] {
            ensure!(
                !text.contains(" 0 ") && !text.contains("bytes could"),
                "{text}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_file_where_a_directory_belongs_is_told_as_one() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    let (volume, image, file) = (path("volume"), path("from.img"), path("file"));
    std::fs::write(&volume, vec![1; 1 << 20])?;
    std::fs::write(&file, "")?;
    kit::done(&["image", "create", text(&volume), text(&image), "--yes"])?;
    let wanted = format!("{} is not a directory", text(&file));
    for rest in ["/x", "/x/y", "/"] {
        let to = text(&file).to_owned() + rest;
        for line in [
            &["image", "copy", text(&image), &to][..],
            &["image", "create", text(&volume), &to],
            &["image", "import", text(&image), &to],
            &["image", "rm", &to],
        ] {
            let error = error(&[line, &["--yes"]].concat(), "en")?;
            ensure!(error["code"] == "image/not-a-file", "{line:?}: {error}");
            let (message, hint) = (word(&error, "message")?, word(&error, "hint")?);
            ensure!(message.ends_with(&wanted), "{line:?}: {message}");
            ensure!(!hint.contains("mkdir"), "{line:?}: {hint}");
        }
    }
    ensure!(std::fs::read(&file)?.is_empty());
    Ok(())
}

#[test]
fn a_name_is_refused_as_it_was_typed() -> Result<()> {
    for name in ["REPO:aula1/../win", "REPO:.hidden/aula1/win", "REPO:"] {
        let error = error(&["image", "info", name], "en")?;
        ensure!(error["code"] == "image/bad-name", "{error}");
        ensure!(word(&error, "message")?.contains(name), "{error}");
    }
    Ok(())
}

#[test]
fn a_configuration_that_is_named_and_missing_is_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let list = |config: &str| -> Result<(Option<i32>, String)> {
        let output = Command::new(env!("CARGO_BIN_EXE_azud"))
            .args(["image", "list", text(dir.path())])
            .env("AZUD_CONFIG", config)
            .output()?;
        let errors = String::from_utf8(output.stderr)?;
        Ok((output.status.code(), errors))
    };
    let (status, errors) = list(text(&dir.path().join("none.toml")))?;
    ensure!(
        status == Some(1) && errors.contains("cli/bad-config"),
        "{errors}"
    );
    ensure!(errors.contains("none.toml"), "{errors}");
    ensure!(list("")?.0 == Some(0));
    Ok(())
}

#[test]
fn what_decoders_and_disks_say_is_in_the_users_language() -> Result<()> {
    let packers = ["gzip", "zstd", "xz", "bzip2", "lzop", "sfdisk"];
    if !azud_testkit::tools::have(&packers) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let disk = dir.path().join("disk.dsk");
    let script = "seq 300000 > \"$1\"; truncate -s 2M \"$1\"; printf 'start=2048' | sfdisk -q --force \"$1\"";
    azud_testkit::tools::sh(script, &[text(&disk)])?;
    let image = text(&dir.path().join("x.img")).to_owned();
    let mut said = Vec::new();
    for packer in &packers[..5] {
        let packed = dir.path().join(format!("disk.{packer}"));
        azud_testkit::tools::sh(
            "$2 -1 -c \"$1\" > \"$3\"",
            &[text(&disk), packer, text(&packed)],
        )?;
        let whole = std::fs::read(&packed)?;
        let middle = whole.len() / 2;
        for damage in 0..2 {
            let mut bytes = whole.clone();
            match damage {
                0 => bytes.truncate(middle),
                _ => bytes[middle..middle + 64]
                    .iter_mut()
                    .for_each(|byte| *byte ^= 0x5A),
            }
            std::fs::write(&packed, bytes)?;
            said.push(error(&["image", "import", text(&packed), &image], "es")?);
        }
    }
    let cut = dir.path().join("cut.dsk");
    std::fs::write(&cut, &std::fs::read(&disk)?[..1 << 20])?;
    said.push(error(&["image", "verify", text(&cut)], "es")?);
    std::fs::write(
        dir.path().join("disk.dsk.full.sum"),
        "0123456789abcdef0123456789abcdef\n",
    )?;
    said.push(error(&["image", "verify", text(&disk)], "es")?);
    for device in ["999:1", "serial=none:1", "serial="] {
        said.push(error(&["image", "create", device, &image], "es")?);
    }
    said.push(error(&["image", "restore", text(&disk), "-"], "es")?);
    for error in said {
        let message = word(&error, "message")?;
        let words: Vec<&str> = message.split(|c: char| !c.is_alphanumeric()).collect();
        let english = [
            "the", "its", "is", "data", "stream", "checksum", "corrupt", "no disk", "among",
        ];
        for english in english {
            ensure!(!words.contains(&english), "{english}: {message}");
        }
    }
    Ok(())
}

/// What a person reads of a command, on both streams.
fn read(args: &[&str], lang: &str) -> Result<String> {
    let mut command = Command::new(kit::program());
    let output = command
        .args(args)
        .args(["--lang", lang])
        .stdin(Stdio::null())
        .output()?;
    Ok(String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?)
}

#[test]
fn people_read_sizes_in_units_and_programs_in_bytes() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [volume, image, target] = ["volume", "x.img", "target"].map(|name| dir.path().join(name));
    std::fs::write(&volume, vec![3; 4 << 20])?;
    kit::done(&["image", "create", text(&volume), text(&image)])?;
    std::fs::write(&target, vec![4; 2 << 20])?;
    let restore = ["image", "restore", text(&image), text(&target), "--yes"];
    let said = kit::azud(&restore)?;
    ensure!(said.refused()? == "disk/too-small", "{}", said.last());
    let message = said.last()["error"]["message"].to_string();
    let exactly = message.contains("2097152 bytes") && message.contains("4194304 bytes");
    ensure!(exactly, "{message}");
    for lang in ["en", "es"] {
        let said = read(&restore, lang)?;
        ensure!(
            said.contains("2.0 MiB") && said.contains("4.0 MiB"),
            "{said}"
        );
        ensure!(!said.contains("4194304"), "{said}");
    }
    Ok(())
}

#[test]
fn a_label_cannot_turn_what_is_read() -> Result<()> {
    if !azud_testkit::tools::have(&["mke2fs"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let [volume, image] = ["volume", "x.img"].map(|name| dir.path().join(name));
    let script = "truncate -s 4M \"$1\"; mke2fs -q -F -L \"$2\" \"$1\"";
    azud_testkit::tools::sh(script, &[text(&volume), "a\u{202e}gmi\u{1b}[2J"])?;
    kit::done(&["image", "create", text(&volume), text(&image)])?;
    let said = read(&["image", "info", text(&image)], "en")?;
    ensure!(said.contains("a\\u{202e}gmi\\u{1b}[2J"), "{said}");
    ensure!(
        !said.contains('\u{202e}') && !said.contains('\u{1b}'),
        "{said}"
    );
    Ok(())
}

/// All Rust files below a folder.
fn sources(dir: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(std::fs::read_to_string(&path)?);
        }
    }
    Ok(found)
}

/// The literals that directly follow these words.
fn after<'a>(source: &'a str, words: &str) -> Vec<&'a str> {
    let parts = source.split(words).skip(1);
    parts.filter_map(|rest| rest.split('"').next()).collect()
}

/// One thing has one word, and what is quoted stands between quotes of the language.
#[test]
fn spanish_is_spelt_in_one_way() -> Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("locales/es");
    for entry in std::fs::read_dir(dir)? {
        let text = std::fs::read_to_string(entry?.path())?;
        let odd = text.lines().filter(|line| {
            let is_infinitive = line.starts_with("help-") && {
                let about = line.split_once(" = ").map_or("", |(_, about)| about);
                let first = about.split([' ', ',']).next().unwrap_or_default();
                ["ar", "er", "ir"].iter().any(|end| first.ends_with(end))
            };
            is_infinitive
                || ["“", "”", "archivo", "délo"]
                    .iter()
                    .any(|word| line.contains(word))
        });
        let odd: Vec<&str> = odd.collect();
        ensure!(odd.is_empty(), "{odd:#?}");
    }
    Ok(())
}

#[test]
fn every_plan_and_its_rows_have_words_in_both_languages() -> Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut keys = std::collections::BTreeSet::new();
    for source in sources(&dir.join("src"))? {
        let plans = after(&source, "Plan::new(\"");
        let rows = [".text(\"", ".bytes(\""].map(|words| after(&source, words));
        if !plans.is_empty() {
            keys.extend(rows.concat().iter().map(|row| format!("label-{row}")));
        }
        keys.extend(plans.iter().map(|plan| format!("plan-{plan}")));
    }
    // What stands alone in the same files is asked of the catalogue as it is.
    ensure!(keys.len() > 30, "{keys:?}");
    for lang in ["en", "es"] {
        let text = std::fs::read_to_string(dir.join(format!("locales/{lang}/azud.ftl")))?;
        let known: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once(" ="))
            .map(|(key, _)| key)
            .collect();
        let lack = |key: &&String| {
            let bare = key.strip_prefix("label-").unwrap_or(key);
            !known.contains(&key.as_str()) && !known.contains(&bare)
        };
        let lacking: Vec<&String> = keys.iter().filter(lack).collect();
        ensure!(lacking.is_empty(), "{lang}: {lacking:?}");
    }
    Ok(())
}

/// Nobody is advised an option that the command does not have.
#[test]
fn without_a_cache_every_command_advises_what_it_understands() -> Result<()> {
    for args in [
        &["cache", "list"][..],
        &["cache", "status"],
        &["cache", "update", "x"],
    ] {
        for lang in ["en", "es"] {
            let error = error(args, lang)?;
            ensure!(error["code"] != "cli/usage", "{error}");
            let hint = word(&error, "hint")?;
            ensure!(hint.contains("AZUD_CACHE="), "{args:?}: {hint}");
            ensure!(!hint.contains("--cache"), "{args:?}: {hint}");
        }
    }
    Ok(())
}
