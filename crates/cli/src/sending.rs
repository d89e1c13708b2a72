//! Sending an image that is here to a manager: only what it lacks travels.

use std::time::Instant;

use azud_core::assembly::{Layout, Plan as Pieces};
use azud_core::bitmap::Bitmap;
use azud_core::code::Code;
use azud_core::progress::{Phase, Progress};
use azud_store::Identity;
use azud_store::assembly::Way;
use azud_store::side::{Carried, InfoLine};
use azud_transport::NetError;
use azud_transport::http::{Published, Upload, send};
use serde_json::json;

use crate::args::Writing;
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::failure::Failure;
use crate::human;
use crate::keeping;
use crate::origin::Origin;
use crate::plan::{Plan, Value};
use crate::receive::way;
use crate::remote::{Present, Remote, told};
use crate::table;

/// So often a manager may say that pieces are lacking, before that is its fault.
const ROUNDS: u32 = 5;

/// What is sent, and where to.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) from: &'a Origin,
    pub(crate) to: &'a Remote,
    pub(crate) writing: Writing,
}

/// What came of it.
struct Sent {
    published: Published,
    wire: u64,
    resumed: u64,
}

impl Sent {
    /// The manager has it as it is.
    fn nothing(layout: &Layout) -> Self {
        let published = Published {
            identity: Identity(*layout.identity()).to_string(),
            size: layout.size(),
            unchanged: true,
            replaced: false,
            purged: 0,
            held: layout.size(),
        };
        Self {
            published,
            wire: 0,
            resumed: 0,
        }
    }
}

impl Sending<'_> {
    /// Plans, shows the plan, sends, shows what was done.
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let begun = Instant::now();
        self.from.refuse_unfit(context)?;
        let layout = self.from.layout()?;
        let present = self.to.present()?;
        let carried = self.from.carried()?;
        let is_there = present
            .layout()
            .is_some_and(|there| there.identity() == layout.identity());
        // What is there needs no room, unless something goes along that may be new.
        let nothing = is_there && carried.is_empty();
        let purges = if nothing {
            Vec::new()
        } else {
            self.to.rehearse(layout.size())?
        };
        let plan = self.plan(context, &layout, (&present, is_there));
        let plan = keeping::tell(context, plan, &purges);
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        if nothing {
            self.show(context, &layout, &Sent::nothing(&layout), begun);
            return Ok(());
        }
        let info = self.from.info(layout.is_native())?;
        let what = (&layout, info.as_ref(), carried.as_slice());
        let done = match self.attempt(context, what, false) {
            // Something that the manager has is damaged there: it is given all of it.
            Err(NetError::Said {
                code: Code::Corrupt,
                ..
            }) => self.attempt(context, what, true),
            other => other,
        };
        let done = done.map_err(told)?;
        self.show(context, &layout, &done, begun);
        Ok(())
    }

    /// Sends what the manager lacks, or `all`.
    fn attempt(
        &self,
        context: &Context,
        (layout, info, carried): (&Layout, Option<&InfoLine>, &[Carried]),
        all: bool,
    ) -> Result<Sent, NetError> {
        let mut upload = self.to.open(context, layout.size(), info)?;
        for one in carried {
            upload = upload.with(one.ending, one.content.clone());
        }
        let progress = context.progress();
        let done = self.deliver(&upload, layout, (all, &progress));
        drop(progress);
        if done.is_err() {
            upload.give_up();
        }
        let published = done?;
        Ok(Sent {
            wire: upload.sent(),
            resumed: upload.resumed(&published),
            published,
        })
    }

    fn deliver(
        &self,
        upload: &Upload,
        layout: &Layout,
        (all, progress): (bool, &dyn Progress),
    ) -> Result<Published, NetError> {
        let mut lacking: Vec<usize> = Vec::new();
        if all {
            lacking.extend(0..layout.pieces().len());
        }
        let identity = Identity(*layout.identity()).to_string();
        for _ in 0..ROUNDS {
            let pieces = lacking.iter().filter_map(|n| layout.pieces().get(*n));
            progress.begin(Phase::Send, pieces.map(|one| u64::from(one.len)).sum());
            send(upload, self.from.source(), (layout, &lacking), progress)?;
            progress.end();
            match upload.finish((layout.description(), &identity), progress)? {
                Ok(published) => return Ok(published),
                Err(still) => lacking = still,
            }
        }
        Err(lost(self.to, layout, &lacking))
    }

    fn plan(
        &self,
        context: &Context,
        layout: &Layout,
        (present, is_there): (&Present, bool),
    ) -> Plan {
        let plan = Plan::new("image-copy")
            .text("source", self.from.name())
            .text("image", self.to.shown())
            .text("identity", Identity(*layout.identity()).to_string())
            .bytes("file-size", layout.size());
        if is_there {
            return plan.row("way", Value::Word("nothing"));
        }
        let replaces = !matches!(present, Present::Nothing);
        let nothing = Bitmap::new(layout.pieces().len() as u64);
        let locals: Vec<&Layout> = present.layout().into_iter().collect();
        let pieces = Pieces::make(layout, &nothing, &locals);
        let plan = plan.row("way", way(context, Way::Copy, replaces));
        // What its other images have of it the manager tells when pieces are sent.
        let plan = match present.layout() {
            Some(_) => plan.bytes("there", pieces.local_bytes()),
            None => plan,
        };
        let plan = plan.bytes("to-send", pieces.source_bytes());
        if !replaces {
            return plan;
        }
        let values = [("image", self.to.shown().into())];
        plan.warning(&context.catalog, "replaces", &values)
    }

    fn show(&self, context: &Context, layout: &Layout, done: &Sent, begun: Instant) {
        let time = begun.elapsed();
        let Sent {
            published,
            wire,
            resumed,
        } = done;
        let way = if published.unchanged {
            "nothing"
        } else {
            "copy"
        };
        let value = json!({
            "action": "image-copy",
            "source": self.from.name(),
            "image": self.to.shown(),
            "identity": published.identity,
            "file_size": layout.size(),
            "way": way,
            "resumed": resumed,
            "from_there": published.held,
            "sent": wire,
            "replaced": published.replaced,
            "purged": published.purged,
            "seconds": time.as_secs_f64(),
        });
        context.output.result(&value, || {
            if published.unchanged {
                return context.catalog.text("result-nothing");
            }
            let label = |key: &str| context.catalog.text(&format!("label-{key}"));
            let mut rows = vec![
                (label("image"), self.to.shown()),
                (label("identity"), published.identity.clone()),
                (label("resumed-there"), human::bytes(*resumed)),
                (label("there"), human::bytes(published.held)),
                (label("sent"), human::bytes(*wire)),
                (label("time"), human::duration(time)),
                (label("rate"), human::rate(layout.size(), time)),
            ];
            rows.extend(keeping::row_there(context, published.purged));
            let done = context.catalog.text("result-image-copy");
            format!("{done}\n{}", table::rows(&rows))
        });
    }
}

/// A manager that still lacks pieces which it was sent.
fn lost(to: &Remote, layout: &Layout, lacking: &[usize]) -> NetError {
    let pieces = lacking.iter().filter_map(|n| layout.pieces().get(*n));
    NetError::Lost {
        host: to.client.host().to_owned(),
        bytes: pieces.map(|one| u64::from(one.len)).sum(),
    }
}
