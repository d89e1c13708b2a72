//! The `azud` program: everything is in the library, so that tests and documentation reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    azud_cli::main()
}
