//! `deployImage`: an image into the cache and from there on a partition, which is then made this computer's own.

use azud_core::reference::{SubPath, Where};
use azud_disk::command::{Tool, find};

use super::args::{Partition, image, place as parse_place, refuse};
use super::container::reach_cache;
use super::image::Source;
use super::{Call, Done, Refusal, Status, not_yet, update};
use crate::failure::Failure;

/// What is to be done where the cache cannot take the image: `NONE`, `UNICAST` or `MULTICAST`.
const WITHOUT_CACHE: &str = "RESTOREPROTOCOLNOTCACHE";
/// Programs of the site that make a restored system this computer's own, the site's own first.
const CONFIGURE: [&str; 2] = ["configureOsCustom", "configureOs"];

/// How the image comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Not by way of the cache.
    Direct,
    /// Into the cache first.
    Cache,
    /// By a protocol that is not here yet, and the number that says so.
    Later(Status),
}

/// `REPO|CACHE|IP name disk part [PROTOCOL [options]]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Deploy {
    place: Where,
    image: SubPath,
    partition: Partition,
    how: How,
}

pub(super) fn parse(args: &[String]) -> Result<Deploy, Failure> {
    let [place, name, disk, part, how @ ..] = args else {
        return Err(refuse(format!("{} arguments", args.len())));
    };
    if how.len() > 2 {
        return Err(refuse(format!("{} arguments", args.len())));
    }
    Ok(Deploy {
        place: parse_place(place)?,
        image: image(name)?,
        partition: Partition::parse(disk, part)?,
        how: how.first().map_or(Ok(How::Cache), |word| protocol(word))?,
    })
}

fn protocol(word: &str) -> Result<How, Failure> {
    match word.to_ascii_uppercase().as_str() {
        "UNICAST-DIRECT" => Ok(How::Direct),
        "UNICAST" | "UNICAST-CACHE" => Ok(How::Cache),
        "MULTICAST" | "MULTICAST-CACHE" | "MULTICAST-DIRECT" => {
            Ok(How::Later(Status::MulticastReceiver))
        }
        // What updateCache ends with.
        "TORRENT" | "TORRENT-CACHE" => Ok(How::Later(Status::UpdateCache)),
        other => Err(refuse(format!("{other} is no protocol"))),
    }
}

/// Deploys an image.
pub(super) fn deploy_image(call: &Call) -> Done {
    let wanted = parse(&call.args)?;
    let source = Source::find(call, &wanted.place, &wanted.image)?;
    source.refuse_held()?;
    match wanted.how {
        // From the cache a protocol says nothing.
        _ if source.is_local(call)? => source.restore(call, wanted.partition)?,
        How::Later(status) => {
            let word = call.args.get(4).map_or("", String::as_str);
            return Err(not_yet(call, status, word));
        }
        How::Direct => source.restore(call, wanted.partition)?,
        How::Cache => by_cache(call, &source, &wanted)?,
    };
    configure(call, wanted.partition)
}

fn by_cache(call: &Call, source: &Source, wanted: &Deploy) -> Done {
    let fetched = reach_cache(call)
        .map_err(Refusal::from)
        .and_then(|()| update::fetch(call, source.name.clone()));
    match fetched {
        Ok(_) => Source::find(call, &Where::Cache, &wanted.image)?.restore(call, wanted.partition),
        Err(refusal) if goes_without(&refusal) => {
            let context = &call.context;
            context.output.failure(&context.catalog, &refusal.failure);
            let text = context.catalog.text("compat-without-cache");
            context.output.warn(&context.catalog, &text);
            source.restore(call, wanted.partition)
        }
        Err(refusal) => Err(refusal),
    }
}

/// Whether there is no cache, or no room in it, and the site wants the image all the same.
fn goes_without(refusal: &Refusal) -> bool {
    let ends = [Status::NotCache, Status::CacheSize];
    let status = Status::of(refusal.failure.code, &[ends[0], ends[1], Status::Generic]);
    let wanted = std::env::var(WITHOUT_CACHE).unwrap_or_default();
    let wanted = wanted.to_ascii_uppercase();
    ends.contains(&status) && matches!(wanted.as_str(), "UNICAST" | "MULTICAST")
}

/// Runs the site's program for it, if there is one.
fn configure(call: &Call, partition: Partition) -> Done {
    let Some(program) = CONFIGURE.into_iter().find(|name| find(name).is_some()) else {
        let context = &call.context;
        let text = context.catalog.text("compat-not-configured");
        context.output.warn(&context.catalog, &text);
        return Ok(Status::Ok);
    };
    let numbers = [partition.disk, partition.part].map(|number| number.to_string());
    Tool::find(program)?.args(numbers).run()?;
    Ok(Status::Ok)
}

#[cfg(test)]
mod tests {
    use azud_core::code::Code;

    use super::super::Status;
    use super::{How, parse};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_protocol_stands_last_and_may_be_left_out() {
        let how = |line: &str| parse(&words(line)).map(|wanted| wanted.how);
        for (line, expected) in [
            ("REPO w 1 2", How::Cache),
            ("REPO w 1 2 unicast", How::Cache),
            ("10.0.0.1 w 1 2 UNICAST-DIRECT", How::Direct),
            (
                "REPO w 1 2 MULTICAST-DIRECT 9000:full-duplex:239.194.17.2:70M:20:120",
                How::Later(Status::MulticastReceiver),
            ),
            (
                "REPO w 1 2 TORRENT peer:60",
                How::Later(Status::UpdateCache),
            ),
        ] {
            assert_eq!(how(line).unwrap(), expected, "{line}");
        }
        for line in [
            "1 2 REPO w",
            "REPO w 1",
            "REPO w 1 2 RSYNC",
            "REPO w 1 2 UNICAST a b",
            "REPO w.img 1 2",
        ] {
            assert_eq!(how(line).unwrap_err().code, Code::Usage, "{line}");
        }
    }
}
