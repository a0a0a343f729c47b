//! The way to the API server. Its credentials are read again when their files change, as
//! client-go does: they expire, and who renews them need not know of this daemon. In a pod
//! the client does so by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::watch as latest;

use crate::certificates::Validity;
use crate::run::RunError;
use crate::shown::Shown;
use crate::stamp::{Stamp, stamp};

/// The balancer on this host accepts at once, or is not there.
const CONNECT: Duration = Duration::from_secs(2);
/// How often the files are looked at, as those of authorities are.
const LOOK: Duration = Duration::from_secs(1);

/// A client of these credentials; of the pod's without.
///
/// # Errors
/// They cannot be used.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, RunError> {
    match kubeconfig {
        None => of_pod(),
        Some(path) => Ok(Read::of(path).await?.client),
    }
}

/// The same, which goes on with what the files say by then, for as long as what keeps it so
/// runs.
///
/// # Errors
/// They cannot be used.
pub async fn kept(
    kubeconfig: Option<&Path>,
    shown: &Arc<Shown>,
) -> Result<(Client, Option<Keeper>), RunError> {
    let Some(path) = kubeconfig else {
        return Ok((of_pod()?, None));
    };
    let read = Read::of(path).await?;
    shown.credentials(Ok(read.until));
    let (current, seen) = latest::channel(read.client);
    let keeper = Keeper {
        path: path.to_owned(),
        files: read.files,
        current,
        shown: Arc::clone(shown),
    };
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let client = seen.borrow().clone();
        async move { client.send(request).await }
    });
    Ok((Client::new(service, "default"), Some(keeper)))
}

fn of_pod() -> Result<Client, RunError> {
    made(Config::incluster()?)
}

fn made(mut config: Config) -> Result<Client, RunError> {
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(|error| RunError::Client(Box::new(error)))
}

/// Credentials as their files have them.
struct Read {
    client: Client,
    /// When the certificate ends, where there is one.
    until: Option<SystemTime>,
    files: Vec<(PathBuf, Stamp)>,
}

impl Read {
    async fn of(path: &Path) -> Result<Self, RunError> {
        let own = (path.to_owned(), stamp(path));
        let file = Kubeconfig::read_from(path)?;
        // Before they are read: what changes meanwhile is read once more.
        let named = named(&file).map(|path| (path.clone(), stamp(&path)));
        let files = std::iter::once(own).chain(named).collect();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(file, &options).await?;
        Ok(Self {
            until: until(&config),
            client: made(config)?,
            files,
        })
    }
}

/// The files that a kubeconfig names. A token's file the client reads again by itself.
fn named(file: &Kubeconfig) -> impl Iterator<Item = PathBuf> + '_ {
    let clusters = file
        .clusters
        .iter()
        .filter_map(|each| each.cluster.as_ref());
    let roots = clusters.filter_map(|cluster| cluster.certificate_authority.as_ref());
    let users = file.auth_infos.iter();
    let users = users.filter_map(|each| each.auth_info.as_ref());
    let own = users.flat_map(|user| {
        let files = [&user.client_certificate, &user.client_key];
        files.into_iter().flatten()
    });
    roots.chain(own).map(PathBuf::from)
}

fn until(config: &Config) -> Option<SystemTime> {
    use base64::Engine as _;
    let user = &config.auth_info;
    let pem = match (&user.client_certificate_data, &user.client_certificate) {
        (Some(text), _) => base64::engine::general_purpose::STANDARD.decode(text).ok(),
        (None, Some(path)) => std::fs::read(path).ok(),
        (None, None) => None,
    };
    Validity::read(&pem?).map(|validity| validity.until)
}

/// What looks at the files.
pub struct Keeper {
    path: PathBuf,
    files: Vec<(PathBuf, Stamp)>,
    current: latest::Sender<Client>,
    shown: Arc<Shown>,
}

impl Keeper {
    /// Looks until nobody uses the client. What cannot be used changes nothing: a certificate
    /// is written before its key.
    pub async fn keep(mut self) {
        let mut said = String::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.current.closed() => return,
            }
            if self.files.iter().all(|(path, seen)| stamp(path) == *seen) {
                continue;
            }
            match Read::of(&self.path).await {
                Ok(read) => {
                    self.files = read.files;
                    self.shown.credentials(Ok(read.until));
                    self.current.send_replace(read.client);
                    said.clear();
                    tracing::info!("the credentials are read again");
                }
                Err(error) => {
                    let error = daemon::chain(&error);
                    self.shown.credentials(Err(()));
                    if said != error {
                        tracing::error!(
                            error,
                            "the new credentials are refused, the old ones go on"
                        );
                        said = error;
                    }
                }
            }
        }
    }
}
