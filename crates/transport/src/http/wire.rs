//! A connection of which it is known when something moved on it last. Its kernel asks the other one whether it is still
//! there, so that a link that was cut is told from a manager that takes its time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, LazyBuffers, NextTimeout, ShutdownHandle, Transport, time,
};

use super::pulse::Pulse;
use super::times::{ALIVE, SILENCE};

/// How often it is looked whether nothing moves, while something is waited for.
const LOOK: Duration = Duration::from_secs(1);

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
    pulse: Arc<Pulse>,
    /// For how long its system waits at once: for what comes, and for what goes.
    reads: Duration,
    writes: Duration,
}

impl Wire {
    /// To the first of some addresses that takes one within a time.
    pub(super) fn open(
        addresses: &[SocketAddr],
        time: Duration,
        (buffers, pulse): (LazyBuffers, Arc<Pulse>),
    ) -> io::Result<Self> {
        let stream = Arc::new(connected(addresses, time)?);
        settle(&stream)?;
        Ok(Self {
            stream,
            buffers,
            pulse,
            reads: LOOK,
            writes: LOOK,
        })
    }

    /// By which others can end what it does.
    pub(super) fn end(&self) -> Weak<dyn ShutdownHandle> {
        let end: Arc<dyn ShutdownHandle> = Arc::<TcpStream>::clone(&self.stream);
        Arc::downgrade(&end)
    }
}

fn connected(addresses: &[SocketAddr], time: Duration) -> io::Result<TcpStream> {
    let (begun, mut failed) = (Instant::now(), io::ErrorKind::AddrNotAvailable.into());
    for (number, address) in addresses.iter().enumerate() {
        let left = time.saturating_sub(begun.elapsed());
        let share = left / u32::try_from(addresses.len() - number).unwrap_or(1);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(10))) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// What was sent and is not acknowledged for so long, or who does not even say that it is there, is gone. The manager
/// need not do anything for that; but what it does not take for so long counts as well, as for each write.
fn settle(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(ALIVE).with_interval(ALIVE);
    // Without them it takes longer, that is all.
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(SILENCE));
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(LOOK))?;
    stream.set_nodelay(true)
}

/// Does it again until it is done, for as long as `timeout` says, of which `act` hears how much it may wait at once.
/// Nothing moves meanwhile.
fn moved(
    pulse: &Pulse,
    timeout: NextTimeout,
    mut act: impl FnMut(Duration) -> io::Result<usize>,
) -> Result<usize, Error> {
    let begun = Instant::now();
    loop {
        let left = timeout.after.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(Error::Timeout(timeout.reason));
        }
        match act(left.min(LOOK)) {
            Ok(len) => {
                pulse.beat();
                return Ok(len);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pulse.look(),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Notes what is to be, and says whether it is another than before.
fn is_new(noted: &mut Duration, time: Duration) -> bool {
    std::mem::replace(noted, time) != time
}

/// What is left of a time that began then.
fn left(timeout: NextTimeout, begun: Instant) -> NextTimeout {
    if timeout.after.is_not_happening() {
        return timeout;
    }
    let after = timeout.after.saturating_sub(begun.elapsed());
    NextTimeout {
        after: time::Duration::Exact(after),
        ..timeout
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let (begun, mut stream) = (Instant::now(), &*self.stream);
        let mut rest = &self.buffers.output()[..amount];
        while !rest.is_empty() {
            let write = left(timeout, begun).for_write();
            let sent = moved(&self.pulse, write, |time| {
                if is_new(&mut self.writes, time) {
                    stream.set_write_timeout(Some(time))?;
                }
                stream.write(rest)
            });
            match sent? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                len => rest = &rest[len..],
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let (input, mut stream) = (self.buffers.input_append_buf(), &*self.stream);
        let amount = moved(&self.pulse, timeout.for_read(), |time| {
            if is_new(&mut self.reads, time) {
                stream.set_read_timeout(Some(time))?;
            }
            stream.read(input)
        })?;
        self.pulse.hear();
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Nothing is to come that nobody asked for.
    fn is_open(&mut self) -> bool {
        let is_quiet = || -> io::Result<bool> {
            self.stream.set_nonblocking(true)?;
            let seen = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            Ok(matches!(seen, Err(error) if error.kind() == io::ErrorKind::WouldBlock))
        };
        is_quiet().unwrap_or(false)
    }
}
