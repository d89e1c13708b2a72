//! Where an image that is received comes from: a file of this computer, or a manager.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use azud_core::assembly::{Layout, Source};
use azud_core::code::Code;
use azud_core::io::ReadAt;
use azud_core::name::beside;
use azud_core::reference::ImageRef;
use azud_image::Native;
use azud_image::sniff::{Sniffed, sniff};
use azud_store::StoreError;
use azud_store::assembly::{FileSource, Shared};
use azud_store::side::{Carried, FULL_SUM, HTTPS_ONLY, INFO, InfoLine, read_sum, sum_in};
use azud_transport::NetError;
use azud_transport::http::{Client, Moment, Patience, RemoteImage, SILENCE};

use crate::commands::{Context, repo};
use crate::failure::{Failure, Hint};
use crate::foreign::{fit_to_copy, open, open_remote};
use crate::interrupt;
use crate::receive::source_file;
use crate::trust::MINISIG;

/// The way in which an image comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Via {
    /// From files where the repository is mounted, else over HTTPS.
    #[default]
    Auto,
    /// From the files of a repository that is mounted.
    File,
    /// Over HTTPS from a manager, mounted or not.
    Http,
}

/// An image that can be received.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A file.
    File(PathBuf, Arc<FileSource>),
    /// An image of a manager.
    Manager(Arc<RemoteImage>),
}

impl Origin {
    /// What a name leads to: a repository that is mounted is read as files, a manager that is known is asked.
    pub(crate) fn named(context: &Context, name: &Path) -> Result<Self, Failure> {
        Self::named_via(context, name, Via::Auto)
    }

    /// The same, in the way that is said.
    pub(crate) fn named_via(context: &Context, name: &Path, via: Via) -> Result<Self, Failure> {
        Self::by(context, (name, via), || Self::of_manager(context, name))
    }

    /// A file of a repository that is mounted, or what the way to a manager gives, as it is said.
    fn by<T: From<Self>>(
        context: &Context,
        (name, via): (&Path, Via),
        of_manager: impl FnOnce() -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let file = |path| Self::file(path).map(T::from);
        match via {
            Via::Auto => match source_file(context, name) {
                Ok(path) => file(path),
                Err(failure) if failure.code == Code::PlaceNotMounted => {
                    of_manager()?.ok_or(failure)
                }
                Err(failure) => Err(failure),
            },
            Via::File => file(source_file(context, name)?),
            Via::Http => of_manager()?.ok_or_else(|| {
                Failure::new(Code::PlaceNotMounted, name.display().to_string())
                    .with_hint(Hint::of("hint-via-http"))
            }),
        }
    }

    /// A file.
    pub(crate) fn file(path: PathBuf) -> Result<Self, Failure> {
        let source = FileSource::open(&path)?;
        Ok(Self::File(path, Arc::new(source)))
    }

    /// An image of a manager that is known, or of a repository that ours may have mounted.
    pub(crate) fn of_manager(context: &Context, name: &Path) -> Result<Option<Self>, Failure> {
        let Some(wanted) = Wanted::named(context, name, MAKING)? else {
            return Ok(None);
        };
        let asked = wanted.asked.clone();
        asked.gives(wanted.open()).map(Some)
    }

    /// One beside others: when it does not answer, they are asked before it is waited for.
    pub(crate) fn hurried(self) -> Self {
        let Self::Manager(image) = self else {
            return self;
        };
        let patience = Patience::new(HURRY, |_, _| interrupt::go_on().is_ok());
        let patience = patience.until(interrupt::is_asked);
        Self::Manager(match Arc::try_unwrap(image) {
            Ok(image) => Arc::new(image.with_patience(patience)),
            Err(shared) => shared,
        })
    }

    /// What the assembly reads.
    pub(crate) fn source(&self) -> &dyn Source {
        match self {
            Self::File(_, source) => &**source,
            Self::Manager(image) => &**image,
        }
    }

    /// The same for whoever asks others, too, and may not wait for the answer of this one.
    pub(crate) fn shared(&self) -> Shared {
        match self {
            Self::File(_, source) => source.clone(),
            Self::Manager(image) => image.clone(),
        }
    }

    /// What it consists of.
    pub(crate) fn layout(&self) -> Result<Layout, StoreError> {
        let layout = self.source().layout();
        layout.map_err(|source| StoreError::Source {
            name: self.name(),
            source,
        })
    }

