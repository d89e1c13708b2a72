//! One name for one image on every machine: references in commands, variables in shells, links on disk.

mod kit;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, run};
use kit::{Disk, Said, text};

/// Addresses that no machine of ours has (RFC 5737).
const MANAGER: &str = "203.0.113.1";
const OTHER: &str = "203.0.113.9";

/// A machine with its configuration, in a directory of its own.
struct Machine {
    dir: tempfile::TempDir,
    root: PathBuf,
    settings: String,
}

impl Machine {
    /// Writes the configuration; `root` and other paths are below the machine's directory.
    fn new(root: &str, settings: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let root = fs::canonicalize(dir.path())?.join(root);
        fs::create_dir_all(&root)?;
        fs::create_dir(dir.path().join("mnt"))?;
        let settings = format!("root = '''{}'''\n{settings}", text(&root));
        fs::write(dir.path().join("azud.toml"), &settings)?;
        Ok(Self {
            dir,
            root,
            settings,
        })
    }

    /// A client of the manager: both trees are there and empty.
    fn client() -> Result<Self> {
        let machine = Self::new("images", &format!("manager = '{MANAGER}'\n"))?;
        fs::create_dir_all(machine.repo().join("aula1"))?;
        fs::create_dir_all(machine.cache())?;
        Ok(machine)
    }

    fn repo(&self) -> PathBuf {
        self.root.join(MANAGER)
    }

    fn cache(&self) -> PathBuf {
        self.root.join("localhost/opt/opengnsys/images")
    }

    fn mnt(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// Makes a command see this machine.
    fn on<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AZUD_CONFIG", self.dir.path().join("azud.toml"))
            .env("AZUD_MNT", self.mnt())
    }

    fn azud(&self, args: &[&str]) -> Result<Said> {
        Said::of(&self.on(&mut kit::command(args)).output()?)
    }

    fn done(&self, args: &[&str]) -> Result<serde_json::Value> {
        let said = self.azud(args)?;
        Ok(said.done().with_context(|| format!("{args:?}"))?.clone())
    }

    fn refused(&self, args: &[&str]) -> Result<String> {
        let said = self.azud(args)?;
        Ok(said.refused().with_context(|| format!("{args:?}"))?.into())
    }

    /// What a script prints in a shell after `azud env` was read.
    fn script(&self, shell: &[&str], script: &str) -> Result<String> {
        let azud = Path::new(env!("CARGO_BIN_EXE_azud"));
        let load = if shell[0] == "fish" {
            "azud env --shell fish | source"
        } else {
            "eval \"$(azud env)\""
        };
        let mut command = Command::new(shell[0]);
        command
            .args(&shell[1..])
            .arg("-c")
            .arg(format!("{load}\n{script}"));
        let path = std::env::var("PATH")?;
        let dir = azud.parent().context("a directory")?;
        command.env("PATH", format!("{}:{path}", dir.display()));
        command.env("LC_ALL", "C.UTF-8");
        let output = self.on(&mut command).output()?;
        let said = String::from_utf8(output.stdout)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{shell:?}: {said} {errors}");
        Ok(said)
    }
}

const SHELLS: [&[&str]; 5] = [
    &["dash"],
    &["bash"],
    &["busybox", "ash"],
    &["zsh"],
    &["fish"],
];

fn put(path: &Path, content: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("a directory")?)?;
    Ok(fs::write(path, content)?)
}

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

#[test]
fn links_on_disk_follow_what_is_there() -> Result<()> {
    let machine = Machine::client()?;
    let target = |name: &str| fs::read_link(machine.root.join(name)).ok();
    symlink("localhost", machine.root.join(OTHER))?;
    machine.done(&["env"])?;
    for name in ["REPO", "repo"] {
        ensure!(target(name) == Some(MANAGER.into()), "{name}");
    }
    for name in ["CACHE", "cache", "127.0.0.1", "[::1]"] {
        ensure!(target(name) == Some("localhost".into()), "{name}");
    }
    ensure!(target(OTHER).is_none(), "a stale link stays");
    fs::remove_dir_all(machine.root.join("localhost"))?;
    machine.done(&["env"])?;
    ensure!(target("CACHE").is_none() && target("REPO").is_some());
    // What is somebody's is left alone and told of.
    fs::remove_file(machine.root.join("repo"))?;
    put(&machine.root.join("repo"), "mine")?;
    let said = machine.azud(&["env"])?;
    let warned = said.lines[0]["warning"].as_str().context("a warning")?;
    ensure!(said.status == Some(0) && warned.contains("/repo is a file"));
    ensure!(fs::read_to_string(machine.root.join("repo"))? == "mine");
    Ok(())
}

