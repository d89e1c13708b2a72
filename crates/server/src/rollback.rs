//! Going back to a former version of an image, which is read to its end first: that takes its time, so whoever waits
//! asks again.
//!
//! What the bytes of an image should be is not known here: whoever starts the manager brings somebody who knows.

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::extract::{Extension, Path as Named, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use azud_core::code::Code;
use azud_core::name::ImageFile;
use azud_core::progress::Progress;
use azud_store::assembly::identity;
use azud_store::trash::{Version, Which, find, refuse_other, rollback};
use azud_store::{Stored, publish};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::audit::Changed;
use crate::far::Far;
use crate::history::Told;
use crate::indexes::{Seen, be_courteous};
use crate::problem::Problem;
use crate::routes::{Shared, changing};

/// So many versions are read at once; others come after them.
const MOST: usize = 2;
/// For so long what was found holds, as long as the file stays as it is.
const HOLDS: Duration = Duration::from_mins(2);

/// Who knows what the bytes of an image should be.
pub trait Checks: Debug + Send + Sync {
    /// Reads an image to its end; `false` where nothing tells what its bytes should be.
    ///
    /// # Errors
    /// [`Unsound`].
    fn check(&self, path: &Path, progress: &dyn Progress) -> Result<bool, Unsound>;
}

/// Why an image is not to come back.
#[derive(Debug, Clone)]
pub struct Unsound {
    /// The stable code.
    pub code: Code,
    /// What happened, in English.
    pub detail: String,
}

/// What is read, and what was.
#[derive(Debug)]
pub(crate) struct Rollbacks {
    checks: Arc<dyn Checks>,
    versions: Mutex<HashMap<PathBuf, Checked>>,
}

/// A version that somebody wants back.
#[derive(Debug)]
struct Checked {
    /// Before it was read.
    seen: Seen,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Reading(JoinHandle<Found>, Arc<Far>),
    Known(Found),
}

/// What was found, and when.
#[derive(Debug)]
struct Found {
    at: Instant,
    verdict: Result<bool, Unsound>,
}

/// What is known of a version now.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Reading { done: u64, total: u64 },
    Sound(bool),
}

impl Rollbacks {
    pub(crate) fn new(checks: Arc<dyn Checks>) -> Self {
        Self {
            checks,
            versions: Mutex::default(),
        }
    }

    /// Has a version read, in a thread of its own; nobody waits for it here.
    fn look(&self, path: &Path) -> Result<Look, Problem> {
        let seen = Seen::of(&Stored::open(path)?.metadata()?);
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        tidy(&mut versions);
        match versions.get(path) {
            Some(Checked {
                stage: Stage::Reading(_, far),
                ..
            }) => {
                return Ok(Look::Reading {
                    done: far.done(),
                    total: far.total(),
                });
            }
            Some(Checked {
                seen: then,
                stage: Stage::Known(found),
            }) if *then == seen => {
                let verdict = found.verdict.clone();
                return verdict.map(Look::Sound).map_err(|unsound| {
                    // Whoever mends what is wrong with it is not told the same again.
                    versions.remove(path);
                    unsound.problem(path)
                });
            }
            _ => (),
        }
        let is_reading = |one: &&Checked| matches!(one.stage, Stage::Reading(..));
        if versions.values().filter(is_reading).count() < MOST {
            let stage = self.read(path);
            versions.insert(path.to_owned(), Checked { seen, stage });
        }
        Ok(Look::Reading { done: 0, total: 0 })
    }

    fn read(&self, path: &Path) -> Stage {
        let far = Arc::<Far>::default();
        let (checks, path, at_work) = (Arc::clone(&self.checks), path.to_owned(), far.clone());
        let thread = thread::spawn(move || {
            be_courteous();
            let verdict = checks.check(&path, &*at_work);
            let at = Instant::now();
            Found { at, verdict }
        });
        Stage::Reading(thread, far)
    }

    /// The version that is meant, once it is known to be whole; whatever a rollback would refuse is refused.
    fn checked(&self, image: &ImageFile, which: &Which) -> Result<(Version, Look), Problem> {
        let now = SystemTime::now();
        let version = find(image, which, now)?;
        publish::check(image, now)?;
        refuse_other(&version).map_err(|error| {
            let (code, detail) = (error.code(), error.to_string());
            Unsound { code, detail }.problem(&version.path)
        })?;
        let look = self.look(&version.path)?;
        Ok((version, look))
    }
}

