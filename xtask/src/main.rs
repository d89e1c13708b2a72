//! Tasks of the house: `cargo xtask TASK`. One file per task below [`tasks`]; adding one is a file
//! and a line in `tasks::ALL`.

mod tasks;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let Some(task) = tasks::ALL.iter().find(|task| task.name == name) else {
        tasks::say_all();
        return ExitCode::from(2);
    };
    match (task.run)(&rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(ended) = error.downcast_ref::<tasks::Ended>() {
                return ExitCode::from(ended.0);
            }
            tasks::complain(&format!("{name}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
