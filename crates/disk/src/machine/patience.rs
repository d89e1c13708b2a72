//! Questions to file systems whose servers may be gone.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// The answer to a question, or `None` when it takes longer or the asker fails. The asker is then left behind:
/// the kernel may hold it for as long as it likes.
pub fn within<T: Send + 'static>(
    patience: Duration,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (send, receive) = channel();
    let asker = thread::Builder::new().name("asker".to_owned());
    asker
        .spawn(move || {
            // Nobody may be waiting any more.
            let _ = send.send(ask());
        })
        .ok()?;
    receive.recv_timeout(patience).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use super::within;

    #[test]
    fn nobody_waits_for_ever() {
        assert_eq!(within(Duration::from_mins(1), || 7), Some(7));
        let (_held, never) = channel::<()>();
        let begun = Instant::now();
        let answer = within(Duration::from_millis(20), move || never.recv().is_ok());
        assert_eq!(answer, None);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
