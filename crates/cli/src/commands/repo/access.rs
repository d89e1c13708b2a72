//! How a repository is to be reached: what the command line says, over what is remembered.

use std::path::PathBuf;

use azud_core::code::Code;
use azud_core::reference::Host;
use azud_disk::credentials::Credentials;
use azud_disk::remote::{Protocol, Remote};
use serde::{Deserialize, Serialize};

use super::known::Known;
use crate::failure::Failure;
use crate::interrupt;
use crate::plan::{Plan, Value};

/// A protocol, or whichever works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Asks the server.
    #[default]
    Auto,
    /// A directory of this computer.
    File,
    /// NFS.
    Nfs,
    /// SMB.
    Smb,
    /// A manager.
    Http,
}

impl How {
    /// The word for programs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::File => "file",
            Self::Nfs => "nfs",
            Self::Smb => "smb",
            Self::Http => "http",
        }
    }
}

/// Longest password that is read.
const MAX_PASSWORD: u64 = 4096;

/// What the command line says.
#[derive(Debug, Clone, clap::Args)]
pub struct Access {
    /// How.
    #[arg(long, value_enum)]
    pub protocol: Option<How>,
    /// What of it.
    #[arg(long)]
    pub path: Option<String>,
    /// Not only for reading.
    #[arg(long)]
    pub write: bool,
    /// A file with name and password.
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// A name for the server.
    #[arg(long, requires = "password_stdin")]
    pub user: Option<String>,
    /// The password comes on standard input.
    #[arg(long, requires = "user", conflicts_with = "credentials")]
    pub password_stdin: bool,
    /// Options of the mount helper.
    #[arg(long = "option", short, value_name = "OPTION")]
    pub options: Vec<String>,
}

impl Access {
    /// The whole way to a repository.
    pub(super) fn over(&self, former: Option<&Known>, host: &Host) -> Known {
        let former = former.cloned().unwrap_or_else(|| Known {
            address: host.to_string(),
            protocol: How::Auto,
            path: None,
            write: false,
            options: Vec::new(),
            credentials: None,
            port: None,
        });
        // A path means something else under another protocol.
        let same = self.protocol.is_none_or(|how| how == former.protocol);
        Known {
            protocol: self.protocol.unwrap_or(former.protocol),
            path: self.path.clone().or(former.path.filter(|_| same)),
            write: self.write || former.write,
            options: if self.options.is_empty() && same {
                former.options
            } else {
                self.options.clone()
            },
            credentials: self.credentials.clone().or(former.credentials),
            port: former.port,
            address: former.address,
        }
    }

    /// The password, if one is to be read.
    pub(super) fn secret(&self) -> Result<Option<(&str, String)>, Failure> {
        let Some(user) = self.user.as_deref().filter(|_| self.password_stdin) else {
            return Ok(None);
        };
        let text = interrupt::line(MAX_PASSWORD)?;
        Ok(Some((user, text.trim_end_matches(['\r', '\n']).to_owned())))
    }
}

impl Known {
    /// The rows of a plan.
    pub(super) fn rows(&self, plan: Plan) -> Plan {
        let plan = plan
            .text("address", &self.address)
            .row("protocol", Value::Word(self.protocol.as_str()));
        let plan = match &self.path {
            Some(path) => plan.text("path", path),
            None => plan,
        };
        let access = if self.write { "write" } else { "read-only" };
        let plan = match self.protocol {
            // That is a matter of the token.
            How::Http => plan,
            _ => plan.row("access", Value::Word(access)),
        };
        match &self.credentials {
            Some(file) => plan.text("credentials", file.display().to_string()),
            None => plan,
        }
    }

    /// The ways to try, in order.
    pub(super) fn ways<'a>(
        &'a self,
        host: &'a Host,
        credentials: Option<&'a Credentials>,
    ) -> Result<Vec<Remote<'a>>, Failure> {
        let protocols = match (self.protocol, self.path.as_deref()) {
            (How::Http, _) => return Err(Failure::new(Code::MountUnsupported, "http")),
            (How::File, _) => vec![Protocol::File],
            (How::Auto, None) => Protocol::SERVERS.to_vec(),
            (How::Nfs, _) => vec![Protocol::Nfs],
            // Exported paths begin with a slash, names of shares do not.
            (How::Auto, Some(path)) if path.starts_with('/') => vec![Protocol::Nfs],
            (How::Smb, _) | (How::Auto, Some(_)) => vec![Protocol::Smb],
        };
        let mut ways = Vec::new();
        for protocol in protocols {
            let path = self.path.as_deref().or(protocol.usual_path());
            let path = path.ok_or_else(|| {
                Failure::new(Code::UnknownRepo, format!("{}: --path", self.address))
            })?;
            ways.push(Remote {
                protocol,
                host,
                path,
                write: self.write,
                options: &self.options,
                credentials: credentials.filter(|_| protocol == Protocol::Smb),
            });
        }
        Ok(ways)
    }
}
