//! What `azud doctor` finds on machines that something is wrong with. Findings of the whole computer (its
//! kernel, its programs, other people's disks) are only looked at where a test made them.

mod kit;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, have_root, run};
use azud_testkit::tree::picture;
use kit::{Disk, Said, text};
use serde_json::Value;

/// Addresses that no machine of ours has (RFC 5737).
const MANAGER: &str = "203.0.113.1";
const OTHER: &str = "203.0.113.9";

/// A client with a manager's tree and a cache that are plain directories.
struct Client {
    dir: tempfile::TempDir,
    root: PathBuf,
}

impl Client {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let root = fs::canonicalize(dir.path())?.join("images");
        for tree in [MANAGER, "localhost/opt/opengnsys/images"] {
            fs::create_dir_all(root.join(tree))?;
        }
        fs::create_dir(dir.path().join("mnt"))?;
        fs::write(root.join(MANAGER).join("win11.img"), "an image")?;
        let client = Self { dir, root };
        client.configure("")?;
        Ok(client)
    }

    fn configure(&self, more: &str) -> Result<()> {
        let root = text(&self.root);
        let settings = format!("root = '{root}'\nmanager = '{MANAGER}'\n{more}");
        Ok(fs::write(self.dir.path().join("azud.toml"), settings)?)
    }

    fn on<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AZUD_CONFIG", self.dir.path().join("azud.toml"))
            .env("AZUD_MNT", self.dir.path().join("mnt"))
    }

    fn doctor(&self) -> Result<Told> {
        let output = self.on(&mut kit::command(&["doctor"])).output()?;
        Told::of(Said::of(&output)?)
    }
}

/// What was told.
struct Told {
    said: Said,
    findings: Vec<Value>,
}

impl Told {
    fn of(said: Said) -> Result<Self> {
        let first = said.result();
        let findings = first["findings"].as_array().context("no findings")?.clone();
        let problems = findings
            .iter()
            .filter(|it| it["state"] == "problem")
            .count();
        ensure!(first["problems"] == problems, "{first}");
        // Other computers' troubles may be there too: the status follows from what was told.
        let expected = i32::from(problems > 0);
        ensure!(said.status == Some(expected), "{:?}: {first}", said.status);
        ensure!(problems == 0 || said.refused()? == "site/problems");
        Ok(Self { said, findings })
    }

    /// The states of the findings with a key whose words have a text in them.
    fn states(&self, key: &str, word: &str) -> Vec<&str> {
        let found = self.findings.iter().filter(|finding| {
            let what = finding["what"].as_str().unwrap_or_default();
            finding["finding"] == key && what.contains(word)
        });
        found
            .filter_map(|finding| finding["state"].as_str())
            .collect()
    }

    fn has(&self, state: &str, key: &str, word: &str) -> Result<()> {
        let found = self.states(key, word);
        let all: Vec<String> = self.findings.iter().map(Value::to_string).collect();
        ensure!(
            found == [state],
            "{key} {word}: {found:?} in\n{}",
            all.join("\n")
        );
        Ok(())
    }

    fn has_no(&self, key: &str, word: &str) -> Result<()> {
        let found = self.states(key, word);
        ensure!(found.is_empty(), "{key} {word}: {found:?}");
        Ok(())
    }
}

#[test]
fn a_client_in_order_is_told_so_and_stays_as_it_is() -> Result<()> {
    let client = Client::new()?;
    let mut env = kit::command(&["env"]);
    ensure!(client.on(&mut env).output()?.status.success());
    let before = picture(client.dir.path())?;
    let told = client.doctor()?;
    let root = text(&client.root);
    told.has("ok", "config", "azud.toml")?;
    told.has("ok", "images-root", root)?;
    told.has("ok", "manager", MANAGER)?;
    told.has("ok", "names", root)?;
    told.has("ok", "date", "20")?;
    for dir in [client.root.clone(), client.root.join(MANAGER)] {
        told.has("ok", "clock", &format!("{} ", text(&dir)))?;
        told.has("ok", "stages", &format!("{}:", text(&dir)))?;
    }
    ensure!(
        picture(client.dir.path())? == before,
        "something was changed"
    );
    Ok(())
}

