//! Variables in shells.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, run};

use crate::kit::{Disk, Said, text};
use crate::{MANAGER, Machine, MountedAt, OTHER, put};

const SHELLS: [&[&str]; 5] = [
    &["dash"],
    &["bash"],
    &["busybox", "ash"],
    &["zsh"],
    &["fish"],
];

#[test]
fn the_seeds_paths_name_the_file_in_opengnsys_layout() -> Result<()> {
    if !have(&["dash", "bash", "busybox", "zsh", "fish"]) {
        return Ok(());
    }
    let root = r#"it's $(touch hostile) "here"/images"#;
    let machine = Machine::new(root, &format!("manager = ['{MANAGER}', 'ogserver']\n"))?;
    put(&machine.repo().join("sub/img"), "manager's\n")?;
    put(&machine.cache().join("sub/img"), "cached\n")?;
    put(
        &machine.mnt().join("USB-tools/opt/opengnsys/images/sub/img"),
        "stick's\n",
    )?;
    put(&machine.root.join(OTHER).join("sub/img"), "other's\n")?;
    let script = r#"cat "$REPO$REPOMAN"/sub/img "$CACHE$REPOMAN"/sub/img
cat "$USB$REPOMAN"/sub/img "$USB_tools$REPOMAN/sub/img" "$REPO_203_0_113_9$REPOMAN/sub/img"
echo "$IPSERVIDOR $IPSERVIDOR_ALT $REPOMAN""#;
    for shell in SHELLS {
        let said = machine.script(shell, script)?;
        let expected = format!(
            "manager's\ncached\nstick's\nstick's\nother's\n{MANAGER} {OTHER} opt/opengnsys/images\n"
        );
        ensure!(said == expected, "{shell:?}: {said}");
    }
    ensure!(!machine.root.join("hostile").exists() && !Path::new("hostile").exists());
    Ok(())
}

#[test]
fn the_seeds_paths_name_the_file_in_eac_layout() -> Result<()> {
    if !have(&["dash", "bash", "busybox", "zsh", "fish"]) {
        return Ok(());
    }
    let machine = Machine::new("var/opt/eac/hdimages", "layout = 'eac'\npackage = 'eac'\n")?;
    put(&machine.root.join("sub/img"), "manager's\n")?;
    put(
        &machine.mnt().join("sda4/var/opt/eac/hdimages/sub/img"),
        "cached\n",
    )?;
    put(&machine.mnt().join("sda2/Windows/system.ini"), "no cache\n")?;
    for shell in SHELLS {
        let script = "cat $REPO/sub/img $CACHE$REPO/sub/img $REPO$REPOMAN/sub/img";
        let said = machine.script(shell, script)?;
        ensure!(
            said == "manager's\ncached\nmanager's\n",
            "{shell:?}: {said}"
        );
    }
    Ok(())
}

#[test]
fn variables_of_what_is_gone_are_taken_away() -> Result<()> {
    let machine = Machine::client()?;
    put(&machine.mnt().join("USB-x/a.img"), "")?;
    let usb = machine.mnt().join("USB-x");
    let script = format!(
        "echo \"$USB\"; rm -r '{}'; eval \"$(azud env)\"; echo \"${{USB-unset}}\"",
        text(&usb)
    );
    let said = machine.script(&["sh"], &script)?;
    let view = machine.root.join(".azud-view/USB-x");
    ensure!(said == format!("{}/\nunset\n", view.display()), "{said}");
    ensure!(!view.exists() && !machine.root.join("USB-x").is_symlink());
    let variables = machine.done(&["env"])?;
    ensure!(variables["variables"]["USB"].is_null(), "{variables}");
    Ok(())
}

/// A live system's root is often read-only.
#[test]
fn loop_a_read_only_root_has_variables() -> Result<()> {
    if !have(&["mkfs.ext4", "mount"]) || !have_root() {
        return Ok(());
    }
    let machine = Machine::client()?;
    let disk = Disk::blank(machine.dir.path().join("disk"), 16 << 20)?;
    run("mkfs.ext4", &["-q", "-F", disk.name()])?;
    let root = machine.root.clone();
    {
        let _root = MountedAt::new(disk.name(), &root)?;
        fs::create_dir_all(machine.repo().join("aula1"))?;
        fs::create_dir_all(machine.cache())?;
    }
    let _root = MountedAt::new(disk.name(), &root)?;
    run("mount", &["-o", "remount,ro", text(&root)])?;
    for shell in ["sh", "fish"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_azud"));
        command.args(["env", "--shell", shell, "--lang", "en"]);
        let output = machine.on(&mut command).output()?;
        let said = String::from_utf8(output.stdout)?;
        let errors = String::from_utf8(output.stderr)?;
        ensure!(output.status.success(), "{said} {errors}");
        for part in [MANAGER, "REPOMAN", text(&root.join("localhost"))] {
            ensure!(said.contains(part), "no {part}: {said}");
        }
        ensure!(
            errors.contains("REPO") && errors.contains("read-only"),
            "{errors}"
        );
    }
    Ok(())
}

/// Whoever may not write still reads the variables, as long as what they name is there.
#[test]
fn users_without_rights_get_variables_that_hold() -> Result<()> {
    if !have(&["setpriv"]) || !have_root() {
        return Ok(());
    }
    let machine = Machine::client()?;
    put(&machine.repo().join("img"), "x")?;
    let open = Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(machine.dir.path())
        .status()?;
    ensure!(open.success());
    let as_nobody = || -> Result<Said> {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
            .arg(env!("CARGO_BIN_EXE_azud"))
            .args(["env", "--json"]);
        Said::of(&machine.on(&mut command).output()?)
    };
    // What leads through links that nobody made is not set, and that is told; all else is there.
    let said = as_nobody()?;
    let variables = &said.done()?["variables"];
    ensure!(variables["REPO"].is_null() && variables["IPSERVIDOR"] == MANAGER);
    ensure!(variables["CACHE"].is_string(), "{variables}");
    let warned = said.lines[0]["warning"].as_str().context("a warning")?;
    ensure!(warned.contains("REPO"), "{warned}");
    machine.done(&["env"])?;
    ensure!(as_nobody()?.done()?["variables"]["REPO"].is_string());
    // An alias that is missing is only told.
    fs::remove_file(machine.root.join("cache"))?;
    let said = as_nobody()?;
    ensure!(said.lines[0]["warning"].is_string(), "{:?}", said.lines);
    ensure!(said.done()?["variables"]["CACHE"].is_string());
    Ok(())
}

/// The settings may lie in the directory in which a command runs.
#[test]
fn a_settings_file_may_be_named_without_its_directory() -> Result<()> {
    let machine = Machine::client()?;
    let run = |args: &[&str]| {
        let mut command = crate::kit::command(args);
        let command = machine.on(&mut command).current_dir(machine.dir.path());
        Said::of(&command.env("AZUD_CONFIG", "azud.toml").output()?)
    };
    let add = ["repo", "add", "nas", "--protocol", "nfs", "--path"];
    for _ in 0..2 {
        run(&[&add[..], &["/images"]].concat())?.done()?;
    }
    let list = run(&["repo", "list"])?.done()?.clone();
    ensure!(list == machine.done(&["repo", "list"])?, "{list}");
    ensure!(list.to_string().contains("nas"), "{list}");
    Ok(())
}
