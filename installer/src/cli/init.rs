//! `sternpost init`: a first description, from flags, and from questions for what they leave
//! open.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use daemon::exit;
use ipnet::IpNet;

use super::person::Person;
use super::{SPEC, Sentence};
use crate::init::{self, Answers, Besides, Named, description};
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
    /// Whether masters are nodes as well, as kubeadm's are: webhooks and metrics-server in Pods
    /// need it. Without a value: yes.
    #[arg(
        long,
        value_name = "yes|no",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "yes"
    )]
    masters_are_nodes: Option<String>,
    /// Whom ssh logs in as; empty: whom its own configuration says.
    #[arg(long, value_name = "USER")]
    ssh_user: Option<String>,
}

impl Init {
    /// A word about the file that was written.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let (input, mut output) = (io::stdin(), io::stderr());
        let mut lines = input.is_terminal().then(|| input.lock());
        let mut person = match &mut lines {
            Some(lines) => Person::at(lines, &mut output),
            None => Person::nobody(),
        };
        let text = description(&self.answers(&mut person)?);
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

    fn answers(&self, person: &mut Person<'_>) -> Result<Answers, Sentence> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => person.must_say(
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
        let masters = match self.master.is_empty() {
            true => words(&person.must_say(
                "--master",
                "The masters, one or three or five, as NAME=ADDRESS with blanks between: ",
            )?),
            false => self.master.clone(),
        };
        let masters = hosts("--master", &masters)?;
        let address = match self.address {
            None if masters.len() > 1 => {
                let question = "An address of their subnet that no host has, with its prefix, such as 192.0.2.9/24: ";
                Some(read("--address", &person.must_say("--address", question)?)?)
            }
            address => address,
        };
        let nodes = match self.node.is_empty() {
            true => words(&person.may_say(
                "--node",
                "The hosts for Pods, in the same way (empty: none yet): ",
            )?),
            false => self.node.clone(),
        };
        let besides = self.besides(person)?;
        let user = match &self.ssh_user {
            Some(user) => user.clone(),
            None => person.may_say(
                "--ssh-user",
                "Whom ssh logs in as on them (empty: whom its own configuration says): ",
            )?,
        };
        Ok(Answers {
            name: name.trim().to_owned(),
            version,
            address,
            masters,
            besides,
            nodes: hosts("--node", &nodes)?,
            user: (!user.trim().is_empty()).then(|| user.trim().to_owned()),
        })
    }

    /// What masters are besides.
    fn besides(&self, person: &mut Person<'_>) -> Result<Besides, Sentence> {
        let flag = "--masters-are-nodes";
        if let Some(text) = &self.masters_are_nodes {
            return read(flag, text);
        }
        let question = "Whether masters are nodes as well, as kubeadm's are, so that webhooks and \
                        metrics-server in Pods are reached, yes or no (empty: no): ";
        match person.may_say(flag, question)?.as_str() {
            "" => Ok(Besides::Nothing),
            text => read(flag, text),
        }
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        init: Init,
    }

    /// The answers of who says `said` where the command has `flags`, and what was asked.
    fn asked(flags: &[&str], said: &str) -> (Result<Answers, Sentence>, String) {
        let words = ["init"].iter().chain(flags);
        let init = Command::parse_from(words).init;
        let (mut input, mut output) = (said.as_bytes(), Vec::new());
        let answers = init.answers(&mut Person::at(&mut input, &mut output));
        (answers, String::from_utf8(output).unwrap())
    }

    fn named(texts: &[&str]) -> Vec<Named> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_person_is_asked_for_what_flags_leave_open() {
        let said = "prod\nm1=192.0.2.11 m2=192.0.2.12 m3=192.0.2.13\n192.0.2.9/24\n\
                    n1=192.0.2.21 n2=192.0.2.22\nyes\nubuntu\n";
        let (answers, questions) = asked(&[], said);
        let answers = answers.unwrap();
        assert_eq!(answers.name, "prod");
        assert_eq!(answers.masters.len(), 3);
        assert_eq!(answers.address, Some("192.0.2.9/24".parse().unwrap()));
        assert_eq!(answers.nodes, named(&["n1=192.0.2.21", "n2=192.0.2.22"]));
        assert_eq!(answers.besides, Besides::Nodes);
        assert_eq!(answers.user.as_deref(), Some("ubuntu"));
        assert_eq!(questions.matches(": ").count(), 9, "{questions}");
        let flags = [
            "--name=prod",
            "--master=m1=192.0.2.11",
            "--node=n1=192.0.2.21",
            "--masters-are-nodes=no",
            "--ssh-user=ubuntu",
        ];
        let (answers, questions) = asked(&flags, "");
        let answers = answers.unwrap();
        assert_eq!(answers.nodes, named(&["n1=192.0.2.21"]));
        assert_eq!(answers.besides, Besides::Nothing);
        assert_eq!(answers.user.as_deref(), Some("ubuntu"));
        assert_eq!(questions, "");
    }

    #[test]
    fn masters_are_nodes_where_that_is_said() {
        for (flag, said, wanted) in [
            (None, "\n", Ok(Besides::Nothing)),
            (None, "y\n", Ok(Besides::Nodes)),
            (
                None,
                "perhaps\n",
                Err("--masters-are-nodes \"perhaps\": is neither yes nor no"),
            ),
            (Some("--masters-are-nodes"), "", Ok(Besides::Nodes)),
            (Some("--masters-are-nodes=no"), "", Ok(Besides::Nothing)),
        ] {
            let known = [
                "--name=prod",
                "--master=m1=192.0.2.11",
                "--node=n1=192.0.2.21",
                "--ssh-user=",
            ];
            let flags: Vec<_> = known.into_iter().chain(flag).collect();
            let (answers, _) = asked(&flags, said);
            let besides = answers.map(|answers| answers.besides);
            assert_eq!(besides, wanted.map_err(str::to_owned), "{flag:?} {said:?}");
        }
    }

    #[test]
    fn who_asks_nobody_gets_masters_alone() {
        let words = ["init", "--name=prod", "--master=m1=192.0.2.11"];
        let init = Command::parse_from(words).init;
        let answers = init.answers(&mut Person::nobody()).unwrap();
        assert_eq!(answers.besides, Besides::Nothing);
    }

    #[test]
    fn nodes_and_the_user_may_be_left_open_and_masters_may_not() {
        let (answers, _) = asked(&["--name=prod"], "m1=192.0.2.11\n\n\n \n");
        let answers = answers.unwrap();
        assert_eq!((answers.nodes, answers.user), (Vec::new(), None));
        let (answers, _) = asked(&["--name=prod"], "\n");
        assert_eq!(
            answers,
            Err("nothing was answered; write --master".to_owned())
        );
        let (answers, _) = asked(
            &["--name=prod", "--ssh-user="],
            "m1=192.0.2.11\nn1=192.0.2\n",
        );
        let said = answers.unwrap_err();
        assert!(said.starts_with("--node \"n1=192.0.2\": "), "{said}");
    }
}