#[test]
fn a_configuration_that_is_not_understood_is_a_problem_with_its_line() -> Result<()> {
    let client = Client::new()?;
    client.configure("rot = '/y'\n")?;
    let told = client.doctor()?;
    told.has("problem", "config-wrong", "azud.toml:3")?;
    ensure!(told.said.status == Some(1));
    told.has_no("images-root", "")
}

/// Of a run that failed: what was found stands in the object of the error, and there is no other.
fn one_object(said: &Said, code: &str) -> Result<Value> {
    ensure!(said.refused()? == code, "{}", said.last());
    let is_more = |line: &&Value| line["warning"].is_null() && line["progress"].is_null();
    ensure!(said.lines.iter().filter(is_more).count() == 1, "{said:?}");
    Ok(said.last()["result"].clone())
}

#[test]
fn what_was_found_is_in_the_object_of_the_error() -> Result<()> {
    let client = Client::new()?;
    client.configure("rot = 1\n")?;
    let said = client.doctor()?.said;
    let found = one_object(&said, "site/problems")?;
    ensure!(found["problems"].as_u64() > Some(0), "{found}");
    let (cache, volume) = (client.dir.path().join("cache"), client.dir.path().join("v"));
    fs::create_dir(&cache)?;
    fs::write(&volume, vec![7; 1 << 20])?;
    let image = cache.join("win.img");
    kit::done(&["image", "create", text(&volume), text(&image), "--yes"])?;
    let mut bytes = fs::read(&image)?;
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    fs::write(&image, bytes)?;
    let said = kit::azud(&["cache", "verify", "--cache", text(&cache)])?;
    let found = one_object(&said, "image/corrupt")?;
    ensure!(
        found["action"] == "cache-verify" && found["damaged"] == 1,
        "{found}"
    );
    ensure!(found["images"][0]["path"] == "win.img", "{found}");
    Ok(())
}

#[test]
fn stale_names_and_what_killed_runs_left_are_told_and_left() -> Result<()> {
    let client = Client::new()?;
    symlink("USB-gone", client.root.join("USB-x"))?;
    fs::write(client.root.join("REPO"), "mine")?;
    let stage = client.root.join(MANAGER).join("aula1/.azud-stage-win11");
    fs::create_dir_all(&stage)?;
    let mut child = Command::new("true").spawn()?;
    let pid = child.id();
    child.wait()?;
    let line = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
    let (host, boot) = (
        line("/proc/sys/kernel/hostname")?,
        line("/proc/sys/kernel/random/boot_id")?,
    );
    let owner = format!(r#"{{"host":"{host}","pid":{pid},"boot_id":"{boot}","started":1}}"#);
    fs::write(stage.join("owner"), owner)?;
    let before = picture(client.dir.path())?;
    let told = client.doctor()?;
    told.has("warning", "names-stale", "")?;
    told.has("problem", "name-taken", "/REPO")?;
    told.has("warning", "stage-abandoned", "azud-stage-win11")?;
    ensure!(
        picture(client.dir.path())? == before,
        "something was changed"
    );
    // The remedies work.
    let folder = stage.parent().context("it has one")?;
    kit::done(&["image", "list", text(folder)])?;
    fs::remove_file(client.root.join("REPO"))?;
    ensure!(
        client
            .on(&mut kit::command(&["env"]))
            .output()?
            .status
            .success()
    );
    let told = client.doctor()?;
    told.has("ok", "names", "")?;
    told.has_no("stage-abandoned", "")
}

#[test]
fn people_are_told_in_their_language_and_only_what_matters() -> Result<()> {
    let client = Client::new()?;
    client.configure("rot = 1\n")?;
    let said = |args: &[&str]| -> Result<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_azud"));
        let output = client
            .on(command.args(args).stdin(Stdio::null()))
            .output()?;
        ensure!(output.status.code() == Some(1));
        Ok(String::from_utf8(output.stdout)?)
    };
    let whole = said(&["doctor", "--lang", "en"])?;
    ensure!(whole.contains("Configuration\n  problem "), "{whole}");
    ensure!(whole.contains("\n  ok "), "{whole}");
    let quiet = said(&["doctor", "--lang", "es", "--quiet"])?;
    ensure!(quiet.contains("Configuración\n  problema "), "{quiet}");
    ensure!(quiet.contains("remedio: "), "{quiet}");
    ensure!(!quiet.contains("\n  bien "), "{quiet}");
    Ok(())
}

