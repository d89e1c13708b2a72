//! A capture that goes straight to a manager: no file is made here, and frames that the manager has are neither
//! compressed nor sent.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use azud_core::code::Code;
use azud_core::format::index::Frame;
use azud_core::progress::{Phase, Progress};
use azud_core::upload::Going;
use azud_disk::source::Access;
use azud_disk::{Kind, Source};
use azud_image::Indexed;
use azud_image::capture::{
    Base, CaptureOptions, Captured, DeviceContent, Sink, capture_into, read_tails,
};
use azud_store::side::InfoLine;
use azud_store::{Identity, Stored};
use azud_transport::NetError;
use azud_transport::http::{Pieces, Published, Upload, streaming};
use serde_json::json;

use super::{Args, facts};
use crate::args::Special;
use crate::commands::Context;
use crate::confirm::{Step, settle};
use crate::estimate::Estimate;
use crate::failure::{Failure, Hint};
use crate::human;
use crate::keeping;
use crate::opened::{host, is_itself};
use crate::output::detail;
use crate::place;
use crate::remote::{Present, Remote, there, told};
use crate::table;
use crate::volume::Found;

/// Whose frames are taken over.
enum Whose {
    Nobody,
    /// The image that is replaced: the manager has them.
    Theirs(Box<Indexed>),
    /// Of a file that is here.
    Ours(PathBuf),
}

/// Takes a capture to a manager.
struct Outgoing<'a, 'b> {
    pieces: &'a mut Pieces<'b>,
    ending: Vec<u8>,
}

impl Sink for Outgoing<'_, '_> {
    fn frame(&mut self, frame: &Frame, bytes: &[u8]) -> io::Result<()> {
        let bytes = (!bytes.is_empty()).then_some(bytes);
        self.pieces
            .push(frame.compressed_hash, frame.compressed_len, bytes)
    }

    fn ending(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.ending = bytes.to_vec();
        Ok(())
    }
}

impl Args {
    /// Captures the device into an image of a manager.
    pub(super) fn send(&self, context: &Context, to: &Remote) -> Result<(), Failure> {
        let begun = Instant::now();
        if self.keep_days.is_some() || self.keep_bytes.is_some() {
            let hint = context.catalog.text("hint-room-there");
            return Err(Failure::new(Code::Usage, "--keep-days, --keep-bytes").with_hint(hint));
        }
        let device = place::device(&self.device)?;
        let mut source = Source::open(&device)?;
        let found = self.look(context, &device, &mut source)?;
        let present = to.present()?;
        let replaces = !matches!(present, Present::Nothing);
        let whose = self.whose(context, present)?;
        let base = match &whose {
            Whose::Nobody => None,
            Whose::Theirs(_) => Some(to.shown()),
            Whose::Ours(path) => Some(path.display().to_string()),
        };
        let what = (&source, &found);
        let (most, purges) = self.rehearse(to, what, base.is_some())?;
        let mut plan = self
            .rows(context, (&device, &to.shown()), &found, base)
            .bytes("room-most", most);
        if replaces {
            let values = [("image", to.shown().into())];
            plan = plan.warning(&context.catalog, "replaces", &values);
        }
        let plan = keeping::tell(context, plan, &purges);
        if settle(context, &plan, self.writing) == Step::Stop {
            return Ok(());
        }
        let fs = found.volume.kind.partclone_name();
        let info = InfoLine::native(fs, found.volume.device_size, &host());
        let attempt = |whose, trusting: bool| {
            let upload = to.open(context, most, Some(&info));
            let mut upload = upload.map_err(told)?;
            if !trusting {
                upload = upload.anew();
            }
            let done = self.deliver(context, (&device, &source), &found, (whose, &upload));
            if done.is_err() {
                upload.give_up();
            }
            // Nothing is written here.
            done.map(|done| (done, upload)).map_err(there)
        };
        let is_theirs = !matches!(whose, Whose::Ours(_));
        let done = match attempt(whose, true) {
            // Something that was to be taken over there is damaged, or gone: all of it is sent.
            Err(failure) if is_theirs && matches!(failure.code, Code::Corrupt | Code::NoUpload) => {
                let values = [("detail", detail(&context.catalog, &failure).into())];
                let text = context.catalog.fmt("warn-all-is-sent", &values);
                context.output.warn(&context.catalog, &text);
                attempt(Whose::Nobody, false)
            }
            other => other,
        };
        let ((captured, published), upload) = done?;
        let what = (&captured, &published);
        show(context, to, what, (&found, &upload), begun.elapsed());
        Ok(())
    }