    /// The file, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path, _) => Some(path),
            Self::Manager(_) => None,
        }
    }

    /// What it is, by its bytes.
    pub(crate) fn found(&self) -> Result<Sniffed, Failure> {
        sniff(self.bytes()).map_err(|error| Failure::io(Path::new(&self.name()), &error))
    }

    /// Bytes that came over a network so far.
    pub(crate) fn received(&self) -> Option<u64> {
        match self {
            Self::File(..) => None,
            Self::Manager(image) => Some(image.received()),
        }
    }

    /// What it is called in plans.
    pub(crate) fn name(&self) -> String {
        self.source().name()
    }

    /// Its bytes, as a file.
    pub(crate) fn bytes(&self) -> &dyn ReadAt {
        match self {
            Self::File(_, source) => source.stored(),
            Self::Manager(image) => &**image,
        }
    }

    /// The description of the image: of a native one from what it holds itself, of another as its source has
    /// it.
    pub(crate) fn info(&self, native: bool) -> Result<Option<InfoLine>, Failure> {
        match self {
            _ if native => self.native().map(|native| Some(info_of(&native))),
            Self::File(path, _) => Ok(InfoLine::read(&beside(path, INFO))),
            Self::Manager(_) => Ok(None),
        }
    }

    /// Opens it as a native image.
    pub(crate) fn native(&self) -> Result<Native, Failure> {
        native_of(self.bytes(), &self.name())
    }

    /// What stands beside it and goes along.
    pub(crate) fn carried(&self) -> Result<Vec<Carried>, Failure> {
        match self {
            Self::File(path, _) => Ok(Carried::beside(path)?),
            Self::Manager(image) => {
                let signature = image.signature()?.map(|content| (MINISIG, content));
                let mark = image.https_only().then(|| (HTTPS_ONLY, Vec::new()));
                let carried = signature.into_iter().chain(mark);
                Ok(carried
                    .map(|(ending, content)| Carried { ending, content })
                    .collect())
            }
        }
    }

    /// Refuses a file of another program that is not to be passed on, and a native image that is cut or damaged: it
    /// would be passed on as one of another program, whose bytes nobody knows.
    pub(crate) fn refuse_unfit(&self, context: &Context) -> Result<(), Failure> {
        let Err(failure) = self.native() else {
            return Ok(());
        };
        match self {
            _ if failure.code != Code::NotNative => Err(self.blamed(failure)),
            Self::File(path, _) => fit_to_copy(context, path),
            Self::Manager(_) => Ok(()),
        }
    }

    /// Refuses an image of another program whose head is cut or damaged. One that is only not read here may be another's
    /// to read.
    ///
    /// # Errors
    /// `image/truncated`, `image/corrupt`; what reading it says.
    pub(crate) fn refuse_broken_head(&self) -> Result<(), Failure> {
        let opened = match self {
            Self::File(path, _) => open(path),
            Self::Manager(image) => open_remote(image),
        };
        match opened {
            Err(failure) if is_damage(failure.code) => Err(failure),
            _ => Ok(()),
        }
    }

    /// Says of damage in whose bytes it is, and what is to be done there.
    pub(crate) fn blamed(&self, failure: Failure) -> Failure {
        match self {
            Self::Manager(image) => blamed(image, failure),
            Self::File(..) => about_damage(failure, &self.name()),
        }
    }

    /// The MD5 that stands beside it, if there is one.
    pub(crate) fn full_sum(&self) -> Option<String> {
        match self {
            Self::File(..) => read_sum(&self.claimed_sum()?),
            Self::Manager(image) => sum_in(&image.beside(FULL_SUM).ok()?),
        }
    }

    /// The file with the sum that the source claims, if there is one.
    pub(crate) fn claimed_sum(&self) -> Option<PathBuf> {
        Some(beside(self.path()?, FULL_SUM))
    }
}

/// An image that a manager is to be asked for.
struct Wanted {
    client: Client,
    /// As the manager calls it.
    name: String,
    patience: Patience,
    asked: Asked,
}

/// Who is asked for what.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Where the image is, as that was named.
    place: String,
    /// The manager that may have that place mounted, if it is not one itself.
    through: Option<String>,
}

impl Asked {
    /// What came of it.
    fn gives(&self, opened: Result<RemoteImage, NetError>) -> Result<Origin, Failure> {
        let place = || self.place.clone();
        let failure = match opened.map_err(Failure::from) {
            Ok(image) => return Ok(Origin::Manager(Arc::new(image))),
            Err(failure) => failure,
        };
        let hint = match (failure.code, &self.through) {
            (Code::NotFound, _) => Hint::with("hint-images-there", [("host", place())]),
            (Code::Unreachable, Some(host)) => {
                let values = [("place", place()), ("host", host.clone())];
                Hint::with("hint-asked-through", values)
            }
            _ => return Err(failure),
        };
        Err(failure.with_hint(hint))
    }
}

impl Wanted {
    /// Nobody is asked yet: `None` where the place is no manager that is known, nor one that ours may have mounted.
    fn named(context: &Context, name: &Path, making: Duration) -> Result<Option<Self>, Failure> {
        let ImageRef::Placed { place, image } = ImageRef::parse(name)? else {
            return Ok(None);
        };
        let giver = repo::giver(context, &place)?;
        Ok(giver.map(|giver| Self {
            name: giver.name(&image.to_string()),
            patience: patience(context, giver.client.host()).for_indexes(making),
            asked: Asked {
                place: place.to_string(),
                through: giver.of.map(|_| giver.client.host().to_owned()),
            },
            client: giver.client,
        }))
    }

    fn open(self) -> Result<RemoteImage, NetError> {
        RemoteImage::open(self.client, &self.name, self.patience)
    }
}

