//! Room where images are written.

use std::path::PathBuf;

use azud_disk::machine::{Room, room};

use super::finding::Finding;
use crate::human;

/// Less than this is as good as nothing: not even side files and journals are sure to fit.
const NOTHING: u64 = 64 << 20;
/// Less than this share of the whole is little, unless it is still much.
const LITTLE: u64 = 20;
const MUCH: u64 = 50 << 30;
/// Fewer files than this are few.
const FEW: u64 = 1000;

/// The room of one place.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) dir: PathBuf,
    pub(super) room: Result<Room, String>,
}

/// Asks a file system; it may hold who asks.
pub(super) fn gather(dir: PathBuf) -> Fact {
    let room = room(&dir).map_err(|error| error.to_string());
    Fact { dir, room }
}

pub(super) fn judge(fact: &Fact) -> Finding {
    let finding = match &fact.room {
        Err(why) => Finding::unknown("room-unknown").term("why", why),
        Ok(room) => {
            let finding = if room.free < NOTHING {
                Finding::problem("room-none")
            } else if room.files > 0 && room.free_files < FEW {
                Finding::problem("room-no-files")
            } else if room.free < MUCH.min(room.size / LITTLE) {
                Finding::warning("room-little")
            } else {
                Finding::ok("room")
            };
            finding
                .with("free", human::bytes(room.free))
                .with("size", human::bytes(room.size))
        }
    };
    finding.with("path", fact.dir.display())
}

#[cfg(test)]
mod tests {
    use azud_disk::machine::Room;

    use super::super::finding::{State, keys};
    use super::{Fact, judge};

    #[test]
    fn much_little_and_nothing() {
        const GIB: u64 = 1 << 30;
        let told = |size, free, files, free_files| {
            let fact = Fact {
                dir: "/r".into(),
                room: Ok(Room {
                    size,
                    free,
                    files,
                    free_files,
                }),
            };
            keys(&[judge(&fact)])[0]
        };
        assert_eq!(told(100 * GIB, 6 * GIB, 0, 0), (State::Ok, "room"));
        assert_eq!(
            told(100 * GIB, 4 * GIB, 0, 0),
            (State::Warning, "room-little")
        );
        assert_eq!(told(9000 * GIB, 60 * GIB, 0, 0), (State::Ok, "room"));
        assert_eq!(told(100 * GIB, 1, 0, 0), (State::Problem, "room-none"));
        let full = told(100 * GIB, 50 * GIB, 5000, 3);
        assert_eq!(full, (State::Problem, "room-no-files"));
        let fact = Fact {
            dir: "/r".into(),
            room: Err("no".into()),
        };
        assert_eq!(keys(&[judge(&fact)]), [(State::Unknown, "room-unknown")]);
    }
}
