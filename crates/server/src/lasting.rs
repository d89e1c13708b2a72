//! Answers that last: while they are sent, whoever asked has to be let in still.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body::{Body as _, Frame, SizeHint};

/// So long a yes counts: a fast answer has thousands of pieces a second.
const COUNTS: Duration = Duration::from_secs(1);

/// An answer that breaks off with the first piece, event or sign of life for which `granted` says no. One that is whole
/// in memory already stays as it is.
pub(crate) fn while_granted(
    response: Response,
    granted: impl Fn() -> bool + Send + 'static,
) -> Response {
    response.map(|inner| match inner.size_hint().exact() {
        Some(_) => inner,
        None => Body::new(Lasting {
            inner,
            asked: Instant::now(),
            granted: Some(Box::new(granted)),
        }),
    })
}

/// A body whose taker is asked again and again whether it is his.
struct Lasting {
    inner: Body,
    /// When the answer was yes last.
    asked: Instant,
    /// Nothing once it said no.
    granted: Option<Granted>,
}

type Granted = Box<dyn Fn() -> bool + Send>;

impl Lasting {
    /// Whether what is ready now may go.
    fn may(&mut self) -> bool {
        if self.asked.elapsed() < COUNTS {
            return self.granted.is_some();
        }
        self.asked = Instant::now();
        self.granted.take_if(|granted| !granted());
        self.granted.is_some()
    }
}

impl http_body::Body for Lasting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if frame.is_none() || self.may() {
            return Poll::Ready(frame);
        }
        // What it was made of is let go at once, and nobody takes what came for the whole.
        self.inner = Body::empty();
        let ended = io::Error::new(ErrorKind::PermissionDenied, "the token has ended");
        Poll::Ready(Some(Err(axum::Error::new(ended))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::Duration;

    use axum::body::{Body, Bytes, to_bytes};
    use axum::response::Response;
    use futures_util::{StreamExt, stream};

    use super::{COUNTS, while_granted};

    /// Pieces without an end.
    fn endless() -> Response {
        let piece = || async { Ok::<_, Infallible>(Bytes::from_static(b"piece")) };
        Response::new(Body::from_stream(stream::repeat_with(piece).then(|it| it)))
    }

    #[tokio::test]
    async fn what_lasts_breaks_off_with_the_token() {
        let is_good = Arc::new(AtomicBool::new(true));
        let asked = Arc::new(AtomicU32::new(0));
        let (granted, count) = (Arc::clone(&is_good), Arc::clone(&asked));
        let answer = while_granted(endless(), move || {
            count.fetch_add(1, Ordering::Relaxed);
            granted.load(Ordering::Relaxed)
        });
        let mut pieces = answer.into_body().into_data_stream();
        for _ in 0..2 {
            tokio::time::sleep(COUNTS).await;
            for _ in 0..100 {
                assert_eq!(pieces.next().await.unwrap().unwrap(), "piece");
            }
        }
        let often = asked.load(Ordering::Relaxed);
        assert!((2..10).contains(&often), "{often}");
        is_good.store(false, Ordering::Relaxed);
        tokio::time::sleep(COUNTS).await;
        let broken = pieces.next().await.unwrap();
        assert!(broken.is_err(), "it must not look whole");
        // Nor does it go on when the token is good again.
        is_good.store(true, Ordering::Relaxed);
        tokio::time::sleep(COUNTS + Duration::from_millis(10)).await;
        assert!(pieces.next().await.is_none());
    }

    #[tokio::test]
    async fn what_is_whole_keeps_its_length() {
        let whole = Response::new(Body::from("all of it"));
        let answer = while_granted(whole, || false);
        let body = to_bytes(answer.into_body(), 100).await.unwrap();
        assert_eq!(body, "all of it");
    }
}
