//! `cargo xtask deb [--binary FILE] [DIR]`: a Debian package of the program, made with dpkg-deb alone.

mod filter;
mod inside;
pub(super) mod test;
mod unit;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use azud_testkit::tools::{run, sh};

use super::{output_of, released, root, say};

const SHELLS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/azud"),
    ("zsh", "usr/share/zsh/vendor-completions/_azud"),
    ("fish", "usr/share/fish/vendor_completions.d/azud.fish"),
];
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
const UNITS: [&str; 2] = ["azud.service", "azud.socket"];
const DIR: u32 = 0o755;
const FILE: u32 = 0o644;

/// Builds the program, unless one is named, and packs it.
pub(crate) fn run_task(args: &[String]) -> Result<()> {
    let (binary, out) = match args {
        [] => (None, None),
        [option, binary] if option == "--binary" => (Some(binary), None),
        [option, binary, out] if option == "--binary" => (Some(binary), Some(out)),
        [out] => (None, Some(out)),
        _ => bail!("[--binary FILE] [DIR]"),
    };
    let binary = binary.map_or_else(released, |file| Ok(PathBuf::from(file)))?;
    let out = out.map_or_else(|| root().join("target/deb"), PathBuf::from);
    fs::create_dir_all(&out)?;
    let package = pack(&binary, &out)?;
    say(&package.display().to_string());
    Ok(())
}

/// Packs a program with all that belongs to it; the package.
pub(crate) fn pack(binary: &Path, out: &Path) -> Result<PathBuf> {
    let work = tempfile::tempdir()?;
    let tree = work.path().join("tree");
    let put = |from: &Path, to: &str, mode: u32| -> Result<()> {
        let bytes = fs::read(from).with_context(|| from.display().to_string())?;
        write(&tree.join(to), &bytes, mode)
    };
    put(binary, "usr/bin/azud", DIR)?;
    let azud = tree.join("usr/bin/azud");
    run("strip", &["--strip-unneeded", text(&azud)?])?;
    let packaging = root().join("packaging");
    for unit in UNITS {
        let from = packaging.join("systemd").join(unit);
        put(&from, &format!("usr/lib/systemd/system/{unit}"), FILE)?;
    }
    put(&packaging.join("azud.toml"), "etc/azud/azud.toml", FILE)?;
    let docs = "usr/share/doc/azud";
    put(
        &packaging.join("debian/copyright"),
        &format!("{docs}/copyright"),
        FILE,
    )?;
    put(
        &root().join("README.md"),
        &format!("{docs}/README.md"),
        FILE,
    )?;
    put(
        &root().join("CHANGELOG.md"),
        &format!("{docs}/NEWS.md"),
        FILE,
    )?;
    made_by_itself(&azud, &tree)?;
    for script in SCRIPTS {
        let from = packaging.join("debian").join(script);
        put(&from, &format!("DEBIAN/{script}"), DIR)?;
    }
    write(
        &tree.join("DEBIAN/conffiles"),
        b"/etc/azud/azud.toml\n",
        FILE,
    )?;
    let (control, name) = control(&azud, &tree)?;
    write(&tree.join("DEBIAN/control"), control.as_bytes(), FILE)?;
    let package = out.join(name);
    let args = [
        "--root-owner-group",
        "--build",
        text(&tree)?,
        text(&package)?,
    ];
    run("dpkg-deb", &args)?;
    Ok(package)
}

/// Manual pages and completions, which the program writes itself.
fn made_by_itself(azud: &Path, tree: &Path) -> Result<()> {
    let pages = tree.join("usr/share/man/man1");
    fs::create_dir_all(&pages)?;
    run(
        text(azud)?,
        &["man", text(&pages)?, "--lang", "en", "--quiet"],
    )?;
    sh("gzip -9n \"$1\"/*.1", &[text(&pages)?])?;
    for page in fs::read_dir(&pages)? {
        fs::set_permissions(page?.path(), fs::Permissions::from_mode(FILE))?;
    }
    for (shell, to) in SHELLS {
        let script = run(text(azud)?, &["completions", shell, "--lang", "en"])?;
        write(&tree.join(to), &script.stdout, FILE)?;
    }
    // Directories of whoever has another umask would be the package's.
    sh("find \"$1\" -type d -exec chmod 755 {} +", &[text(tree)?])?;
    Ok(())
}

/// The control file, and what the package is called.
fn control(azud: &Path, tree: &Path) -> Result<(String, String)> {
    let version = env!("CARGO_PKG_VERSION");
    let architecture = output_of("dpkg", &["--print-architecture"])?;
    let architecture = architecture.trim();
    let libc = newest_libc(&output_of("objdump", &["-p", text(azud)?])?);
    // A static program has its own.
    let libc = libc.map(|libc| format!("libc6 (>= {libc}), libgcc-s1, "));
    let libc = libc.unwrap_or_default();
    let size = sh("du -sk \"$1\" | cut -f1", &[text(tree)?])?;
    let size = String::from_utf8(size.stdout)?;
    let size: u64 = size.trim().parse()?;
    ensure!(size > 0, "the tree is empty");
    let text = format!(
        "Package: azud\n\
        Version: {version}\n\
        Architecture: {architecture}\n\
        Maintainer: The Azud developers <azud@localhost>\n\
        Installed-Size: {size}\n\
        Depends: {libc}passwd\n\
        Recommends: e2fsprogs, fdisk, fuse3, kmod, mount, ntfs-3g\n\
        Suggests: btrfs-progs, cifs-utils, nfs-common, partclone, xfsprogs\n\
        Section: admin\n\
        Priority: optional\n\
        Description: keeps, carries and restores disk images of computer rooms\n \
        One program for clients and for the repository manager. The manager is started\n \
        by whoever wants one: systemctl enable --now azud\n"
    );
    Ok((text, format!("azud_{version}_{architecture}.deb")))
}

/// The newest version of glibc that a program asks for, of what objdump says.
fn newest_libc(said: &str) -> Option<String> {
    let versions = said.split_whitespace().filter_map(|word| {
        let version = word.strip_prefix("GLIBC_")?;
        let (major, minor) = version.split_once('.')?;
        let minor = minor.split('.').next()?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    let (major, minor) = versions.max()?;
    Some(format!("{major}.{minor}"))
}

fn write(to: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    fs::create_dir_all(to.parent().context("a directory")?)?;
    fs::write(to, bytes).with_context(|| to.display().to_string())?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::newest_libc;

    #[test]
    fn the_newest_version_counts_as_a_number() {
        let said = "required from libc.so.6:\n 0x0 0x00 05 GLIBC_2.9\n 0x1 0x00 04 GLIBC_2.34\n\
            0x2 0x00 03 GLIBC_2.2.5\n required from libm.so.6: GLIBC_ABI_DT_RELR";
        assert_eq!(newest_libc(said).as_deref(), Some("2.34"));
        assert_eq!(newest_libc("statically linked"), None);
    }
}
