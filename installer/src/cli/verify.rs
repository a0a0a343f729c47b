//! `sternpost verify`: whether the cluster serves, a line a check.

use std::time::{Instant, SystemTime};

use clap::Args;
use daemon::exit;

use super::Sentence;
use super::reach::{self, Reach};
use crate::spec::{Cluster, Host, Role};
use crate::transport::Piped;
use crate::verify::{Check, Verdict};

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    reach: Reach,
}

impl Verify {
    /// A line a check, asked on every master; 1 when one of them is not so.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        let masters = |host: &Host| host.is(Role::ControlPlane);
        let ask = |host: &Host, way: &mut Piped| Ok(lines(&cluster, host, way));
        let mut text = String::new();
        let mut code = exit::DONE;
        for (host, answer) in self.reach.each(&cluster, masters, ask) {
            match answer {
                Ok((lines, true)) => text.push_str(&lines),
                Ok((lines, false)) => {
                    code = exit::FAILED;
                    text.push_str(&lines);
                }
                Err(error) => {
                    code = exit::FAILED;
                    text.push_str(&format!("{host}: it does not answer: {error}\n"));
                }
            }
        }
        Ok((text.trim_end().to_owned(), code))
    }
}

/// What a master says of each check, and whether all of it is good.
fn lines(cluster: &Cluster, host: &Host, way: &mut Piped) -> (String, bool) {
    let mut all = (String::new(), true);
    for check in Check::all(cluster) {
        let begun = Instant::now();
        let verdict = match check.question(cluster, host) {
            Err(why) => Verdict::Skipped(why),
            Ok(question) => match reach::told(way, question) {
                Ok(said) => check.judge(cluster, &said, SystemTime::now()),
                Err(error) => Verdict::Bad(error),
            },
        };
        let took = begun.elapsed().as_millis();
        let said = match &verdict {
            Verdict::Good(said) => format!("good: {said}"),
            Verdict::Bad(said) => format!("BAD: {said}"),
            Verdict::Skipped(why) => format!("skipped: {why}"),
        };
        all.1 &= !matches!(verdict, Verdict::Bad(_));
        all.0.push_str(&format!(
            "{}  {:<34} {took:>5} ms  {said}\n",
            host.name,
            check.name()
        ));
    }
    all
}
