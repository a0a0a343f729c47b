//! From the file to what the program runs on. Every error is kept, so that one run of
//! `check` names them all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use config::{Document, Errors, KeyPath, Period, Source};
use policy::{
    Inventory, Master, Network, Pattern, Quota, Settings, Signer, dns_name, is_node_name,
};

use super::{Config, file};
use crate::inventory;
use crate::tokens::Duties;

const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9020);
const SOCKET: &str = "/run/sternpost/bootstrap-signer.sock";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The API's `expirationSeconds` is an int32 from 600 on; ten years are within it.
const EXPIRATION: RangeInclusive<Duration> =
    RangeInclusive::new(Duration::from_secs(600), Duration::from_secs(3650 * 86_400));

/// An approval may take 5 s of it; beyond an hour an operator would have to help.
const NAME_HOLD: RangeInclusive<Duration> =
    RangeInclusive::new(Duration::from_secs(30), HOUR);

/// Converts, or says everything that is wrong.
pub(super) fn convert(document: &Document<file::File>) -> Result<Config, Errors> {
    let mut reader = Reader {
        source: &document.source,
        errors: Errors::new(),
        warnings: Vec::new(),
    };
    let file = &document.file;
    let mut settings = reader.settings(file);
    let inventory = match &file.inventory {
        Some(written) => reader.inventory(written, &mut settings),
        None => None,
    };
    let signing = reader.signing(&file.signing);
    let Reader {
        errors, warnings, ..
    } = reader;
    errors.or(Config {
        settings,
        inventory,
        mode: file.mode,
        signing,
        tokens: Duties {
            cluster_info: file.tokens.cluster_info,
            expired: file.tokens.expired,
        },
        kubeconfig: file.kubernetes.kubeconfig.clone(),
        admin: file.admin.address.map_or(ADMIN, |address| address.0),
        socket: file.socket.clone().unwrap_or_else(|| PathBuf::from(SOCKET)),
        log: file.log.clone(),
        warnings,
    })
}

pub(super) struct Reader<'a> {
    source: &'a Source,
    errors: Errors,
    pub(super) warnings: Vec<String>,
}

