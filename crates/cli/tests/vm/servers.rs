//! Real servers, in the same machine: Samba, and the kernel's NFS.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use azud_testkit::tools::{have, run, run_any, sh};

use crate::in_vm;
use crate::kit::{Said, text};
use crate::room::Room;

/// Leads back to this machine without being an address of it, which would mean its cache.
pub(crate) const ADDRESS: &str = "10.9.9.9";

fn network() -> Result<()> {
    sh("ip route replace local 10.9.9.9/32 dev lo", &[]).map(drop)
}

/// A server; it ends with its handle.
pub(crate) struct Server(pub(crate) Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A share `ogimages` for the user `lab` whose password is `gehe,im`.
pub(crate) fn samba(room: &Room) -> Result<Server> {
    network()?;
    for name in ["private", "run"] {
        fs::create_dir(room.path(name))?;
    }
    let state = room.path("run");
    let state = text(&state);
    let config = format!(
        "[global]\nserver role = standalone server\nmap to guest = never\nlog file = {state}/log\n\
         private dir = {}\nlock directory = {state}\nstate directory = {state}\ncache directory = {state}\n\
         pid directory = {state}\nncalrpc dir = {state}/rpc\nbind interfaces only = no\ndisable netbios = yes\n\
         smb ports = 445\nload printers = no\nprinting = bsd\nprintcap name = /dev/null\n\
         [ogimages]\npath = {}\nread only = no\nforce user = root\n",
        text(&room.path("private")),
        text(&room.path("images")),
    );
    let file = room.path("smb.conf");
    fs::write(&file, config)?;
    let script = "id lab >/dev/null 2>&1 || useradd --no-create-home lab
        printf 'gehe,im\\ngehe,im\\n' | smbpasswd -c \"$1\" -s -a lab";
    sh(script, &[text(&file)])?;
    let server = Command::new("smbd")
        .args([
            "--foreground",
            "--no-process-group",
            "--configfile",
            text(&file),
        ])
        .stdin(Stdio::null())
        .spawn()?;
    let server = Server(server);
    wait_for(445)?;
    Ok(server)
}

fn wait_for(port: u16) -> Result<()> {
    let listens = || std::net::TcpStream::connect((ADDRESS, port)).is_ok();
    until(listens).with_context(|| format!("nobody listens on {port}"))
}

fn until(so: impl Fn() -> bool) -> Result<()> {
    for _ in 0..300 {
        if so() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    anyhow::bail!("a minute has passed")
}

/// Runs the program with a line for its standard input.
pub(crate) fn with_input(room: &Room, args: &[&str], line: &str) -> Result<Said> {
    let mut child = room
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("input")?;
    input.write_all(line.as_bytes())?;
    drop(input);
    Said::of(&child.wait_with_output()?)
}

#[test]
fn vm_a_samba_server_is_mounted_with_a_password() -> Result<()> {
    if !in_vm() || !have(&["smbd", "smbpasswd", "mount.cifs"]) {
        return Ok(());
    }
    let room = Room::new()?;
    let _server = samba(&room)?;
    let add = [
        "repo",
        "add",
        ADDRESS,
        "--protocol",
        "smb",
        "--user",
        "lab",
        "--password-stdin",
        "--write",
    ];
    with_input(&room, &add, "gehe,im\n")?.done()?;
    let told = room.done(&["repo", "mount", ADDRESS])?;
    assert_eq!(told["source"], "//10.9.9.9/ogimages");
    let at = room.path("root").join(ADDRESS);
    assert_eq!(fs::read_to_string(at.join("aula1/win.img"))?, "an image");
    fs::write(at.join("aula1/new.img"), "sent")?;
    assert_eq!(
        fs::read_to_string(room.path("images/aula1/new.img"))?,
        "sent"
    );
    assert_eq!(room.state(ADDRESS)?, "mounted");
    // The password is nowhere to be seen.
    assert!(!fs::read_to_string("/proc/mounts")?.contains("gehe"));
    room.done(&["repo", "unmount", ADDRESS])?;
    room.tidy()?;
    Ok(())
}

#[test]
fn vm_a_samba_server_refuses_and_dies() -> Result<()> {
    if !in_vm() || !have(&["smbd", "smbpasswd", "mount.cifs"]) {
        return Ok(());
    }
    let room = Room::new()?;
    let server = samba(&room)?;
    let at = room.path("root").join(ADDRESS);
    let wrong = [
        "repo",
        "mount",
        "10.9.9.9",
        "--protocol",
        "smb",
        "--user",
        "lab",
        "--password-stdin",
    ];
    let said = with_input(&room, &wrong, "wrong\n")?;
    assert_eq!(said.refused()?, "repo/denied", "{}", said.last());
    room.tidy()?;
    // A share that is not there; a guest; a version that the server does not speak.
    let mut absent = wrong.to_vec();
    absent.extend(["--path", "nowhere"]);
    assert_eq!(
        with_input(&room, &absent, "gehe,im\n")?.refused()?,
        "repo/no-such-share"
    );
    let guest = ["repo", "mount", ADDRESS, "--protocol", "smb"];
    assert_eq!(room.refused(&guest)?.0, "repo/denied");
    let mut old = wrong.to_vec();
    old.extend(["--option", "vers=1.0"]);
    let said = with_input(&room, &old, "gehe,im\n")?;
    assert_eq!(said.refused()?, "repo/wrong-protocol", "{}", said.last());
    room.tidy()?;

    // A folder of the share; that the path is one of SMB's is seen.
    let mut auto = vec!["repo", "mount", ADDRESS, "--path", "ogimages/aula1"];
    auto.extend(["--user", "lab", "--password-stdin"]);
    with_input(&room, &auto, "gehe,im\n")?.done()?;
    assert!(at.join("win.img").exists());
    // The server dies: that is told, and the mount can be taken away.
    drop(server);
    run_any("pkill", &["-x", "smbd"])?;
    assert_ne!(room.state(ADDRESS)?, "mounted");
    room.done(&["repo", "unmount", ADDRESS])?;
    let (code, _) = room.refused(&["repo", "mount", ADDRESS])?;
    assert_eq!(code, "repo/unreachable");
    room.tidy()
}

/// The kernel's server of NFS, and who answers its questions; both end with their handle, so that no former one answers for the next:
/// it would take the next list of exports for its own, which has the same inode of another tmpfs.
pub(crate) struct Nfs {
    mountd: Server,
    export: PathBuf,
}

impl Nfs {
    pub(crate) fn end(self) -> Result<()> {
        drop(self.mountd);
        run("rpc.nfsd", &["0"])?;
        run("exportfs", &["-au"])?;
        run("exportfs", &["-f"])?;
        run("umount", &["--lazy", text(&self.export)])?;
        run("umount", &["--lazy", "/var/lib/nfs"]).map(drop)
    }
}

/// Exports a directory by NFS 4 alone, as the server's root: those above it, on the layer of the machine, cannot be
/// exported.
pub(crate) fn nfs(room: &Room) -> Result<Nfs> {
    network()?;
    let export = room.path("export");
    fs::create_dir(&export)?;
    let before = r#"mount -t tmpfs export "$1"; mkdir "$1/aula1"; echo -n "an image" >"$1/aula1/win.img"
        modprobe nfsd; mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
        mount -t tmpfs state /var/lib/nfs
        mkdir -p /var/lib/nfs/rpc_pipefs /var/lib/nfs/v4recovery; touch /var/lib/nfs/etab /var/lib/nfs/rmtab"#;
    sh(before, &[text(&export)])?;
    let versions = ["--no-nfs-version", "2", "--no-nfs-version", "3"];
    let mountd = Command::new("rpc.mountd")
        .arg("--foreground")
        .args(versions)
        .stdin(Stdio::null())
        .spawn()?;
    let mountd = Server(mountd);
    // The kernel asks nobody who is not there yet: what it was asked would not exist.
    until(|| listens_to_the_kernel(mountd.0.id())).context("rpc.mountd")?;
    let after = r#"exportfs -o rw,no_root_squash,insecure,no_subtree_check,fsid=0 "*:$1"
        rpc.nfsd --no-nfs-version 3 --nfs-version 4 2
        echo Y >/proc/fs/nfsd/v4_end_grace || true"#;
    sh(after, &[text(&export)])?;
    wait_for(2049)?;
    Ok(Nfs { mountd, export })
}

fn listens_to_the_kernel(process: u32) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd"));
    let mut files = open.into_iter().flatten().flatten();
    files.any(|file| {
        fs::read_link(file.path()).is_ok_and(|at| at.ends_with("net/rpc/nfsd.fh/channel"))
    })
}

#[test]
fn vm_an_nfs_server_is_mounted() -> Result<()> {
    if !in_vm() || !have(&["rpc.nfsd", "rpc.mountd", "exportfs", "mount.nfs"]) {
        return Ok(());
    }
    let room = Room::new()?;
    let server = nfs(&room)?;
    let export = room.path("export");
    let path = text(&export);
    let told = room.done(&["repo", "mount", ADDRESS, "--path", "/", "--write"])?;
    assert_eq!(
        (&told["protocol"], &told["read_only"]),
        (&"nfs".into(), &false.into())
    );
    let at = room.path("root").join(ADDRESS);
    assert_eq!(fs::read_to_string(at.join("aula1/win.img"))?, "an image");
    fs::write(at.join("aula1/new.img"), "sent")?;
    assert_eq!(fs::read_to_string(export.join("aula1/new.img"))?, "sent");
    room.done(&["repo", "unmount", ADDRESS])?;
    room.tidy()?;

    let (code, _) = room.refused(&["repo", "mount", ADDRESS, "--path", "/nowhere"])?;
    assert_eq!(code, "repo/no-such-share");
    room.tidy()?;
    // Exported to somebody else.
    let others =
        r#"exportfs -u "*:$1"; exportfs -o ro,insecure,no_subtree_check,fsid=0 "192.0.2.1:$1""#;
    sh(others, &[path])?;
    let (code, message) = room.refused(&["repo", "mount", ADDRESS, "--path", "/"])?;
    assert_eq!(code, "repo/denied", "{message}");
    room.tidy()?;
    sh(
        r#"exportfs -o rw,no_root_squash,insecure,no_subtree_check,fsid=0 "*:$1""#,
        &[path],
    )?;

    room.done(&["repo", "mount", ADDRESS, "--path", "/"])?;
    ensure!(
        fs::write(at.join("aula1/x"), "x").is_err(),
        "read-only by default"
    );
    run("rpc.nfsd", &["0"])?;
    assert_ne!(room.state(ADDRESS)?, "mounted");
    room.done(&["repo", "unmount", ADDRESS])?;
    server.end()?;
    room.tidy()
}

#[test]
fn vm_an_nfs_server_that_falls_silent_holds_nobody() -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(40);
    if !in_vm() || !have(&["rpc.nfsd", "rpc.mountd", "exportfs", "mount.nfs", "tc"]) {
        return Ok(());
    }
    let room = Room::new()?;
    let server = nfs(&room)?;
    // Mounted to be written, so the kernel waits for ever.
    room.done(&["repo", "mount", ADDRESS, "--path", "/", "--write"])?;
    room.mount("nas", &[])?;
    let options = fs::read_to_string("/proc/mounts")?;
    ensure!(options.contains(",hard,"), "{options}");
    let timed = |args: &[&str]| -> Result<Said> {
        let begun = Instant::now();
        let said = room.said(args)?;
        ensure!(begun.elapsed() < LIMIT, "{args:?}: {:?}", begun.elapsed());
        Ok(said)
    };
    let at = room.path("root").join(ADDRESS);
    let listed = ["10.9.9.9:", text(&at)];
    sh("tc qdisc add dev lo root netem loss 100%", &[])?;
    let silent = (|| {
        for dir in listed {
            let said = timed(&["image", "list", dir])?;
            ensure!(said.refused()? == "place/not-answering", "{}", said.last());
        }
        timed(&["env"])?.done()?;
        timed(&["storage", "list"])?.done()?;
        ensure!(timed(&["image", "list", "nas:"])?.done()?["images"][0]["path"] == "aula1/win.img");
        ensure!(room.state(ADDRESS)? == "unreachable");
        ensure!(room.state("nas")? == "mounted");
        let said = timed(&["repo", "mount", "10.9.9.9", "--protocol", "file"])?;
        ensure!(said.refused()? == "repo/unknown", "{}", said.last());
        Ok(())
    })();
    sh("tc qdisc del dev lo root", &[])?;
    silent?;
    // It was only a cable.
    let back = Instant::now();
    while room.said(&["image", "list", "10.9.9.9:"])?.status != Some(0) {
        ensure!(
            back.elapsed() < Duration::from_mins(2),
            "it does not come back"
        );
    }
    // The server's end, and the mount is taken out of the way.
    run("rpc.nfsd", &["0"])?;
    ensure!(timed(&["image", "list", "10.9.9.9:"])?.refused()? == "place/not-answering");
    timed(&["repo", "unmount", ADDRESS])?.done()?;
    room.done(&["repo", "unmount", "nas"])?;
    server.end()?;
    room.tidy()
}
