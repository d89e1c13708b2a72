//! `MountRepo`, `MountStorage`: the names of the design, which print the variables for the script.

use azud_core::code::Code;
use azud_core::reference::Where;
use clap::ValueEnum;

use super::args::{place as parse_place, refuse};
use super::cache::print_variables;
use super::{Call, Done, agreed};
use crate::commands::repo::access::How;
use crate::commands::repo::mount as repo_mount;
use crate::commands::storage::mount as storage_mount;
use crate::failure::Failure;
use crate::place;

/// `REPO|IP [protocol]`.
pub(super) fn parse_repo(args: &[String]) -> Result<(Where, Option<How>), Failure> {
    let (place, how) = match args {
        [place] => (place, None),
        [place, how] => (place, Some(how)),
        _ => return Err(refuse(format!("{} arguments", args.len()))),
    };
    let place = parse_place(place)?;
    let how = how
        .map(|how| How::from_str(how, true).map_err(|_| refuse(format!("{how:?} is no protocol"))));
    if place == Where::Cache {
        return Err(refuse("MountCache mounts the cache"));
    }
    Ok((place, how.transpose()?))
}

/// Mounts the repository of a computer, unless it is mounted.
pub(super) fn repo(call: &Call) -> Done {
    let (place, how) = parse_repo(&call.args)?;
    if !is_there(call, &place)? {
        let mut args: repo_mount::Args = agreed([place.to_string()]);
        args.access.protocol = how;
        args.run(&call.context)?;
    }
    print_variables(call)
}

/// Mounts a medium unless it is mounted, or all that are not.
pub(super) fn storage(call: &Call) -> Done {
    match call.args.as_slice() {
        [] => agreed::<storage_mount::Args, _>([""; 0]).run(&call.context)?,
        [id] if !id.is_empty() => {
            let there = match Where::parse(id) {
                Ok(place @ Where::Removable(_)) => is_there(call, &place)?,
                _ => false,
            };
            if !there {
                agreed::<storage_mount::Args, _>([id]).run(&call.context)?;
            }
        }
        other => return Err(refuse(other.join(" ")).into()),
    }
    print_variables(call)
}

fn is_there(call: &Call, place: &Where) -> Result<bool, Failure> {
    match place::namespace(&call.context)?.resolve(place) {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Code::PlaceNotMounted => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use azud_core::code::Code;

    use super::{How, parse_repo};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_server_stands_before_the_protocol() {
        let parsed = |line: &str| parse_repo(&words(line)).map(|(it, how)| (it.to_string(), how));
        assert_eq!(
            parsed("10.0.0.1 NFS").unwrap(),
            ("10.0.0.1".into(), Some(How::Nfs))
        );
        assert_eq!(parsed("repo").unwrap(), ("REPO".into(), None));
        for line in [
            "nfs 10.0.0.1",
            "10.0.0.1 ftp",
            "10.0.0.1 nfs rw",
            "",
            "CACHE",
            "127.0.0.1",
        ] {
            assert_eq!(parsed(line).unwrap_err().code, Code::Usage, "{line}");
        }
    }
}