impl Reader<'_> {
    fn settings(&mut self, file: &file::File) -> Settings {
        let root = KeyPath::root();
        let mut settings = Settings::default();
        self.signers(file, &mut settings);
        self.cluster(&file.cluster, &root.key("cluster"), &mut settings);
        let at = root.key("controlPlane");
        self.control_plane(&file.control_plane, &at, &mut settings);
        self.bootstrap(&file.bootstrap, &root.key("bootstrap"), &mut settings);
        self.reserved(&file.reserved, &root.key("reserved"), &mut settings);
        self.allow(&file.allow, &root.key("allow"), &mut settings);
        self.limits(&file.limits, &root.key("limits"), &mut settings);
        self.quota(&file.quota, &root.key("quota"), &mut settings.quota);
        settings
    }

    fn signers(&mut self, file: &file::File, settings: &mut Settings) {
        let Some(written) = &file.signers else { return };
        let at = KeyPath::root().key("signers");
        if written.is_empty() {
            self.refuse(&at, "is empty; write client, serving or both");
        }
        let signers = written.iter().map(|signer| match signer {
            file::Signer::Client => Signer::Client,
            file::Signer::Serving => Signer::Serving,
        });
        settings.signers = signers.collect();
    }

    fn cluster(&mut self, file: &file::Cluster, at: &KeyPath, settings: &mut Settings) {
        let networks = at.key("serviceNetworks");
        if file.service_networks.is_empty() {
            let why = "is empty; without it the API's own address is anybody's";
            self.refuse(&networks, why);
        }
        settings.service_networks = self.networks(&file.service_networks, &networks);
        if let Some(domain) = &file.domain {
            let named = self.name(domain, &at.key("domain"));
            settings.cluster_domain = named.unwrap_or_default();
        }
    }

    fn control_plane(
        &mut self,
        file: &file::ControlPlane,
        at: &KeyPath,
        settings: &mut Settings,
    ) {
        if file.endpoints.is_empty() {
            self.warnings.push(
                "controlPlane.endpoints is empty: a node may claim the address of the API"
                    .to_owned(),
            );
        }
        for (place, text) in file.endpoints.iter().enumerate() {
            match text.parse::<IpAddr>() {
                Ok(address) => settings.reserved_networks.push(address.into()),
                Err(_) => {
                    let named = self.name(text, &at.key("endpoints").index(place));
                    settings.reserved_names.extend(named);
                }
            }
        }
        settings.masters = self.masters(&file.nodes, &at.key("nodes"));
        settings.control_plane_names = self.patterns(&file.names, &at.key("names"));
    }

    fn masters(
        &mut self,
        nodes: &[file::ControlPlaneNode],
        at: &KeyPath,
    ) -> BTreeMap<String, Master> {
        let mut masters = BTreeMap::new();
        for (place, node) in nodes.iter().enumerate() {
            let at = at.index(place);
            if !is_node_name(&node.name) {
                self.refuse(&at.key("name"), NODE_NAME);
            }
            let addresses = self.addresses(&node.addresses, &at.key("addresses"));
            if masters
                .insert(node.name.clone(), Master { addresses })
                .is_some()
            {
                self.refuse(&at.key("name"), "stands twice; names are unique");
            }
        }
        masters
    }

    fn bootstrap(
        &mut self,
        file: &file::Bootstrap,
        at: &KeyPath,
        settings: &mut Settings,
    ) {
        if let Some(groups) = &file.groups {
            for (place, group) in groups.iter().enumerate() {
                if EVERYBODY.contains(&group.as_str()) {
                    let why = "is everybody; name the group of your bootstrap identities";
                    self.refuse(&at.key("groups").index(place), why);
                }
            }
            settings.bootstrap_groups = groups.iter().cloned().collect();
        }
        for (place, user) in file.users.iter().enumerate() {
            if user == "system:anonymous" {
                let why = "is everybody; name the user of your bootstrap identities";
                self.refuse(&at.key("users").index(place), why);
            }
        }
        settings.bootstrap_users = file.users.iter().cloned().collect();
        let grace = self.time(file.node_grace, &at.key("nodeGrace"), MINUTE..=DAY);
        settings.node_grace = grace.unwrap_or(settings.node_grace);
        let hold = self.time(file.name_hold, &at.key("nameHold"), NAME_HOLD);
        settings.name_hold = hold.unwrap_or(settings.name_hold);
        let key = at.key("reprovisionAfter");
        settings.reprovision_after =
            self.time(file.reprovision_after, &key, MINUTE..=365 * DAY);
        let grace = settings.node_grace;
        if settings
            .reprovision_after
            .is_some_and(|after| after < grace)
        {
            let why = format!("is shorter than nodeGrace ({})", Period(grace));
            self.refuse(&key, why);
        }
    }

    fn reserved(&mut self, file: &file::Reserved, at: &KeyPath, settings: &mut Settings) {
        let names = at.key("names");
        for (place, text) in file.names.iter().enumerate() {
            let named = self.name(text, &names.index(place));
            settings.reserved_names.extend(named);
        }
        let networks = self.networks(&file.networks, &at.key("networks"));
        settings.reserved_networks.extend(networks);
    }

    fn allow(&mut self, file: &file::Allow, at: &KeyPath, settings: &mut Settings) {
        settings.allowed_node_names =
            self.patterns(&file.node_names, &at.key("nodeNames"));
        settings.allowed_names = self.patterns(&file.names, &at.key("names"));
        settings.allowed_networks = self.networks(&file.networks, &at.key("networks"));
    }

    fn limits(&mut self, file: &file::Limits, at: &KeyPath, settings: &mut Settings) {
        let expiration = self.time(file.expiration, &at.key("expiration"), EXPIRATION);
        settings.max_expiration = expiration.unwrap_or(settings.max_expiration);
        let names = self.number(file.names, &at.key("names"), 1..=256);
        settings.max_sans = names.unwrap_or(settings.max_sans);
        let wait = self.time(
            file.address_wait,
            &at.key("addressWait"),
            Duration::ZERO..=HOUR,
        );
        settings.address_wait = wait.unwrap_or(settings.address_wait);
    }

    fn quota(&mut self, file: &file::Quota, at: &KeyPath, quota: &mut Quota) {
        let requests = self.number(file.requests, &at.key("requests"), 1..=10_000);
        quota.requests = requests.unwrap_or(quota.requests);
        let window = self.time(file.window, &at.key("window"), SECOND..=DAY);
        quota.window = window.unwrap_or(quota.window);
    }

    fn inventory(
        &mut self,
        file: &file::Inventory,
        settings: &mut Settings,
    ) -> Option<Inventory> {
        settings.source = match file.usage {
            file::Use::Instead => policy::Source::Inventory,
            file::Use::Both => policy::Source::Both,
            file::Use::Either => policy::Source::Either,
        };
        if !file.file.is_file() {
            let at = KeyPath::root().key("inventory").key("file");
            self.refuse(&at, "is no file");
            return None;
        }
        match inventory::read(&file.file) {
            Ok(inventory) => Some(inventory),
            Err(errors) => {
                self.errors.extend(errors);
                None
            }
        }
    }

    fn networks(&mut self, texts: &[String], at: &KeyPath) -> Vec<Network> {
        let mut networks = Vec::new();
        for (place, text) in texts.iter().enumerate() {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(error) => self.refuse(&at.index(place), format!("{error}")),
            }
        }
        networks
    }

    fn addresses(&mut self, texts: &[String], at: &KeyPath) -> BTreeSet<IpAddr> {
        let mut addresses = BTreeSet::new();
        for (place, text) in texts.iter().enumerate() {
            match text.parse::<IpAddr>() {
                Ok(address) => _ = addresses.insert(address.to_canonical()),
                Err(_) => self.refuse(&at.index(place), "is not an IP address"),
            }
        }
        addresses
    }

    fn patterns(&mut self, texts: &[String], at: &KeyPath) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for (place, text) in texts.iter().enumerate() {
            match Pattern::new(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.refuse(&at.index(place), error.to_string()),
            }
        }
        patterns
    }

    fn name(&mut self, text: &str, at: &KeyPath) -> Option<String> {
        let name = dns_name(text);
        if name.is_none() {
            self.refuse(at, "is not a DNS name");
        }
        name
    }

    pub(super) fn time(
        &mut self,
        written: Option<Period>,
        at: &KeyPath,
        allowed: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let time = written?.0;
        if !allowed.contains(&time) {
            let (low, high) = (Period(*allowed.start()), Period(*allowed.end()));
            self.refuse(at, format!("is out of range; allowed: {low} to {high}"));
        }
        Some(time)
    }

    fn number(
        &mut self,
        written: Option<u32>,
        at: &KeyPath,
        allowed: RangeInclusive<u32>,
    ) -> Option<usize> {
        let number = written?;
        if !allowed.contains(&number) {
            let (low, high) = (*allowed.start(), *allowed.end());
            self.refuse(at, format!("is out of range; allowed: {low} to {high}"));
        }
        usize::try_from(number).ok()
    }

    pub(super) fn refuse(&mut self, at: &KeyPath, problem: impl Into<String>) {
        self.errors.push(self.source.error(at, problem));
    }
}

const NODE_NAME: &str = "is not a node's name; allowed: a DNS subdomain in lower case, \
                         at most 253 characters";
/// Groups that the API server puts everybody in.
const EVERYBODY: [&str; 3] = [
    "system:authenticated",
    "system:unauthenticated",
    "system:serviceaccounts",
];