#[test]
fn a_flat_root_on_the_manager_is_its_own_repository() -> Result<()> {
    let machine = Machine::new("images", "serving = true\n")?;
    put(&machine.root.join("aula1/win.img"), "x")?;
    let env = machine.done(&["env"])?;
    ensure!(fs::read_link(machine.root.join("REPO"))? == Path::new("."));
    if let Some(own) = env["variables"]["IPSERVIDOR"].as_str() {
        ensure!(
            fs::read_link(machine.root.join(own))? == Path::new("."),
            "{own}"
        );
        let own = format!("{own}:aula1");
        let images = &machine.done(&["image", "list", &own])?["images"];
        ensure!(images[0]["path"] == "win.img", "{images}");
    }
    let images = &machine.done(&["image", "list", "repo:"])?["images"];
    ensure!(images.as_array().map(Vec::len) == Some(1), "{images}");
    ensure!(machine.refused(&["image", "list", "CACHE:"])? == "place/not-mounted");
    Ok(())
}

/// A file system mounted where the test says; unmounted in the end, whatever happens.
struct MountedAt(PathBuf);

impl MountedAt {
    fn new(device: &str, at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        run("mount", &[device, text(at)])?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for MountedAt {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn loop_a_mounted_cache_is_the_cache_and_its_empty_mount_point_is_not() -> Result<()> {
    if !have(&["mkfs.ext4", "mke2fs", "mount"]) || !have_root() {
        return Ok(());
    }
    let machine = Machine::client()?;
    let volume = machine.dir.path().join("volume");
    kit::ext4(&volume, 16, 1)?;
    let disk = Disk::blank(machine.dir.path().join("disk"), 64 << 20)?;
    run("mkfs.ext4", &["-q", "-F", disk.name()])?;
    let at = machine.root.join("localhost");
    fs::remove_dir_all(&at)?;
    let create = ["image", "create", text(&volume), "CACHE:aula1/deb"];
    {
        let _cache = MountedAt::new(disk.name(), &at)?;
        // Formatted by somebody else: the place for images is made with the first one.
        ensure!(machine.refused(&["image", "info", create[3]])? == "image/not-found");
        ensure!(!at.join("opt").exists());
        machine.done(&create)?;
        ensure!(machine.cache().join("aula1/deb.img").exists());
        let variables = machine.done(&["env"])?;
        let cache = format!("{}/", at.display());
        ensure!(variables["variables"]["CACHE"] == cache, "{variables}");
        ensure!(fs::read_link(machine.root.join("127.0.0.1"))? == Path::new("localhost"));
    }
    // What would be written now would be hidden by the next mount.
    ensure!(at.is_dir() && machine.refused(&create)? == "place/not-mounted");
    ensure!(fs::read_dir(&at)?.next().is_none());
    machine.done(&["env"])?;
    ensure!(!machine.root.join("127.0.0.1").is_symlink());
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

#[test]
fn commands_take_images_by_place() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    let volume = machine.dir.path().join("volume");
    kit::ext4(&volume, 16, 4)?;
    let create = ["image", "create", text(&volume)];
    // The folders are made when the image is, not by looking.
    let dry = [&create[..], &["REPO:aula2/new/deb", "--dry-run"]].concat();
    machine.done(&dry)?;
    ensure!(!machine.repo().join("aula2").exists());
    let made = machine.done(&[&create[..], &["REPO:aula2/new/deb"]].concat())?;
    let image = machine.repo().join("aula2/new/deb.img");
    ensure!(made["image"] == text(&image), "{made}");
    // The cache grows the same folders.
    machine.done(
        &[
            &create[..],
            &["127.0.0.1:aula2/new/deb", "--base", "REPO:aula2/new/deb"],
        ]
        .concat(),
    )?;
    ensure!(machine.cache().join("aula2/new/deb.img").exists());
    let verified = machine.done(&["image", "verify", "cache:aula2/new/deb"])?;
    ensure!(verified["identity"].is_string(), "{verified}");
    let name = format!("{MANAGER}:aula2/new/deb.img");
    let info = machine.done(&["image", "info", &name])?;
    ensure!(info["identity"] == made["identity"], "{info}");
    let diff = machine.done(&["image", "diff", "repo:aula2/new/deb", "CACHE:aula2/new/deb"])?;
    ensure!(diff["new"]["frames"] == 0, "{diff}");
    let list = machine.done(&["image", "list", "REPO:aula2"])?;
    ensure!(list["images"][0]["path"] == "new/deb.img", "{list}");

    put_elsewhere(&machine, &volume)?;
    machine.done(&["image", "rm", "REPO:aula2/new/deb"])?;
    ensure!(!image.exists());
    let history = machine.done(&["image", "history", "REPO:aula2/new/deb"])?;
    ensure!(
        history["versions"][0]["identity"] == made["identity"],
        "{history}"
    );
    machine.done(&["image", "rollback", "REPO:aula2/new/deb"])?;
    ensure!(image.exists());
    Ok(())
}

/// Restores and converts what the test above made.
fn put_elsewhere(machine: &Machine, volume: &Path) -> Result<()> {
    let target = machine.dir.path().join("target");
    let image = "CACHE:aula2/new/deb";
    machine.done(&["image", "restore", image, text(&target), "--yes"])?;
    ensure!(fs::read(&target)? == fs::read(volume)?);
    let out = machine.dir.path().join("deb.pcl");
    machine.done(&["image", "export", image, text(&out), "--to", "partclone"])?;
    fs::copy(&out, machine.repo().join("aula1/old.img"))?;
    machine.done(&["image", "import", "REPO:aula1/old", "CACHE:aula1/from/old"])?;
    ensure!(machine.cache().join("aula1/from/old.img").exists());
    // What is written must be a path: nobody wants a file of this name here.
    let code = machine.refused(&["image", "export", image, "REPO:out", "--to", "raw"])?;
    ensure!(code == "image/bad-name", "{code}");
    let code = machine.refused(&["image", "restore", image, "REPO:out", "--yes"])?;
    ensure!(code == "disk/bad-name", "{code}");
    Ok(())
}

#[test]
fn bad_names_are_refused_and_nothing_is_made() -> Result<()> {
    let machine = Machine::client()?;
    let volume = machine.dir.path().join("volume");
    fs::write(&volume, [1; 4096])?;
    put(&machine.repo().join("aula1/Win.img"), "x")?;
    put(&machine.dir.path().join("out/secret.img"), "x")?;
    symlink(
        machine.dir.path().join("out"),
        machine.repo().join("planted"),
    )?;
    symlink("../../out/secret.img", machine.repo().join("aula1/up.img"))?;
    let long = format!("REPO:{}/x", "n".repeat(256));
    for (name, code) in [
        ("REPO:../x", "image/bad-name"),
        ("REPO:aula1/../../x", "image/bad-name"),
        ("REPO:", "image/bad-name"),
        ("REPO:aula1//x", "image/bad-name"),
        ("REPO:.hidden/x", "image/bad-name"),
        ("REPO:a\u{1b}b", "image/bad-name"),
        (long.as_str(), "image/bad-name"),
        ("REPO:10.0.0.1/x", "image/bad-name"),
        ("REPO:USB-x/x", "image/bad-name"),
        ("REPO:aula1/win", "image/case-twin"),
        ("REPO:Aula1/other", "image/case-twin"),
        ("REPO:planted/x", "image/outside"),
        ("REPO:planted/secret", "image/outside"),
        ("REPO:aula1/up", "image/outside"),
        ("no such host:x", "place/bad-name"),
        ("198.51.100.7:x", "place/not-mounted"),
        ("USB-none:x", "place/not-mounted"),
    ] {
        let found = machine.refused(&["image", "create", text(&volume), name])?;
        ensure!(found == code, "{name}: {found}");
        let found = machine.refused(&["image", "info", name])?;
        ensure!(found == code, "{name}: {found}");
    }
    ensure!(machine.refused(&["image", "info", "REPO:aula1/none"])? == "image/not-found");
    ensure!(kit::names(&machine.dir.path().join("out"))? == ["secret.img"]);
    ensure!(kit::names(&machine.repo())? == ["aula1", "planted"]);
    let lost = Machine::new("images", "")?;
    ensure!(lost.refused(&["image", "info", "REPO:x"])? == "place/no-manager");
    Ok(())
}

#[test]
fn devices_by_number_are_refused_when_they_are_not_there() -> Result<()> {
    let machine = Machine::client()?;
    for (device, code) in [
        ("99:1", "disk/not-a-device"),
        ("serial=none of ours:1", "disk/not-a-device"),
        ("0:1", "disk/bad-name"),
        ("serial=x", "disk/bad-name"),
    ] {
        let found = machine.refused(&["image", "create", device, "CACHE:x"])?;
        ensure!(found == code, "{device}: {found}");
    }
    Ok(())
}

#[test]
fn a_configuration_that_is_not_understood_stops_what_needs_it() -> Result<()> {
    let machine = Machine::client()?;
    let config = machine.dir.path().join("azud.toml");
    fs::write(&config, format!("{}rot = 1\n", machine.settings))?;
    ensure!(machine.refused(&["env"])? == "cli/bad-config");
    ensure!(machine.refused(&["image", "info", "REPO:x"])? == "cli/bad-config");
    // Plain paths need none.
    ensure!(machine.refused(&["image", "info", "./x"])? == "image/not-found");
    Ok(())
}

#[test]
fn a_copy_to_a_repository_alone_keeps_the_place() -> Result<()> {
    if !have(&["mke2fs"]) {
        return Ok(());
    }
    let machine = Machine::client()?;
    fs::create_dir_all(machine.root.join(OTHER).join("kept"))?;
    let volume = machine.dir.path().join("deb");
    kit::ext4(&volume, 16, 1)?;
    let repo = format!("{MANAGER}:aula1/deb");
    machine.done(&["image", "create", text(&volume), &repo])?;
    let to = format!("{OTHER}:");
    machine.done(&["image", "copy", &repo, &to])?;
    machine.done(&["image", "verify", &format!("{OTHER}:aula1/deb")])?;
    // A file of no repository has no folder to keep.
    let file = machine.repo().join("aula1/deb.img");
    machine.done(&["image", "copy", text(&file), &to])?;
    machine.done(&["image", "verify", &format!("{OTHER}:deb")])?;
    Ok(())
}
