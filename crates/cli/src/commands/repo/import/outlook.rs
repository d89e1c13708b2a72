//! What of a repository is there already and what will come, as far as that can be told without reading images.

use std::fs;

use azud_core::code::Code;
use azud_core::reference::SubPath;
use azud_store::assembly::{Assembly, Moving, Way, identity, known_layout, remains};
use azud_store::tree::Tree;
use serde_json::json;

use super::Item;
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
    /// What the source gives of those: images here may have the rest.
    source: u64,
    /// Of which only their bytes tell whether they are there, or nothing could be told.
    unread: Share,
    /// What those that are coming or unread are called.
    names: Vec<String>,
}

/// So many names are shown to people.
const NAMES: usize = 8;

/// How it stands with an image.
enum Standing {
    There,
    /// With so many bytes from the source.
    Coming(u64),
    Unread,
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
    pub(super) fn of(
        context: &Context,
        items: &[Item],
        target: (&Tree, &str),
    ) -> Result<Self, Failure> {
        let mut outlook = Self::default();
        for item in items {
            let standing = match standing(context, item, target) {
                Err(failure) if failure.code == Code::Unreachable => return Err(failure),
                other => other.unwrap_or(Standing::Unread),
            };
            match standing {
                Standing::There => {
                    outlook.there.add(item.size);
                    continue;
                }
                Standing::Unread => outlook.unread.add(item.size),
                Standing::Coming(bytes) => {
                    outlook.coming.add(item.size);
                    outlook.source += bytes;
                }
            }
            outlook.names.push(item.name.clone());
        }
        Ok(outlook)
    }

    /// The rows of a plan.
    pub(super) fn rows(&self, plan: Plan) -> Plan {
        let plan = plan
            .row("images-there", self.there.value())
            .row("images-coming", self.coming.value())
            .bytes("from-source", self.source);
        let plan = if self.unread.images == 0 {
            plan
        } else {
            plan.row("images-unread", self.unread.value())
        };
        if self.names.is_empty() {
            return plan;
        }
        plan.row("images-names", self.named())
    }

    fn named(&self) -> Value {
        let shown = self.names.iter().take(NAMES);
        let mut shown: Vec<&str> = shown.map(String::as_str).collect();
        if self.names.len() > NAMES {
            shown.push("…");
        }
        Value::Made {
            text: printable(&shown.join(", ")),
            json: json!(self.names),
        }
    }
}

fn standing(
    context: &Context,
    item: &Item,
    (tree, below): (&Tree, &str),
) -> Result<Standing, Failure> {
    let name = SubPath::parse(&format!("{below}{}", item.name))?;
    let image = tree.spot(&name)?.image;
    // Who it is says enough, unless it is an image of which a part is elsewhere.
    let here = identity(&image.path()).map(|here| here.to_string());
    if here.is_some() && here == item.identity && remains(&image, now()).is_none() {
        return Ok(Standing::There);
    }
    // A file of another size is another image.
    let is_there = fs::metadata(image.path()).is_ok_and(|meta| meta.len() == item.size);
    let unread = if is_there {
        Standing::Unread
    } else {
        Standing::Coming(item.size)
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
    Ok(match prospect.way {
        Way::Nothing => Standing::There,
        Way::Copy | Way::Move => Standing::Coming(prospect.source),
    })
}
