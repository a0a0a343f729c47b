//! `sternpost init`: a first description, from flags, and from questions for what they leave
//! open.

use std::fs::OpenOptions;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use daemon::exit;
use ipnet::IpNet;

use super::{SPEC, Sentence};
use crate::init::{self, Answers, Named, description};
use crate::spec;
use crate::versions::Version;

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Where it is written; a file that is there is left alone.
    #[arg(long, default_value = SPEC)]
    spec: PathBuf,
    /// What the cluster is called, in kubeconfigs and by who takes it down, such as prod.
    #[arg(long)]
    name: Option<String>,
    /// Which Kubernetes, with all three numbers.
    #[arg(long)]
    version: Option<String>,
    /// The virtual address with its prefix, such as 192.0.2.9/24; not for a single master.
    #[arg(long)]
    address: Option<IpNet>,
    /// A master, as NAME=ADDRESS; once for each.
    #[arg(long, value_name = "NAME=ADDRESS")]
    master: Vec<String>,
    /// A host for Pods, as NAME=ADDRESS; once for each.
    #[arg(long, value_name = "NAME=ADDRESS")]
    node: Vec<String>,
}

impl Init {
    /// A word about the file that was written.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let text = description(&self.answers()?);
        let name = self.spec.display();
        // What cannot be is not written: the questions are asked again with better flags.
        spec::parse(&name.to_string(), &text).map_err(|errors| errors.to_string())?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).open(&self.spec);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| {
            if error.kind() == ErrorKind::AlreadyExists {
                return format!(
                    "{name}: is there already; write --spec=ANOTHER, or remove it"
                );
            }
            format!("{name}: cannot be written: {error}")
        })?;
        let next = format!("{name}: written; next: sternpost preflight --spec {name}");
        Ok((next, exit::DONE))
    }

    fn answers(&self) -> Result<Answers, Sentence> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => ask(
                "--name",
                "What the cluster is called, unlike any other that you have, such as prod: ",
            )?,
        };
        let version = match &self.version {
            Some(text) => text
                .parse::<Version>()
                .map_err(|error| format!("--version {text:?} {error}"))?,
            None => init::version(),
        };
        let masters = if self.master.is_empty() {
            let asked = ask(
                "--master",
                "The masters, one or three or five, as NAME=ADDRESS with blanks between: ",
            )?;
            asked.split_whitespace().map(str::to_owned).collect()
        } else {
            self.master.clone()
        };
        let masters = hosts("--master", &masters)?;
        let address = match self.address {
            None if masters.len() > 1 => {
                let question = "An address of their subnet that no host has, with its prefix, such as 192.0.2.9/24: ";
                Some(read("--address", ask("--address", question)?.trim())?)
            }
            address => address,
        };
        Ok(Answers {
            name: name.trim().to_owned(),
            version,
            address,
            masters,
            nodes: hosts("--node", &self.node)?,
        })
    }
}

fn hosts(flag: &str, texts: &[String]) -> Result<Vec<Named>, Sentence> {
    texts.iter().map(|text| read(flag, text)).collect()
}

fn read<T: FromStr<Err: std::fmt::Display>>(
    flag: &str,
    text: &str,
) -> Result<T, Sentence> {
    text.parse()
        .map_err(|error| format!("{flag} {text:?}: {error}"))
}

/// Asks a person; who is none is told the flag.
fn ask(flag: &str, question: &str) -> Result<String, Sentence> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Err(format!("nobody is here to be asked; write {flag}"));
    }
    let mut line = String::new();
    let mut errors = io::stderr();
    let asked = errors
        .write_all(question.as_bytes())
        .and_then(|()| input.lock().read_line(&mut line));
    match asked {
        Ok(_) if !line.trim().is_empty() => Ok(line),
        Ok(_) => Err(format!("nothing was answered; write {flag}")),
        Err(error) => Err(format!("nothing could be asked: {error}; write {flag}")),
    }
}
