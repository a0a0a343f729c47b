//! A listening socket, open for as long as somebody holds it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{Config, Tcp};
use crate::pool::ListenerId;
use crate::tcp;

/// Asked of the kernel, which cuts it to `net.core.somaxconn`: how many clients may wait
/// to be accepted. Clients come in a storm when the address has moved.
const BACKLOG: i32 = 65_535;

/// A listening socket: non-blocking, shared by all workers.
#[derive(Debug)]
pub struct Listener {
    /// Names it within the process.
    pub id: ListenerId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Set non-blocking; its options (TCP_NODELAY, keepalive, TCP_USER_TIMEOUT) are
    /// inherited by what it accepts.
    pub socket: TcpListener,
}

/// Why an address cannot be listened on, with the way out.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("cannot listen on {0}: it is in use; `ss -ltnp 'sport = :{port}'` shows by whom, end that or write another bind", port = .0.port())]
    InUse(SocketAddr),
    /// The address cannot be had here, although IP_FREEBIND is set.
    #[error(
        "cannot listen on {0}: the address is not available on this host; write one that can be (an IPv6 address cannot where IPv6 is off)"
    )]
    NotAvailable(SocketAddr),
    /// A port below 1024 without the capability.
    #[error(
        "cannot listen on {0}: not permitted; ports below 1024 need CAP_NET_BIND_SERVICE, which the unit api-lb.service grants"
    )]
    NotPermitted(SocketAddr),
    /// No descriptor is left.
    #[error("cannot listen on {0}: too many open files; raise LimitNOFILE in the unit")]
    NoDescriptors(SocketAddr),
    /// Anything else the kernel says.
    #[error("cannot listen on {address}")]
    System {
        /// Where.
        address: SocketAddr,
        /// What it said.
        source: io::Error,
    },
}

impl Listener {
    /// Opens a listening socket, whether or not the address is on this host.
    ///
    /// # Errors
    /// The reason, with the way out.
    pub fn open(
        id: ListenerId,
        address: SocketAddr,
        tcp: Tcp,
    ) -> Result<Self, BindError> {
        listen(address, tcp)
            .map(|socket| Self {
                id,
                address,
                socket,
            })
            .map_err(|error| BindError::new(address, error))
    }

    /// Listens no longer, whoever still holds it: a session keeps its frontend, and thus
    /// this, for as long as it lasts. Who waits is reset; accept them first.
    pub fn close(&self) {
        // Fails only when it is closed already: all workers do this, and one is the first.
        let _ = socket2::SockRef::from(&self.socket).shutdown(std::net::Shutdown::Both);
    }

    /// Sets the options that the connections accepted from here on inherit.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_options(&self, options: Tcp) -> io::Result<()> {
        tcp::set_options(&socket2::SockRef::from(&self.socket), options)
    }
}

/// The listening sockets of a configuration: those that are open already and stay, and new
/// ones for the other binds. Nothing of `open` is touched, so that a failure changes
/// nothing; those that are in no configuration any more close with their last holder.
///
/// `last` is the last id given so far: none is given twice, since a worker that is told late
/// would take a new socket for the one it knows.
///
/// # Errors
/// The first bind that cannot be opened.
pub fn open_all(
    config: &Config,
    open: &[Arc<Listener>],
    last: &mut ListenerId,
) -> Result<Vec<Arc<Listener>>, BindError> {
    let binds = config
        .frontends
        .iter()
        .flat_map(|f| f.binds.iter().map(|&bind| (bind, f.tcp)));
    binds
        .map(|(bind, tcp)| {
            if let Some(listener) = open.iter().find(|listener| listener.address == bind)
            {
                return Ok(Arc::clone(listener));
            }
            last.0 += 1;
            Listener::open(*last, bind, tcp).map(Arc::new)
        })
        .collect()
}

fn listen(address: SocketAddr, options: Tcp) -> io::Result<TcpListener> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    tcp::set_options(&socket2::SockRef::from(&socket), options)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl BindError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let kind = source.kind();
        if kind == Kind::AddrInUse {
            Self::InUse(address)
        } else if matches!(kind, Kind::AddrNotAvailable | Kind::Unsupported)
            || is_family_missing(&source)
        {
            Self::NotAvailable(address)
        } else if kind == Kind::PermissionDenied {
            Self::NotPermitted(address)
        } else if tcp::is_shortage(&source) {
            Self::NoDescriptors(address)
        } else {
            Self::System { address, source }
        }
    }
}

fn is_family_missing(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    const TCP: Tcp = Tcp {
        keepalive: None,
        user_timeout: None,
    };

    fn open(address: &str) -> Result<Listener, BindError> {
        Listener::open(ListenerId(0), address.parse().unwrap(), TCP)
    }

    #[test]
    fn listens_on_an_address_that_is_not_here() {
        assert!(open("192.0.2.1:0").is_ok());
        assert!(open("[2001:db8::1]:0").is_ok());
    }

    #[test]
    fn an_ipv6_wildcard_leaves_ipv4_alone() {
        let six = open("[::]:0").unwrap();
        let port = six.socket.local_addr().unwrap().port();
        assert!(open(&format!("0.0.0.0:{port}")).is_ok());
    }

    #[test]
    fn no_id_is_given_twice() {
        let text = include_str!("../tests/configs/smallest.yaml");
        let mut config = crate::config::parse("smallest", text).unwrap();
        let mut last = ListenerId(0);
        let mut open_anew = || {
            config.frontends[0].binds = vec!["127.0.0.1:0".parse().unwrap()];
            open_all(&config, &[], &mut last).unwrap()[0].id
        };
        // Each is closed before the next is opened.
        let given = [open_anew(), open_anew(), open_anew()];
        assert_eq!(given, [1, 2, 3].map(ListenerId));
    }

    #[test]
    fn says_the_way_out_when_in_use() {
        let first = open("127.0.0.1:0").unwrap();
        let address = first.socket.local_addr().unwrap();
        let error = open(&address.to_string()).unwrap_err();
        let line = error.to_string();
        assert!(
            line.contains("in use") && line.contains(&format!(":{}'", address.port())),
            "{line}"
        );
    }

    #[test]
    fn a_closed_listener_frees_its_port_whoever_holds_it() {
        let first = open("127.0.0.1:0").unwrap();
        let address = first.socket.local_addr().unwrap();
        first.close();
        assert!(std::net::TcpStream::connect(address).is_err());
        assert!(open(&address.to_string()).is_ok());
        assert_eq!(
            first.socket.accept().unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn each_refusal_of_the_kernel_has_its_sentence() {
        let address: SocketAddr = "192.0.2.1:443".parse().unwrap();
        for (code, part) in [
            (Errno::EADDRINUSE, "in use; `ss -ltnp 'sport = :443'`"),
            (Errno::EADDRNOTAVAIL, "not available on this host"),
            (Errno::EAFNOSUPPORT, "not available on this host"),
            (Errno::EACCES, "CAP_NET_BIND_SERVICE"),
            (Errno::EPERM, "CAP_NET_BIND_SERVICE"),
            (Errno::EMFILE, "LimitNOFILE"),
            (Errno::EINVAL, "cannot listen on 192.0.2.1:443"),
        ] {
            let error =
                BindError::new(address, io::Error::from_raw_os_error(code as i32));
            assert!(error.to_string().contains(part), "{code}: {error}");
        }
    }
}
