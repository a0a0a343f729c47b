//! Three real masters that serve, without a balancer and without an address: etcd and API
//! servers on hosts of one segment, and a host for their clients.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{Question, once};
use crate::command::run;
use crate::control_plane::{ControlPlane, Kind, PORT};
use crate::error::LabError;
use crate::host::{Host, NamespaceHost};
use crate::process::Process;
use crate::segment::Segment;
use crate::{binaries, wait};

/// The address that a balancer in front of them is to have.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const HOSTS: [(&str, Ipv4Addr); 4] = [
    ("m1", Ipv4Addr::new(10, 77, 0, 11)),
    ("m2", Ipv4Addr::new(10, 77, 0, 12)),
    ("m3", Ipv4Addr::new(10, 77, 0, 13)),
    ("client", Ipv4Addr::new(10, 77, 0, 50)),
];
/// How long an API server may take to start.
pub const STARTED: Duration = Duration::from_secs(180);
/// How long a member of etcd may wait for its peers.
const JOINED: Duration = Duration::from_secs(90);

/// Three masters that serve. The fields end in their order: an API server whose etcd has gone
/// does not end.
#[derive(Debug)]
pub struct Stand {
    /// The API servers, in the order of the masters.
    pub apiservers: Vec<Process>,
    etcd: Vec<Process>,
    /// Their certificates and programs.
    pub plane: ControlPlane,
    /// Their hosts.
    pub segment: Segment,
}

impl Stand {
    /// Starts all of it and waits until every API server is ready; logs go to the lab's folder
    /// `name`.
    ///
    /// # Errors
    /// The first thing that does not start.
    pub fn new(name: &str) -> Result<Self, LabError> {
        let logs = binaries::logs(name);
        let segment = Segment::new(&logs, &HOSTS)?;
        let hosts = masters(&segment);
        let plane = ControlPlane::new(Kind::Real, segment.files(), &logs, VIP, hosts)?;
        let etcd = hosts
            .iter()
            .map(|host| host.start(&plane.etcd(host.name())));
        let etcd = etcd.collect::<Result<Vec<_>, _>>()?;
        let mut made = Self {
            apiservers: Vec::new(),
            etcd,
            plane,
            segment,
        };
        made.etcd
            .iter_mut()
            .try_for_each(|member| member.ready(JOINED))?;
        for host in masters(&made.segment) {
            let program = made.plane.apiserver(host.name())?;
            made.apiservers.push(host.start(&program)?);
        }
        for host in made.masters() {
            made.answers(host.address(), STARTED)?;
        }
        made.housed()?;
        Ok(made)
    }

    /// The masters' hosts.
    #[must_use]
    pub fn masters(&self) -> &[Arc<NamespaceHost>] {
        masters(&self.segment)
    }

    /// Where clients are.
    ///
    /// # Errors
    /// Never, of a stand that was made.
    pub fn client(&self) -> Result<&Arc<NamespaceHost>, LabError> {
        self.segment.host("client")
    }

    /// The first master's host, given [`VIP`] by hand.
    ///
    /// # Errors
    /// When it has the address already.
    pub fn owner(&self) -> Result<&Arc<NamespaceHost>, LabError> {
        let owner = self.segment.host("m1")?;
        let address = format!("{VIP}/24");
        owner.run(move || run("ip", &["address", "add", &address, "dev", "eth0"]))??;
        Ok(owner)
    }

    /// A question through the address.
    ///
    /// # Errors
    /// When the client's certificate cannot be read back.
    pub fn question(&self, path: &str) -> Result<Question, LabError> {
        self.question_at(VIP, path)
    }

    /// A question to one host.
    ///
    /// # Errors
    /// When the client's certificate cannot be read back.
    pub fn question_at(&self, at: Ipv4Addr, path: &str) -> Result<Question, LabError> {
        Ok(Question {
            target: (at, PORT).into(),
            tls: self.plane.client_tls()?,
            path: path.into(),
        })
    }

    /// Waits for the first good answer to `/readyz`.
    ///
    /// # Errors
    /// When there is none `within` that time.
    pub fn answers(&self, at: Ipv4Addr, within: Duration) -> Result<(), LabError> {
        self.asked(at, "/readyz", within)
    }

    /// Waits for the namespace that tests write to: an API server makes it some time after it
    /// has called itself ready.
    fn housed(&self) -> Result<(), LabError> {
        let host = self.segment.host("m1")?;
        self.asked(host.address(), "/api/v1/namespaces/default", STARTED)
    }

    fn asked(&self, at: Ipv4Addr, path: &str, within: Duration) -> Result<(), LabError> {
        let question = self.question_at(at, path)?;
        let client = self.client()?;
        let mut last = String::new();
        let answered = || match once(client, &question) {
            Ok(Ok(())) => Some(()),
            Ok(Err(why)) => {
                last = why;
                None
            }
            Err(error) => {
                last = error.to_string();
                None
            }
        };
        let answered = wait::until(path, within, answered);
        answered.map_err(|_| LabError::Late {
            what: format!("a good answer of {at} to {path} (the last: {last})"),
            within,
        })
    }
}

/// All hosts but the last, which is the client's.
fn masters(segment: &Segment) -> &[Arc<NamespaceHost>] {
    segment
        .hosts()
        .split_last()
        .map_or(&[], |(_, masters)| masters)
}