/// One that others can do without: who has it is asked meanwhile.
pub(crate) enum Coming {
    /// It need not be asked for.
    Here(Origin),
    /// A manager is asked for it.
    There(Asked, JoinHandle<Result<RemoteImage, NetError>>),
}

impl From<Origin> for Coming {
    fn from(origin: Origin) -> Self {
        Self::Here(origin)
    }
}

impl Coming {
    /// What a name leads to. An index that its manager still makes is not waited for long, nor is a connection.
    pub(crate) fn named_via(context: &Context, name: &Path, via: Via) -> Result<Self, Failure> {
        Origin::by(context, (name, via), || {
            let wanted = Wanted::named(context, name, usual_patience())?;
            Ok(wanted.map(|wanted| {
                let asked = wanted.asked.clone();
                let client = wanted.client.beside_others();
                let wanted = Wanted { client, ..wanted };
                Self::There(asked, thread::spawn(move || wanted.open()))
            }))
        })
    }

    /// What came of it. As it is beside others, they are asked before it is waited for.
    pub(crate) fn origin(self) -> Result<Origin, Failure> {
        let origin = match self {
            Self::Here(origin) => origin,
            Self::There(asked, opening) => {
                let opened = opening.join().unwrap_or_else(|panic| resume_unwind(panic));
                asked.gives(opened)?
            }
        };
        Ok(origin.hurried())
    }
}

/// Says of damage in the bytes of a manager whose they are, and what is to be done there.
pub(crate) fn blamed(image: &RemoteImage, failure: Failure) -> Failure {
    if !is_damage(failure.code) {
        return failure;
    }
    let name = image.name_there();
    let key = if name.contains(':') {
        // Of a repository that the manager has mounted.
        "hint-damaged-there"
    } else {
        "hint-damaged-below"
    };
    let values = [
        ("host", image.host().to_owned()),
        ("image", name.to_owned()),
    ];
    let hint = Hint::with(key, values);
    about_damage(failure, &image.name()).with_hint(hint)
}

/// Says of damage what is damaged, where that is not said yet.
pub(crate) fn about_damage(failure: Failure, name: &str) -> Failure {
    if !is_damage(failure.code) || failure.detail.contains(name) {
        return failure;
    }
    failure.about(name)
}

const fn is_damage(code: Code) -> bool {
    matches!(code, Code::Corrupt | Code::Truncated)
}

/// Opens what lies under a name as a native image.
pub(crate) fn native_of(file: &dyn ReadAt, name: &str) -> Result<Native, Failure> {
    Native::open(file).map_err(|error| Failure::from(error).about(name))
}

/// The description of a native image.
pub(crate) fn info_of(native: &Native) -> InfoLine {
    let (facts, header) = (native.facts(), &native.geometry().header);
    InfoLine::native(&facts.fs, header.device_size, &facts.host)
}

/// How long a manager that went away is waited for, in seconds.
const PATIENCE: &str = "AZUD_PATIENCE";
const USUAL: Duration = Duration::from_mins(1);

/// An index that is being made is waited for so long: a manager reads terabytes for it, perhaps of several images.
const MAKING: Duration = Duration::from_hours(12);
/// Between two words about that.
const WORDS: Duration = Duration::from_mins(5);

/// A manager that is one of several sources is waited for so long.
const HURRY: Duration = Duration::from_secs(1);

/// How long somebody who went away is waited for.
pub(crate) fn usual_patience() -> Duration {
    let asked = std::env::var(PATIENCE).ok();
    let lasts = asked.and_then(|text| Some(Duration::from_secs(text.parse().ok()?)));
    lasts.unwrap_or(USUAL)
}

/// Says that a manager does not answer, and goes on waiting unless the work is to end.
pub(crate) fn patience(context: &Context, host: &str) -> Patience {
    let (lasts, warn, host) = (usual_patience(), context.warner(), host.to_owned());
    let said = Mutex::new(None::<Instant>);
    let waits = Patience::new(lasts, move |error, moment| {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match error {
            _ if moment == Moment::Silent => "warn-no-sign",
            _ if matches!(moment, Moment::Unheard(_)) => "warn-no-answer-yet",
            _ if error.code() == Code::IndexInMaking => "warn-index-in-making",
            _ if error.code() == Code::DiskFails => "warn-disk-fails",
            NetError::Later { .. } => "warn-preparing",
            NetError::Protocol { .. } | NetError::Refused { .. } => "warn-other-answer",
            _ => "warn-waiting",
        };
        let is_time = said.is_none_or(|said| said.elapsed() >= WORDS);
        if moment != Moment::Lasts || key == "warn-index-in-making" && is_time {
            // Who is silent is not given up before it was silent for a while.
            let seconds = match moment {
                Moment::Silent => lasts.max(SILENCE),
                Moment::Unheard(first) => first,
                _ => lasts,
            };
            let values = [
                ("host", host.as_str().into()),
                ("seconds", seconds.as_secs().into()),
            ];
            warn(key, &values);
            *said = Some(Instant::now());
        }
        interrupt::go_on().is_ok()
    });
    waits.for_indexes(MAKING).until(interrupt::is_asked)
}
