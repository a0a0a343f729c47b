//! The kernel's out-of-memory killer ends the daemon: the address goes as after any crash, and
//! the other node has it. That the unit keeps the killer away is shown under the unit.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use lab::holders::What;
use lab::host::Host;
use lab::memory::Group;
use lab::process::Program;
use libtest_mimic::Failed;
use nix::sys::signal::Signal;

use crate::Test;
use crate::guard::{ended, guard};
use crate::hosts::{Lab, PATIENCE};
use crate::machine::{Machine, Measured, bounded};

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 1] = [(
    "a_daemon_that_runs_out_of_memory_leaves_no_address_behind",
    killed,
)];

/// The bound for an address whose daemon is gone.
const DEAD_MAN: Duration = Duration::from_millis(1300);
/// Of the group that the daemon is in.
const LIMIT: u64 = 8 << 20;
/// Takes itself in, and asks for more than there is.
const GREEDY: &str = "echo $$ > \"$0\"; exec dd if=/dev/zero of=/dev/null bs=64M count=1";

fn killed() -> Result<(), Failed> {
    bounded("the address stayed", DEAD_MAN, || {
        let lab = Lab::new("out_of_memory")?;
        // Before those in it, so that it goes after them.
        let group = Group::new("oom", LIMIT)?;
        let mut a = lab.start("a", &lab.config("a", 200, "")?)?;
        lab.held_by(&["a"])?;
        let _b = lab.start("b", &lab.config("b", 100, "")?)?;
        lab.state("b", "backup")?;
        let guard = guard(&lab)?;
        let machine = Machine::watch(&lab)?;
        group.take(a.pid())?;
        // The killer takes it first: whoever asks for the memory is next, and there is enough
        // then.
        fs::write(format!("/proc/{}/oom_score_adj", a.pid()), "1000")?;
        let door = group.door().display().to_string();
        let greedy = Program::new("greedy", "/bin/sh".as_ref(), lab.segment.logs());
        let greedy = greedy.args(["-c", GREEDY, &door]);
        let mut greedy = lab.segment.host("a")?.start(&greedy)?;
        let status = a.ended(PATIENCE)?;
        let dead = Instant::now();
        if status.signal() != Some(Signal::SIGKILL as i32) || group.killed()? == 0 {
            return Err(format!("it was not the killer that ended it: {status}").into());
        }
        lab.held_by(&["b"])?;
        let gone = lab.last(What::LetsGo).ok_or("no event")?;
        let held_up = machine.held_up();
        ended(guard)?;
        greedy.kill();
        let took = gone.saturating_duration_since(dead);
        Ok(Measured { took, held_up })
    })
}
