//! What of a repository is there already and what will come, as far as that can be told without reading images.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};

use azud_core::assembly::{Layout, Piece};
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_store::assembly::{Assembly, Moving, Way, known_layout, remains};
use azud_store::room::Room;
use azud_store::{Identity, Stored};
use jiff::Timestamp;
use serde_json::json;

use super::{Item, Target};
use crate::commands::Context;
use crate::failure::Failure;
use crate::human::{self, printable};
use crate::opened::now;
use crate::origin::Origin;
use crate::plan::{Plan, Value};

/// So many images, and their bytes.
#[derive(Debug, Default, Clone, Copy)]
struct Share {
    images: u64,
    bytes: u64,
}

/// What is to be expected of all images.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    there: Share,
    coming: Share,
    /// What the source gives of those: images here, and those that come before into the same folder, may have the rest.
    source: u64,
    /// The frames that come, each once a folder, by a part of their hashes.
    frames: HashSet<(u64, u64)>,
    /// What those that are coming or unread take at most.
    needs: u64,
    /// What is free where they go.
    room: u64,
    /// Whether all that comes is known frame by frame.
    is_bound: bool,
    /// Of which only their bytes tell whether they are there, or nothing could be told.
    unread: Share,
    /// What those that are coming or unread are called.
    names: Vec<String>,
    /// In whose place there is another image.
    replacing: u64,
    /// What those are called that are older than the image in their place.
    older: Vec<String>,
    /// What those are called that stay, for they are newer.
    newer: Vec<String>,
}

/// So many names are shown to people.
const NAMES: usize = 8;

/// How it stands with an image.
enum Standing {
    There,
    /// What is there is newer, and stays.
    Newer,
    /// From the source.
    Coming(Coming),
    Unread,
}

/// What comes of an image.
struct Coming {
    /// Its frames, by a part of their hashes, and their bytes; nothing where they are not known.
    frames: Option<Vec<(u64, u32)>>,
    /// Bytes that it takes.
    needs: u64,
    /// What is in its place.
    over: Over,
}

/// What is in the place of an image that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Nothing,
    Another,
    /// Another one, captured later.
    Newer,
}

impl Over {
    /// Which of them it is: whether there is one, and of what it and the one that comes consist, as far as that is known.
    fn of((is_there, here): (bool, Option<&Layout>), wanted: Option<&Layout>) -> Self {
        if !is_there {
            return Self::Nothing;
        }
        let when = |layout: &Layout| layout.created()?.parse::<Timestamp>().ok();
        match (here.and_then(when), wanted.and_then(when)) {
            (Some(here), Some(wanted)) if here > wanted => Self::Newer,
            _ => Self::Another,
        }
    }
}

impl Share {
    fn add(&mut self, bytes: u64) {
        self.images += 1;
        self.bytes += bytes;
    }

    fn value(self) -> Value {
        Value::Made {
            text: format!("{} ({})", self.images, human::bytes(self.bytes)),
            json: json!({ "images": self.images, "bytes": self.bytes }),
        }
    }
}

impl Outlook {
    /// Looks at each image, and at what is in its place. Nothing is written.
    ///
    /// # Errors
    /// When the source does not answer any more. What is wrong with one image is told when it is its turn.
    pub(super) fn of(context: &Context, items: &[Item], target: &Target) -> Result<Self, Failure> {
        let mut outlook = Self::default();
        for item in items {
            if outlook.room == 0 {
                // What is wrong with one image is told when it is its turn.
                outlook.room = room(item, target).unwrap_or(0);
            }
            let standing = match standing(context, item, target) {
                Err(failure) if matches!(failure.code, Code::Unreachable | Code::TooBusy) => {
                    return Err(failure);
                }
                other => other.unwrap_or(Standing::Unread),
            };
            match standing {
                Standing::There => {
                    outlook.there.add(item.size);
                    continue;
                }
                Standing::Newer => {
                    outlook.newer.push(item.name.clone());
                    continue;
                }
                Standing::Unread => {
                    outlook.unread.add(item.size);
                    outlook.unknown(item.size);
                }
                Standing::Coming(coming) => {
                    outlook.coming.add(item.size);
                    outlook.comes(item, coming);
                }
            }
            outlook.names.push(item.name.clone());
        }
        Ok(outlook)
    }

    /// Of what comes whole, or not at all.
    fn unknown(&mut self, bytes: u64) {
        self.source += bytes;
        self.needs += bytes;
        self.is_bound = true;
    }

