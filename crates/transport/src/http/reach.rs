//! The way to a computer, before anything is said: its addresses, and a connection to one of them.

use std::sync::Arc;
use std::{error, fmt, io};

use azud_core::progress::Interrupted;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

use super::ends::Ends;
use super::pulse::Pulse;
use super::times::REACH;
use super::wire::Wire;

/// What is wrong with a name of which no address is known.
#[derive(Debug)]
pub(super) struct Nameless {
    pub(super) name: String,
    pub(super) source: io::Error,
}

impl fmt::Display for Nameless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be resolved", self.name)
    }
}

impl error::Error for Nameless {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Looks names up as the computer does, and says whose address is not known: a proxy's, or the manager's.
#[derive(Debug)]
pub(super) struct Names(pub(super) Ends);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let nameless = |source| {
            let name = uri.host().unwrap_or_default().to_owned();
            Error::Other(Box::new(Nameless { name, source }))
        };
        let (of, config) = (uri.clone(), config.clone());
        let look = move || DefaultResolver::default().resolve(&of, &config, timeout);
        let found = self.0.leaving(look);
        let found = found.unwrap_or_else(|| Err(left().into()));
        found.map_err(|error| match error {
            Error::Io(source) => nameless(source),
            Error::HostNotFound => nameless(io::ErrorKind::NotFound.into()),
            error => error,
        })
    }
}

/// Opens connections, and does not wait for whom nobody reaches: TLS, which the manager itself has to answer, has its
/// own time.
#[derive(Debug)]
pub(super) struct Soon(pub(super) Ends, pub(super) Arc<Pulse>);

impl<In: Transport> Connector<In> for Soon {
    type Out = Either<In, Wire>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(chained) = chained {
            // The way to a proxy stands already.
            return Ok(Some(Either::A(chained)));
        }
        let (addresses, time) = (details.addrs.to_vec(), (*details.timeout.after).min(REACH));
        let (input, output) = (
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        let (buffers, pulse) = (LazyBuffers::new(input, output), Arc::clone(&self.1));
        let open = move || Wire::open(&addresses, time, (buffers, pulse));
        let wire = self.0.leaving(open).unwrap_or_else(|| Err(left()));
        let wire = wire.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Error::Timeout(Timeout::Connect),
            _ => Error::Io(error),
        })?;
        (details.register_shutdown)(wire.end())?;
        Ok(Some(Either::B(wire)))
    }
}

/// The work is to end.
fn left() -> io::Error {
    io::Error::other(Interrupted)
}

/// What is known of a connection, once more.
pub(super) fn again<'a>(details: &ConnectionDetails<'a>) -> ConnectionDetails<'a> {
    ConnectionDetails {
        uri: details.uri,
        addrs: details.addrs.clone(),
        config: details.config,
        request_level: details.request_level,
        resolver: details.resolver,
        now: details.now,
        timeout: details.timeout,
        current_time: details.current_time.clone(),
        run_connector: details.run_connector.clone(),
        register_shutdown: details.register_shutdown.clone(),
    }
}
