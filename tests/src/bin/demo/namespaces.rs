//! Masters in network namespaces: hosts in milliseconds, with the lab's own processes on
//! configurations that it writes itself.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use lab::LabError;
use lab::control_plane::{ControlPlane, Kind};
use lab::daemons::{LbConfig, Track, VipConfig, api_lb, vip_daemon};
use lab::group::{Group, Role};
use lab::host::NamespaceHost;
use lab::segment::Segment;

use crate::masters::{Door, Masters, Raised};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
/// The masters with their VRRP priorities.
const HOSTS: [(&str, Ipv4Addr, u8); 3] = [
    ("m1", Ipv4Addr::new(10, 77, 0, 11), 200),
    ("m2", Ipv4Addr::new(10, 77, 0, 12), 150),
    ("m3", Ipv4Addr::new(10, 77, 0, 13), 100),
];
/// Where the requests come from.
const CLIENT: (&str, Ipv4Addr) = ("client", Ipv4Addr::new(10, 77, 0, 50));
/// Between two checks of an API server by api-lb; two failures in a row count.
const CHECK_INTERVAL: &str = "250ms";
/// More than the difference between the first and the last priority.
const WEIGHT: i32 = -120;

/// Makes the hosts and starts everything on them.
///
/// # Errors
/// The first thing that does not start.
pub(crate) fn raise(kind: Kind, logs: &Path) -> Result<Raised, LabError> {
    let hosts = HOSTS.map(|(name, at, _)| (name, at));
    let segment = Segment::new(logs, &[hosts.as_slice(), &[CLIENT]].concat())?;
    let client = segment.host(CLIENT.0)?.clone();
    let mut group = Group::new(segment, VIP, &hosts.map(|(name, _)| name))?;
    let masters = group.hosts();
    let folder = group.segment().files().to_owned();
    let plane = ControlPlane::new(kind, &folder, logs, VIP, &masters)?;
    assign(&mut group, &plane, &masters)?;
    for role in [Role::Etcd, Role::Apiserver, Role::ApiLb, Role::VipDaemon] {
        group.start_all(role)?;
    }
    let door = Door {
        vip: VIP,
        tls: plane.client_tls()?,
        kubeconfig: match kind {
            Kind::Real => Some(plane.admin_kubeconfig()),
            Kind::StandIn => None,
        },
        watch: plane.watch_path(),
    };
    Ok(Raised {
        masters: Masters::Namespaces(group),
        client,
        door,
        folder,
    })
}

fn assign(
    group: &mut Group,
    plane: &ControlPlane,
    masters: &[Arc<NamespaceHost>],
) -> Result<(), LabError> {
    let logs = group.segment().logs().to_owned();
    let servers = HOSTS.map(|(name, at, _)| (name.to_owned(), at)).to_vec();
    for (host, (name, at, priority)) in masters.iter().zip(HOSTS) {
        let lb = LbConfig {
            vip: VIP,
            servers: servers.clone(),
            ca_file: plane.ca_file(name),
            check_interval: CHECK_INTERVAL,
            socket: host.file("api-lb.sock"),
        };
        let vip = VipConfig {
            vip: VIP,
            source: at,
            peers: HOSTS
                .iter()
                .map(|m| m.1)
                .filter(|peer| *peer != at)
                .collect(),
            priority,
            version: 3,
            interval: "100ms".into(),
            preempt: true,
            tracked: Some(Track { weight: WEIGHT }),
            socket: host.file("vip-daemon.sock"),
        };
        let programs = [
            (Role::Etcd, plane.etcd(name)),
            (Role::Apiserver, plane.apiserver(name)?),
            (Role::ApiLb, api_lb(&lb, &host.file("api-lb.yaml"), &logs)?),
            (
                Role::VipDaemon,
                vip_daemon(&vip, &host.file("vip-daemon.yaml"), &logs)?,
            ),
        ];
        for (role, program) in programs {
            group.assign(name, role, program)?;
        }
    }
    Ok(())
}
