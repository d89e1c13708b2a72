//! What was measured on, and when.

use anyhow::Result;
use azud_testkit::tools::sh;

/// Date, processor, memory and kernel in a line.
pub(super) fn line() -> Result<String> {
    let script = "model=$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs)
        memory=$(awk '/MemTotal/ {printf \"%.0f GiB\", $2 / 1048576}' /proc/meminfo)
        echo \"$(date -u +%F); ${model:-$(uname -m)}, $(nproc) cores, $memory, Linux $(uname -r)\"";
    let output = sh(script, &[])?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
