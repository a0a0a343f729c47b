//! How the agent comes to a host and goes again, in words of the far side's shell.

use std::time::SystemTime;

/// What the far side does with the agent; `NAME` and `SIZE` stand for those.
const ARRIVE: &str = include_str!("arrive.sh");

/// What the agent is called on a host for the time of one run. Each run has its own, so that the
/// end of one takes nothing from another.
pub(super) fn name() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let stamp = since.unwrap_or_default().as_millis();
    format!("sternpost-agent-{stamp:x}-{}", std::process::id())
}

/// Takes an agent of so many octets from standard input, and prints where it lies.
pub(super) fn script(name: &str, size: u64) -> String {
    ARRIVE
        .replace("NAME", name)
        .replace("SIZE", &size.to_string())
}

/// Runs the agent that lies there, which removes its own file first; its folder goes with it
/// in the end, where nothing else is in it.
pub(super) fn run(place: &str) -> String {
    let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
    let gone = match folder {
        "/run" => String::new(),
        folder => format!("; rmdir {folder} 2>/dev/null"),
    };
    // One that could not be started is there still.
    format!("trap 'rm -f {place}{gone}' EXIT; {place} agent --vanish")
}
