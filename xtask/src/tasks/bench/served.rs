//! A server that was started for a benchmark.

use std::process::Child;

use azud_testkit::tools::run;

/// It is told to end when this is dropped: its workers end with it then, and not when it is killed.
pub(super) struct Served(pub(super) Child);

impl Drop for Served {
    fn drop(&mut self) {
        // The number of one that has ended may be another's by now.
        if let Ok(None) = self.0.try_wait()
            && run("kill", &["-TERM", &self.0.id().to_string()]).is_err()
        {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}