/// Takes over what was found meanwhile, and forgets what no longer holds.
fn tidy(versions: &mut HashMap<PathBuf, Checked>) {
    let tidied = versions.drain().map(|(path, one)| match one.stage {
        Stage::Reading(thread, _) if thread.is_finished() => {
            let found = thread.join().unwrap_or_else(|_| Found::broken());
            let stage = Stage::Known(found);
            (path, Checked { stage, ..one })
        }
        stage => (path, Checked { stage, ..one }),
    });
    let tidied = tidied.filter(|(_, one)| match &one.stage {
        Stage::Reading(..) => true,
        Stage::Known(found) => found.at.elapsed() < HOLDS,
    });
    *versions = tidied.collect::<Vec<_>>().into_iter().collect();
}

impl Found {
    /// Something broke that must not.
    fn broken() -> Self {
        Self {
            at: Instant::now(),
            verdict: Err(Unsound {
                code: Code::Io,
                detail: "the manager broke it off".to_owned(),
            }),
        }
    }
}

impl Unsound {
    fn problem(&self, path: &Path) -> Problem {
        let status = match self.code {
            Code::Io => StatusCode::INTERNAL_SERVER_ERROR,
            Code::NotFound => StatusCode::NOT_FOUND,
            _ => StatusCode::CONFLICT,
        };
        Problem::of_file(status, self.code, &self.detail, path)
    }
}

pub(crate) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(check_version))
        .routes(routes!(go_back))
}

/// The image of a name, unless somebody sends another one in its place.
fn own_image(shared: &Shared, name: &str) -> Result<ImageFile, Problem> {
    shared.uploads.refuse_sent(name)?;
    shared.library.own_image(name)
}

/// Which version is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Meant {
    /// Its name in the trash, the beginning of that, or the beginning of its identity; by default the one that went to
    /// the trash last.
    version: Option<String>,
}

impl Meant {
    fn which(self) -> Which {
        self.version.map_or(Which::Latest, Which::Named)
    }
}

/// How it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "lowercase")]
#[schema(as = RollbackState)]
enum Standing {
    /// The version is read; 0 of 0 bytes before its turn.
    Reading {
        /// Bytes that were read.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// It can come back.
    Ready {
        /// Which it is.
        version: Told,
        /// Whether anything tells that its bytes are right.
        sound: bool,
    },
    /// It came back.
    Done {
        /// What stands there now.
        version: Told,
    },
}

type Answer = Result<(StatusCode, Json<Standing>), Problem>;

fn reading(done: u64, total: u64) -> (StatusCode, Json<Standing>) {
    (
        StatusCode::ACCEPTED,
        Json(Standing::Reading { done, total }),
    )
}

/// Have a former version read to its end, to know whether it can come back.
///
/// 409 with `image/corrupt` where it is damaged.
#[utoipa::path(
    post,
    path = "/v1/images/{name}/rollback/check",
    params(("name" = String, Path, description = "The image, `/` as `%2F`."), Meant),
    responses(
        (status = 200, description = "It can come back.", body = Standing),
        (status = 202, description = "It is being read: ask again.", body = Standing),
    )
)]
async fn check_version(
    State(shared): State<Arc<Shared>>,
    Named(name): Named<String>,
    Query(meant): Query<Meant>,
) -> Answer {
    changing(name, move |name| {
        let image = own_image(&shared, name)?;
        let (version, look) = shared.rollbacks.checked(&image, &meant.which())?;
        Ok(match look {
            Look::Reading { done, total } => reading(done, total),
            Look::Sound(sound) => {
                let version = version.into();
                (StatusCode::OK, Json(Standing::Ready { version, sound }))
            }
        })
    })
    .await
}