    /// A frame that several images share comes once into a folder: there each finds it in those before it.
    fn comes(&mut self, item: &Item, coming: Coming) {
        self.replacing += u64::from(coming.over != Over::Nothing);
        if coming.over == Over::Newer {
            self.older.push(item.name.clone());
        }
        let Some(frames) = coming.frames else {
            return self.unknown(item.size);
        };
        self.needs += coming.needs;
        let folder = item.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut hasher = DefaultHasher::new();
        folder.hash(&mut hasher);
        let folder = hasher.finish();
        // Within one image each is fetched, however often it is there.
        let new = |(hash, _): &&(u64, u32)| !self.frames.contains(&(folder, *hash));
        let fetched = frames.iter().filter(new);
        self.source += fetched.map(|(_, len)| u64::from(*len)).sum::<u64>();
        let all = frames.iter().map(|(hash, _)| (folder, *hash));
        self.frames.extend(all);
    }

    /// The rows of a plan.
    pub(super) fn rows(&self, context: &Context, plan: Plan) -> Plan {
        let from_source = if self.is_bound {
            "from-source-at-most"
        } else {
            "from-source"
        };
        let mut plan = plan
            .row("images-there", self.there.value())
            .row("images-coming", self.coming.value())
            .bytes(from_source, self.source);
        if self.unread.images > 0 {
            plan = plan.row("images-unread", self.unread.value());
        }
        if !self.newer.is_empty() {
            plan = plan.row("images-newer", named(&self.newer));
        }
        if self.names.is_empty() {
            return plan;
        }
        let plan = plan
            .row("images-names", named(&self.names))
            .bytes("room-needed-at-most", self.needs)
            .bytes("room", self.room);
        let plan = self.tell_replaced(context, plan);
        if self.needs <= self.room {
            return plan;
        }
        plan.warning(&context.catalog, "not-all-fit", &[])
    }

    fn tell_replaced(&self, context: &Context, plan: Plan) -> Plan {
        if self.replacing == 0 {
            return plan;
        }
        let plan = plan.row("images-replaced", Value::Count(self.replacing));
        let values = [("count", self.replacing.into())];
        let plan = plan.warning(&context.catalog, "several-replaced", &values);
        if self.older.is_empty() {
            return plan;
        }
        let names = [("names", shown(&self.older).into())];
        plan.row("images-older", named(&self.older))
            .warning(&context.catalog, "older-come", &names)
    }
}

fn named(names: &[String]) -> Value {
    Value::Made {
        text: shown(names),
        json: json!(names),
    }
}

/// The first of them, for people.
fn shown(names: &[String]) -> String {
    let mut shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
    if names.len() > NAMES {
        shown.push("…");
    }
    printable(&shown.join(", "))
}

/// Whether the image that is in the place of another was captured later.
pub(super) fn is_newer(image: &ImageFile, wanted: &Layout) -> bool {
    let stored = Stored::open(&image.path()).ok();
    let here = stored.as_ref().and_then(known_layout);
    Over::of((stored.is_some(), here.as_ref()), Some(wanted)) == Over::Newer
}

fn standing(context: &Context, item: &Item, target: &Target) -> Result<Standing, Failure> {
    let image = target.tree.spot(&target.name(item)?)?.image;
    let stored = Stored::open(&image.path()).ok();
    let layout = stored.as_ref().and_then(known_layout);
    let here = (stored.is_some(), layout.as_ref());
    // Who it is says enough, unless it is an image of which a part is elsewhere.
    let identity = layout
        .as_ref()
        .map(|here| Identity(*here.identity()).to_string());
    if identity.is_some() && identity == item.identity && remains(&image, now()).is_none() {
        return Ok(Standing::There);
    }
    // A file of another size is another image.
    let is_there = fs::metadata(image.path()).is_ok_and(|meta| meta.len() == item.size);
    let unread = if is_there {
        Standing::Unread
    } else {
        Standing::Coming(Coming {
            frames: None,
            needs: item.size,
            over: Over::of(here, None),
        })
    };
    if item.is_unread {
        return Ok(unread);
    }
    let origin = Origin::named(context, &item.from)?;
    let is_known = match &origin {
        Origin::File(_, source) => known_layout(source.stored()).is_some(),
        Origin::Manager(_) => true,
    };
    if !is_known {
        return Ok(unread);
    }
    let assembly = Assembly::look(&image, origin.source(), Moving::Never)?;
    let prospect = assembly.prospect();
    let over = Over::of(here, Some(assembly.wanted()));
    Ok(match prospect.way {
        Way::Nothing => Standing::There,
        _ if target.update && over == Over::Newer => Standing::Newer,
        Way::Copy | Way::Move => Standing::Coming(Coming {
            needs: prospect.needs,
            frames: Some(assembly.fetched().map(frame).collect()),
            over,
        }),
    })
}

/// Who a frame is, well enough for an estimate.
fn frame(piece: &Piece) -> (u64, u32) {
    let mut first = [0; 8];
    first.copy_from_slice(&piece.hash[..8]);
    (u64::from_le_bytes(first), piece.len)
}

/// What is free where an image goes.
fn room(item: &Item, target: &Target) -> Result<u64, Failure> {
    let spot = target.tree.spot(&target.name(item)?)?;
    Ok(Room::of(spot.image.dir())?.free)
}