/// Runs the doctor in a mount namespace of its own, which goes with the shell, after a script in the images root.
fn apart(client: &Client, script: &str) -> Result<Told> {
    let script = format!("set -e; cd \"$1\"; {script}\nexec timeout 100 \"$0\" doctor --json");
    let mut command = Command::new("unshare");
    let program = env!("CARGO_BIN_EXE_azud");
    command.args(["-m", "sh", "-c", &script, program, text(&client.root)]);
    Told::of(Said::of(&client.on(&mut command).output()?)?)
}

#[test]
fn loop_mounts_that_are_gone_full_hidden_or_read_only_are_told() -> Result<()> {
    if !(have_root() && have(&["mount", "unshare", "timeout"])) {
        return Ok(());
    }
    let script = format!(
        "mkdir {OTHER} 203.0.113.7 203.0.113.8 ../bound
         mount -t tmpfs -o size=1m azud-full {MANAGER}
         mount -t tmpfs azud-a {OTHER}; mount -o remount,ro {OTHER}
         mount -t tmpfs azud-b 203.0.113.7; mount -t tmpfs azud-c 203.0.113.7
         mount --bind ../bound 203.0.113.8; rmdir ../bound"
    );
    let told = apart(&Client::new()?, &script)?;
    told.has("ok", "mount-read-only", OTHER)?;
    told.has("warning", "mount-covered", "azud-b")?;
    told.has("ok", "mount", "azud-c")?;
    told.has("problem", "mount-stale", "203.0.113.8")?;
    told.has("problem", "room-none", MANAGER)?;
    told.has("unknown", "clock-unknown", OTHER)
}

/// A FUSE file system whose server never says a word: whoever looks at it stands still.
#[test]
fn loop_a_server_that_does_not_answer_holds_nobody() -> Result<()> {
    if !(have_root() && have(&["mount", "unshare", "timeout"]) && Path::new("/dev/fuse").exists()) {
        return Ok(());
    }
    let script = format!(
        "mkdir {OTHER}; exec 5<>/dev/fuse
         mount -i -t fuse -o fd=5,rootmode=40000,user_id=0,group_id=0 azud-dumb {OTHER}
         timeout 100 \"$0\" doctor --json 5>&-; exit $?"
    );
    let begun = std::time::Instant::now();
    let told = apart(&Client::new()?, &script)?;
    told.has("problem", "mount-silent", OTHER)?;
    let text = format!("{:?}", begun.elapsed());
    ensure!(
        begun.elapsed() < std::time::Duration::from_mins(1),
        "{text}"
    );
    Ok(())
}

#[test]
fn loop_two_caches_are_a_problem_and_both_are_named() -> Result<()> {
    if !(have_root() && have(&["mkfs.ext4", "blkid", "losetup"])) {
        return Ok(());
    }
    let client = Client::new()?;
    let disk = |name: &str| -> Result<Disk> {
        let disk = Disk::blank(client.dir.path().join(name), 16 << 20)?;
        run("mkfs.ext4", &["-q", "-L", "CACHE", disk.name()])?;
        Ok(disk)
    };
    let (first, second) = (disk("a")?, disk("b")?);
    let told = client.doctor()?;
    // Other tests may have caches of their own at the same time.
    told.has("problem", "cache-several", first.name())?;
    told.has("problem", "cache-several", second.name())
}