    /// The most bytes that the image can have, for which the manager has room, and the versions that go for it. Until it was
    /// sent nobody knows how many it will have, while a file here can wait for that: where samples say that it would fit, a
    /// refusal says so.
    fn rehearse(
        &self,
        to: &Remote,
        (source, found): (&Source, &Found),
        has_base: bool,
    ) -> Result<(u64, Vec<Going>), Failure> {
        let estimate = Estimate::of_image(&found.volume, None);
        let failure = match to.rehearse(estimate.most) {
            Err(failure) if failure.code == Code::TooLittleRoom => failure,
            other => return other.map(|purges| (estimate.most, purges)),
        };
        let content = found.holes.around(source);
        let sampled = estimate.sampled((&found.volume, &content), (self.level, has_base));
        if to.rehearse(sampled.likely).is_err() {
            return Err(failure);
        }
        let values = [("likely", human::bytes(sampled.likely))];
        Err(failure.with_hint(Hint::with("hint-room-by-way-of-here", values)))
    }

    fn whose(&self, context: &Context, present: Present) -> Result<Whose, Failure> {
        match (&self.base, present) {
            (Some(Special::Path(path)), _) if is_itself(path) => Ok(Whose::Ours(path.clone())),
            (Some(Special::Path(path)), _) => {
                Ok(Whose::Ours(place::locate(context, path)?.image.path()))
            }
            (None, Present::Known(image)) if image.layout().is_native() => {
                Ok(Whose::Theirs(Box::new(Indexed::open(&*image)?)))
            }
            (Some(Special::Word) | None, _) => Ok(Whose::Nobody),
        }
    }

    fn deliver(
        &self,
        context: &Context,
        (device, source): (&std::path::Path, &Source),
        found: &Found,
        (whose, upload): (Whose, &Upload),
    ) -> Result<(Captured, Published), Failure> {
        let ours = match &whose {
            Whose::Ours(path) => Some(Stored::open(path)?),
            Whose::Nobody | Whose::Theirs(_) => None,
        };
        let base = match (whose, &ours) {
            (Whose::Theirs(index), _) => Some(Base::held(*index)),
            (_, Some(file)) => Some(Base::open(file)?),
            _ => None,
        };
        let options = CaptureOptions {
            level: self.level,
            base: base.as_ref(),
            lengths: None,
            facts: facts(device, source, found),
        };
        let cold = source.facts().kind == Kind::BlockDevice;
        let bulk = source.bulk(if cold { Access::Direct } else { Access::Cached })?;
        let volume = &found.volume;
        let tails = read_tails(source, volume)?;
        let read = found.holes.around(&bulk);
        let content = DeviceContent::new(&read, &volume.used, volume.block_size);
        let progress = context.progress();
        progress.begin(Phase::Capture, volume.used_bytes());
        let made = streaming(upload, |pieces| {
            let ending = Vec::new();
            let mut out = Outgoing { pieces, ending };
            let captured = capture_into(volume, tails, content, &options, (&mut out, &progress));
            captured.map(|captured| (captured, out.ending))
        })?;
        let (captured, ending) = made?;
        progress.end();
        source.unchanged()?;
        let identity = Identity(captured.identity).to_string();
        match upload.finish((&ending, &identity), &progress)? {
            Ok(published) => Ok((captured, published)),
            Err(lacking) => {
                let frames = lacking.iter().filter_map(|n| captured.index.frames.get(*n));
                let bytes = frames.map(|frame| u64::from(frame.compressed_len)).sum();
                let host = upload.host().to_owned();
                Err(NetError::Lost { host, bytes }.into())
            }
        }
    }
}

fn show(
    context: &Context,
    to: &Remote,
    (captured, published): (&Captured, &Published),
    (found, upload): (&Found, &Upload),
    time: Duration,
) {
    let used = found.volume.used_bytes();
    let identity = Identity(captured.identity).to_string();
    let resumed = upload.resumed(published);
    let value = json!({
        "action": "image-create",
        "image": to.shown(),
        "identity": identity,
        "used": used,
        "file_size": captured.file_len,
        "frames": captured.index.frames.len(),
        "reused_frames": captured.reused_frames,
        "reused_bytes": captured.reused_bytes,
        "resumed": resumed,
        "from_there": published.held,
        "sent": upload.sent(),
        "replaced": published.replaced,
        "purged": published.purged,
        "seconds": time.as_secs_f64(),
    });
    context.output.result(&value, || {
        let label = |key: &str| context.catalog.text(&format!("label-{key}"));
        let mut rows = vec![
            (label("image"), to.shown()),
            (label("identity"), identity.clone()),
            (label("used"), human::bytes(used)),
            (label("file-size"), human::bytes(captured.file_len)),
            (label("frames"), captured.index.frames.len().to_string()),
        ];
        if captured.reused_frames > 0 {
            let share = human::percent(captured.reused_bytes, captured.file_len);
            rows.push((label("reused"), share));
        }
        if resumed > 0 {
            rows.push((label("resumed-there"), human::bytes(resumed)));
        }
        rows.extend([
            (label("there"), human::bytes(published.held)),
            (label("sent"), human::bytes(upload.sent())),
            (label("time"), human::duration(time)),
            (label("rate"), human::rate(used, time)),
        ]);
        rows.extend(keeping::row_there(context, published.purged));
        let done = context.catalog.text("result-image-create");
        format!("{done}\n{}", table::rows(&rows))
    });
}