/// Bring a former version back; the present one goes to the trash.
///
/// It is read first, unless that was just done.
#[utoipa::path(
    post,
    path = "/v1/images/{name}/rollback",
    params(("name" = String, Path, description = "The image, `/` as `%2F`."), Meant),
    responses(
        (status = 200, description = "It came back.", body = Standing),
        (status = 202, description = "It is being read: ask again.", body = Standing),
    )
)]
async fn go_back(
    State(shared): State<Arc<Shared>>,
    Named(name): Named<String>,
    Query(meant): Query<Meant>,
) -> Result<Response, Problem> {
    let came_back = Changed::image(&name, "rolled-back");
    let (status, standing) = changing(name, move |name| {
        let image = own_image(&shared, name)?;
        let (version, look) = shared.rollbacks.checked(&image, &meant.which())?;
        if let Look::Reading { done, total } = look {
            return Ok(reading(done, total));
        }
        // Another may have become the last one meanwhile.
        let which = Which::Named(version.slot.unwrap_or_default());
        let back = rollback(&image, &which, SystemTime::now(), &identity)?;
        let version = back.into();
        Ok((StatusCode::OK, Json(Standing::Done { version })))
    })
    .await?;
    let changed = (status == StatusCode::OK).then_some(Extension(came_back));
    Ok((status, changed, standing).into_response())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex};
    use std::thread::sleep;
    use std::time::Duration;

    use azud_core::code::Code;
    use azud_core::progress::{Phase, Progress};

    use super::{Checks, Look, MOST, Rollbacks, Unsound};

    /// Reads as long as somebody holds `stop`, and finds what the file says.
    #[derive(Debug, Default)]
    struct Reader {
        read: Mutex<Vec<PathBuf>>,
        stop: Mutex<()>,
    }

    impl Checks for Reader {
        fn check(&self, path: &Path, progress: &dyn Progress) -> Result<bool, Unsound> {
            progress.begin(Phase::Verify, 10);
            progress.advance(3).unwrap();
            self.read.lock().unwrap().push(path.to_owned());
            drop(self.stop.lock().unwrap());
            let unsound = |code| Unsound {
                code,
                detail: format!("{}: frame 7", path.display()),
            };
            match std::fs::read_to_string(path).unwrap().as_str() {
                "sound" => Ok(true),
                "doubtful" => Ok(false),
                "damaged" => Err(unsound(Code::Corrupt)),
                other => panic!("{other}"),
            }
        }
    }

    struct Site {
        dir: tempfile::TempDir,
        reader: Arc<Reader>,
        rollbacks: Rollbacks,
    }

    impl Site {
        fn new() -> Self {
            let reader = Arc::<Reader>::default();
            Self {
                dir: tempfile::tempdir().unwrap(),
                rollbacks: Rollbacks::new(reader.clone()),
                reader,
            }
        }

        fn file(&self, name: &str, content: &str) -> PathBuf {
            let path = self.dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        }

        /// What is known once it is read; of a refusal what a client would see of it.
        fn known(&self, path: &Path) -> Result<bool, String> {
            loop {
                match self.rollbacks.look(path) {
                    Ok(Look::Reading { .. }) => sleep(Duration::from_millis(5)),
                    Ok(Look::Sound(sound)) => return Ok(sound),
                    Err(problem) => return Err(format!("{problem:?}")),
                }
            }
        }

        fn begun(&self) -> usize {
            self.reader.read.lock().unwrap().len()
        }

        fn wait_for(&self, begun: usize) {
            while self.begun() < begun {
                sleep(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn a_version_is_read_once_as_long_as_it_stays_as_it_is() {
        let site = Site::new();
        let path = site.file("a.img", "sound");
        let stop = site.reader.stop.lock().unwrap();
        let first = site.rollbacks.look(&path).unwrap();
        assert_eq!(first, Look::Reading { done: 0, total: 0 });
        site.wait_for(1);
        let (done, total) = (3, 10);
        let next = site.rollbacks.look(&path).unwrap();
        assert_eq!(next, Look::Reading { done, total });
        drop(stop);
        assert_eq!(site.known(&path), Ok(true));
        assert_eq!(site.known(&path), Ok(true));
        assert_eq!(site.begun(), 1);
        site.file("a.img", "doubtful");
        assert_eq!(site.known(&path), Ok(false));
        assert_eq!(site.begun(), 2);
    }

    #[test]
    fn what_changed_while_it_was_read_is_read_again() {
        let site = Site::new();
        let path = site.file("a.img", "damaged");
        let stop = site.reader.stop.lock().unwrap();
        site.rollbacks.look(&path).unwrap();
        site.wait_for(1);
        site.file("a.img", "sound as it is");
        site.file("a.img", "sound");
        drop(stop);
        assert_eq!(site.known(&path), Ok(true));
        assert_eq!(site.begun(), 2);
    }

    #[test]
    fn damage_is_told_once_and_without_the_folder() {
        let site = Site::new();
        let path = site.file("a.img", "damaged");
        for begun in 1..=2 {
            let problem = site.known(&path).unwrap_err();
            assert!(problem.contains("Corrupt") && problem.contains("409"));
            assert!(problem.contains("\"a.img: frame 7\""), "{problem}");
            assert_eq!(site.begun(), begun);
        }
        // Who breaks down leaves nobody waiting.
        site.file("a.img", "no verdict");
        let problem = site.known(&path).unwrap_err();
        assert!(problem.contains("the manager broke it off"), "{problem}");
    }

    #[test]
    fn others_come_after_those_that_are_read() {
        let site = Site::new();
        let paths: Vec<PathBuf> = (0..MOST + 2)
            .map(|number| site.file(&format!("{number}.img"), "sound"))
            .collect();
        let stop = site.reader.stop.lock().unwrap();
        for path in &paths {
            site.rollbacks.look(path).unwrap();
        }
        site.wait_for(MOST);
        let last = site.rollbacks.look(&paths[MOST]).unwrap();
        assert_eq!(last, Look::Reading { done: 0, total: 0 });
        assert_eq!(site.begun(), MOST);
        drop(stop);
        for path in &paths {
            assert_eq!(site.known(path), Ok(true));
        }
        assert_eq!(site.begun(), MOST + 2);
    }
}
