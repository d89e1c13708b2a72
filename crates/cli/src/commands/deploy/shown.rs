//! What a deployment did.

use azud_core::name::ImageFile;
use azud_image::restore::Restored;
use serde_json::{Value, json};

use super::Job;
use crate::human;
use crate::receive::{Received, word};
use crate::sources::{given_json, given_rows};
use crate::table;

/// What was done.
pub(super) struct Done<'a> {
    pub(super) restored: &'a Restored,
    /// The image in the cache, and how it came there.
    pub(super) received: Option<(&'a ImageFile, &'a Received)>,
}

impl Job<'_> {
    pub(super) fn show(&self, done: &Done<'_>) {
        let (context, time) = (self.context, self.begun.elapsed());
        let Done { restored, received } = done;
        let report = received.map(|(_, received)| &received.report);
        let cached = received.map(|(image, _)| image.path());
        let from_source = report.map_or(restored.fetched, |report| report.source);
        let mut value = self.told(done);
        value["from_source"] = from_source.into();
        context.output.result(&value, || {
            let label = |key: &str| context.catalog.text(&format!("label-{key}"));
            let mut rows = vec![(label("target"), self.device.display().to_string())];
            rows.extend(cached.map(|path| (label("image"), path.display().to_string())));
            if let Some(report) = report {
                rows.push((label("resumed"), human::bytes(report.resumed)));
                rows.push((label("from-here"), human::bytes(report.local)));
            }
            rows.push((label("from-source"), human::bytes(from_source)));
            rows.extend(given_rows(context, self.among));
            rows.extend([
                (label("written"), human::bytes(restored.written)),
                (label("kept"), human::bytes(restored.kept)),
                (label("time"), human::duration(time)),
                (label("rate"), human::rate(restored.content, time)),
            ]);
            let done = context.catalog.text("result-deploy");
            format!("{done}\n{}", table::rows(&rows))
        });
    }

    /// The same for programs, but for what the source gave, which is not known where the cache failed.
    pub(super) fn told(&self, done: &Done<'_>) -> Value {
        let Done { restored, received } = done;
        let report = received.map(|(_, received)| &received.report);
        json!({
            "action": "deploy",
            "source": self.source().name(),
            "identity": self.image.identity().to_string(),
            "target": self.device,
            "image": received.map(|(image, _)| image.path()),
            "way": report.map(|report| word(report.way)),
            "resumed": report.map(|report| report.resumed),
            "from_here": report.map(|report| report.local),
            "sources": given_json(self.among),
            "received": self.received(),
            "evicted": received.map(|(_, received)| received.gone()),
            "content": restored.content,
            "written": restored.written,
            "kept": restored.kept,
            "read_back": self.args.read_back,
            "seconds": self.begun.elapsed().as_secs_f64(),
        })
    }
}
