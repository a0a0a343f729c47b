//! The servers behind every proxy: a child of the bench, on cores of its own.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lab::load;
use lab::load::backend::{self, Manner};
use lab::load::usage;

use crate::peer::{
    self, APISERVER, Cores, MANNERS, SECURE, SECURE_SIZES, SERVERS, server,
};
use crate::row::Row;
use crate::secure;

/// Who goes first where servers and load share cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Answers {
    /// Whoever's turn it is.
    InTurn,
    /// The servers that answer: then what is measured is the proxy's doing.
    First,
}

impl Answers {
    /// As written on the command line.
    const fn word(self) -> &'static str {
        match self {
            Self::InTurn => "in-turn",
            Self::First => "first",
        }
    }
}

/// Threads of a server that speak TLS: as many as there may be clients.
const HANDSHAKES: usize = 48;

/// Two threads per server, on the cores that the process was given: one answers, the other
/// carries streams, so that no answer waits for a stream before it reaches the proxy.
pub(crate) fn serve(answers: Answers, certificates: Option<&Path>) -> io::Result<()> {
    usage::widen_table()?;
    let mut threads = Vec::new();
    for number in 0..SERVERS {
        if let Some(folder) = certificates {
            let config = secure::server(folder)?;
            let at = server(number, SECURE);
            load::secure::serve(at, &config, HANDSHAKES, SECURE_SIZES)?;
        }
        let ports = (0..MANNERS.len())
            .map(|manner| {
                let port = server(number, manner).port();
                (Ipv4Addr::UNSPECIFIED, port).into()
            })
            .zip(MANNERS);
        let (small, bulk): (Vec<_>, Vec<_>) =
            ports.partition(|(_, manner)| matches!(manner, Manner::Answers { .. }));
        threads.push(std::thread::spawn(move || {
            if answers == Answers::First {
                usage::go_first()?;
            }
            backend::serve(&small)
        }));
        threads.push(std::thread::spawn(move || backend::serve(&bulk)));
    }
    for thread in threads {
        thread
            .join()
            .map_err(|_| io::Error::other("a server panicked"))??;
    }
    Ok(())
}

/// The servers; dropping them ends them.
pub(crate) struct Servers(Child);

impl Servers {
    /// Starts those that this row asks, and waits until they serve.
    pub(crate) fn start(row: Row, cores: Cores, scratch: &Path) -> io::Result<Self> {
        let set = row.server_cores(cores).map(|core| core.to_string());
        let set = set.collect::<Vec<_>>().join(",");
        let answers = if row.counts_latencies() {
            Answers::First
        } else {
            Answers::InTurn
        };
        let own = std::env::current_exe()?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "taskset", "-c", &set])
            .arg(own)
            .args(["--serve", answers.word()])
            .stdin(Stdio::null());
        if row == Row::ConnectionsTls {
            secure::issue(scratch)?;
            command.arg("--certificates").arg(scratch);
        }
        let servers = Self(command.spawn()?);
        for number in 0..SERVERS {
            for &manner in row.manners().iter().filter(|m| **m != APISERVER) {
                peer::wait_for(server(number, manner))?;
            }
        }
        Ok(servers)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // It ends now, whatever it did before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
