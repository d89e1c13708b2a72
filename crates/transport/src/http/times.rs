//! How long a manager may take for what, in one request. How often it is asked again, and for how long that goes on, is
//! a matter of [`Patience`](super::Patience).

use std::time::Duration;

/// How long what may take, and how much of it is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// From the first word to a computer until TLS stands.
    pub(super) connect: Duration,
    /// From the whole request until the answer begins.
    pub(super) answer: Duration,
    /// A whole body, whoever else is served meanwhile.
    pub(super) body: Duration,
    /// Between two arrivals of bytes.
    pub(super) silence: Option<Duration>,
    /// The longest index that is taken: that of an image of many terabytes.
    pub(super) longest_index: u64,
}

pub(super) const USUAL: Times = Times {
    connect: Duration::from_secs(10),
    // It may have to look at thousands of images first.
    answer: Duration::from_mins(1),
    body: Duration::from_mins(15),
    silence: None,
    longest_index: 1 << 30,
};

/// Within these times who waits for a file is answered, one way or the other: the kernel waits along with him.
pub(super) const HASTY: Times = Times {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(15),
    body: Duration::from_mins(2),
    silence: Some(Duration::from_secs(10)),
    // Of two terabytes: several are asked for at once, and kept for long.
    longest_index: 64 << 20,
};

impl Times {
    /// The same for a manager that others can do without: what is lost on the way to it is sent once more, after a second.
    pub(super) const fn beside_others(self) -> Self {
        Self {
            connect: Duration::from_secs(2),
            ..self
        }
    }
}

/// A computer that takes no connection is given up after this part of the time for connecting. Its kernel takes one at
/// once, however busy the manager is; who begins asks again after one second and after three.
pub(super) const REACH: Duration = Duration::from_millis(3500);
/// Who sends nothing for so long in the midst of an image is gone; so is whose computer acknowledges nothing.
pub const SILENCE: Duration = Duration::from_secs(20);
/// After so much silence a computer is asked whether it is still there, again and again.
pub(super) const ALIVE: Duration = Duration::from_secs(5);
/// So long may a body take on its way.
pub(super) const SENDING: Duration = Duration::from_mins(5);
/// The longest that a manager can make somebody wait before the next request.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);
