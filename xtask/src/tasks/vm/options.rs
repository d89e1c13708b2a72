//! What `cargo xtask vm` is told.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// A machine to be, and what it is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Files that become USB sticks.
    pub(crate) usb: Vec<PathBuf>,
    /// A file that becomes a disc.
    pub(crate) dvd: Option<PathBuf>,
    /// Files that become disks.
    pub(crate) disks: Vec<PathBuf>,
    /// Files that become disks on `NVMe`.
    pub(crate) nvme: Vec<PathBuf>,
    /// Names of variables that are handed through.
    pub(crate) env: Vec<String>,
    /// How long the command may take.
    pub(crate) timeout: Duration,
    /// In MiB.
    pub(crate) memory: u32,
    /// Whether `azud` is built before.
    pub(crate) build: bool,
    /// Whether the processor's help for virtual machines is used.
    pub(crate) kvm: bool,
    /// Whether the console is printed.
    pub(crate) log: bool,
    /// The command with its arguments.
    pub(crate) command: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            usb: Vec::new(),
            dvd: None,
            disks: Vec::new(),
            nvme: Vec::new(),
            env: Vec::new(),
            timeout: Duration::from_mins(10),
            memory: 1536,
            build: true,
            kvm: false,
            log: false,
            command: Vec::new(),
        }
    }
}

impl Options {
    /// Reads the arguments; `None` is a call for help.
    ///
    /// # Errors
    /// When an option is unknown or lacks its value, or there is no command.
    pub(crate) fn parse(args: &[String]) -> Result<Option<Self>> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--help" | "-h" => return Ok(None),
                "--usb" => options.usb.push(value()?.into()),
                "--dvd" => options.dvd = Some(value()?.into()),
                "--disk" => options.disks.push(value()?.into()),
                "--nvme" => options.nvme.push(value()?.into()),
                "--env" => options.env.push(value()?.clone()),
                "--timeout" => {
                    options.timeout = Duration::from_secs(value()?.parse().context("--timeout")?);
                }
                "--memory" => options.memory = value()?.parse().context("--memory")?,
                "--no-build" => options.build = false,
                "--kvm" => options.kvm = true,
                "--log" => options.log = true,
                "--" => break,
                _ if arg.starts_with('-') => bail!("unknown option {arg}"),
                _ => {
                    options.command.push(arg.clone());
                    break;
                }
            }
        }
        options.command.extend(args.cloned());
        ensure!(!options.command.is_empty(), "no command; see --help");
        Ok(Some(options))
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> Option<Options> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args).unwrap()
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let options = parse("--usb a --usb b --timeout 7 ls --usb c").unwrap();
        assert_eq!(options.usb.len(), 2);
        assert_eq!(options.timeout.as_secs(), 7);
        assert_eq!(options.command, ["ls", "--usb", "c"]);
        assert_eq!(parse("-- -x").unwrap().command, ["-x"]);
        assert_eq!(parse("--help"), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["", "--usb", "--timeout x ls", "--frob ls"] {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert!(Options::parse(&args).is_err(), "{line}");
        }
    }
}
