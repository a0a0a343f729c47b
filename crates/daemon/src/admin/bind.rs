//! The listeners of the admin server.

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Type};
use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::admin::tls::{Certificate, CertificateError};

/// Who may send commands: root, the daemon's user and its group.
const MODE: u32 = 0o660;

/// Connections the kernel holds until they are accepted.
const BACKLOG: i32 = 64;

/// Where the admin server listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    /// Read-only listeners.
    pub tcp: Vec<SocketAddr>,
    /// The socket that takes commands too, mode 0660. A missing directory is made.
    pub socket: Option<PathBuf>,
    /// A listener with TLS.
    pub tls: Option<Secure>,
    /// Who may give commands from a browser, over TLS or from this host; nobody, when
    /// absent. See [`crate::admin::password`].
    pub passwords: Option<PathBuf>,
}

/// A listener with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secure {
    /// Where it listens.
    pub address: SocketAddr,
    /// The certificate with its chain, PEM; read again when it changes.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// Bound listeners; [`Admin::serve`] answers on them. Dropped, it removes its socket.
#[derive(Debug)]
pub struct Admin {
    tcp: Vec<TcpListener>,
    socket: Option<Socket>,
    tls: Option<(TcpListener, Arc<Certificate>)>,
    passwords: Option<PathBuf>,
}

/// What an [`Admin`] is made of.
pub(crate) struct Parts {
    pub(crate) tcp: Vec<TcpListener>,
    pub(crate) socket: Option<Socket>,
    pub(crate) tls: Option<(TcpListener, Arc<Certificate>)>,
    pub(crate) passwords: Option<PathBuf>,
}

/// Why a listener could not be had, with the way out.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens on the address.
    #[error(
        "{0} is taken by another process; stop it (`ss -ltnp` names it) or set another admin address"
    )]
    Taken(SocketAddr),
    /// The address is not on this machine.
    #[error(
        "{0} is no address of this machine; set an admin address that is (`ip address` lists them)"
    )]
    NotHere(SocketAddr),
    /// A port below 1024 without the capability.
    #[error(
        "cannot listen on {0}: not permitted; set an admin address with a port from 1024 on"
    )]
    NotPermitted(SocketAddr),
    /// No descriptor is left.
    #[error("cannot listen on {0}: too many open files; raise LimitNOFILE in the unit")]
    NoDescriptors(String),
    /// A TCP address could not be bound for another reason.
    #[error("cannot listen on {0}")]
    Tcp(SocketAddr, #[source] io::Error),
    /// A daemon answers on the socket.
    #[error("another daemon listens on {}; stop it or set another admin socket", .0.display())]
    Running(PathBuf),
    /// What stands at the socket's path is no socket.
    #[error("{} is there and is no socket; remove it or set another admin socket", .0.display())]
    NoSocket(PathBuf),
    /// The path does not fit into a socket address.
    #[error("the path {} is too long for a socket; 107 bytes fit", .0.display())]
    TooLong(PathBuf),
    /// The socket's directory could not be made.
    #[error("cannot make the directory {}; make it so that the daemon's user may write there, or set another admin socket", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// The certificate cannot be used.
    #[error("the admin listener has no certificate")]
    Certificate(#[from] CertificateError),
    /// The socket could not be bound for another reason.
    #[error("cannot listen on {}; the daemon's user must be allowed to write into its directory", .0.display())]
    Socket(PathBuf, #[source] io::Error),
}

impl Admin {
    /// Binds all of `listen`, or nothing.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(listen: &Listen) -> Result<Self, BindError> {
        let tcp = listen.tcp.iter().map(|address| bind_tcp(*address));
        let tcp = tcp.collect::<Result<_, _>>()?;
        let tls = listen.tls.as_ref().map(bind_tls).transpose()?;
        let socket = listen.socket.as_deref().map(Socket::bind).transpose()?;
        let passwords = listen.passwords.clone();
        Ok(Self {
            tcp,
            socket,
            tls,
            passwords,
        })
    }

    /// The TCP addresses bound, with the ports the kernel chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    /// The address of the listener with TLS, with the port the kernel chose.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls
            .as_ref()
            .and_then(|(listener, _)| listener.local_addr().ok())
    }

    pub(crate) fn into_parts(self) -> Parts {
        Parts {
            tcp: self.tcp,
            socket: self.socket,
            tls: self.tls,
            passwords: self.passwords,
        }
    }
}

fn bind_tls(secure: &Secure) -> Result<(TcpListener, Arc<Certificate>), BindError> {
    let certificate = Certificate::read(&secure.certificate, &secure.key)?;
    Ok((bind_tcp(secure.address)?, Arc::new(certificate)))
}

fn bind_tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    listen_tcp(address).map_err(|error| {
        match error
            .raw_os_error()
            .map(rustix::io::Errno::from_raw_os_error)
        {
            Some(rustix::io::Errno::ADDRINUSE) => BindError::Taken(address),
            Some(rustix::io::Errno::ADDRNOTAVAIL) => BindError::NotHere(address),
            Some(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => {
                BindError::NotPermitted(address)
            }
            Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                BindError::NoDescriptors(address.to_string())
            }
            Some(_) | None => BindError::Tcp(address, error),
        }
    })
}

/// An IPv6 address takes no IPv4, as a daemon's other binds: `[::]` and `0.0.0.0` are two.
fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let kind = Type::STREAM.cloexec().nonblocking();
    let socket = socket2::Socket::new(Domain::for_address(address), kind, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A bound unix socket; dropped, it removes its file unless another daemon has put
/// its own there.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: Option<(u64, u64)>,
}

impl Socket {
    fn bind(path: &Path) -> Result<Self, BindError> {
        let address =
            SockAddr::unix(path).map_err(|_| BindError::TooLong(path.to_owned()))?;
        make_directory(path)?;
        clear(path)?;
        let listener = listen(&address, path).map_err(|error| {
            match error
                .raw_os_error()
                .map(rustix::io::Errno::from_raw_os_error)
            {
                Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                    BindError::NoDescriptors(path.display().to_string())
                }
                Some(_) | None => BindError::Socket(path.to_owned(), error),
            }
        })?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            file: identify(path),
        })
    }

    pub(crate) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.file.is_some() && identify(&self.path) == self.file {
            // Left behind, it is taken over at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn listen(address: &SockAddr, path: &Path) -> io::Result<UnixListener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The file takes the socket's mode, less the umask: never wider than MODE, not
    // even between bind and chmod.
    fchmod(&socket, Mode::from_raw_mode(MODE))?;
    socket.bind(address)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn make_directory(path: &Path) -> Result<(), BindError> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::create_dir_all(folder)
            .map_err(|error| BindError::Directory(folder.to_owned(), error)),
        Some(_) | None => Ok(()),
    }
}

/// Removes a socket that nobody listens on: what a crash leaves behind.
fn clear(path: &Path) -> Result<(), BindError> {
    let failed = |error| BindError::Socket(path.to_owned(), error);
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !kind.is_socket() {
        return Err(BindError::NoSocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(BindError::Running(path.to_owned())),
        Err(error) => Err(failed(error)),
    }
}

fn identify(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path)
        .ok()
        .map(|file| (file.dev(), file.ino()))
}
