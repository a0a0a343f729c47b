//! Who we are to the cluster and whom we trust there, from a kubeconfig. Read anew for every
//! connection, since certificates and tokens are replaced while we run.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use probe::{Identity, Tls, TlsError, Trust};
use serde::Deserialize;

/// A kubeconfig with embedded certificates takes some 6 KiB.
const LARGEST: u64 = 1024 * 1024;

/// What a connection to the API needs.
#[derive(Debug)]
pub struct Credentials {
    /// How to shake hands.
    pub tls: Tls,
    /// What stands after `Bearer `, where there is no certificate.
    pub token: Option<Token>,
}

/// A secret; `Debug` does not show it.
pub struct Token(String);

impl Token {
    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why a kubeconfig cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// A file cannot be read.
    #[error("{file} cannot be read: {why}", file = .0.display(), why = .1)]
    Read(PathBuf, std::io::Error),
    /// It is no kubeconfig.
    #[error("{file} is no kubeconfig: {why}", file = .0.display(), why = .1)]
    Shape(PathBuf, String),
    /// It names something that is not in it.
    #[error("{file} has no {what} that its current-context names", file = .0.display(), what = .1)]
    Missing(PathBuf, &'static str),
    /// It has something that is not done here.
    #[error("{file} {why}", file = .0.display(), why = .1)]
    Unfit(PathBuf, &'static str),
    /// Certificates or keys in it cannot be used.
    #[error("{file} cannot be used: {why}", file = .0.display(), why = daemon::chain(.1))]
    Tls(PathBuf, TlsError),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    current_context: String,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    exec: Option<serde_json::Value>,
    auth_provider: Option<serde_json::Value>,
}

impl Credentials {
    /// Reads a kubeconfig and the files it names.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(path: &Path) -> Result<Self, KubeconfigError> {
        let text = text(path)?;
        let shape = |error: &dyn std::fmt::Display| {
            KubeconfigError::Shape(path.to_owned(), first(error))
        };
        let file: File = serde_saphyr::from_str(&text).map_err(|error| shape(&error))?;
        let missing = |what| KubeconfigError::Missing(path.to_owned(), what);
        let context = file
            .contexts
            .iter()
            .find(|c| c.name == file.current_context);
        let context = &context.ok_or_else(|| missing("context"))?.context;
        let cluster = file.clusters.iter().find(|c| c.name == context.cluster);
        let cluster = &cluster.ok_or_else(|| missing("cluster"))?.cluster;
        let user = file.users.iter().find(|u| u.name == context.user);
        let user = &user.ok_or_else(|| missing("user"))?.user;
        let at = At(path);
        let identity = at.identity(user)?;
        let token = at.token(user)?;
        if identity.is_none() && token.is_none() {
            return Err(
                at.unfit("has neither a client certificate nor a token for its user")
            );
        }
        let trust = at.trust(cluster)?;
        let name = cluster.tls_server_name.as_deref();
        let tls = Tls::new(&trust, name, identity.as_ref());
        Ok(Self {
            tls: tls.map_err(|error| at.tls(error))?,
            token,
        })
    }
}

/// The kubeconfig that is read.
struct At<'a>(&'a Path);

impl At<'_> {
    fn unfit(&self, why: &'static str) -> KubeconfigError {
        KubeconfigError::Unfit(self.0.to_owned(), why)
    }

    fn tls(&self, error: TlsError) -> KubeconfigError {
        KubeconfigError::Tls(self.0.to_owned(), error)
    }

    fn trust(&self, cluster: &Cluster) -> Result<Trust, KubeconfigError> {
        if cluster.insecure_skip_tls_verify {
            return Err(self.unfit("trusts anybody (insecure-skip-tls-verify); whoever answers would name the servers"));
        }
        let (data, file) = (
            &cluster.certificate_authority_data,
            &cluster.certificate_authority,
        );
        let pem = self.bytes(data.as_deref(), file.as_deref())?;
        let pem = pem.ok_or_else(|| self.unfit("has no certificate-authority"))?;
        Trust::from_pem(&pem).map_err(|error| self.tls(error))
    }

    fn identity(&self, user: &User) -> Result<Option<Identity>, KubeconfigError> {
        if user.exec.is_some() || user.auth_provider.is_some() {
            return Err(self.unfit("has a user that is told by a program (exec, auth-provider); write client-certificate and client-key, or tokenFile"));
        }
        let (data, file) = (&user.client_certificate_data, &user.client_certificate);
        let certificate = self.bytes(data.as_deref(), file.as_deref())?;
        let key =
            self.bytes(user.client_key_data.as_deref(), user.client_key.as_deref())?;
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let identity = Identity::from_pem(&certificate, &key);
                identity.map(Some).map_err(|error| self.tls(error))
            }
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => {
                Err(self
                    .unfit("has a client-certificate or a client-key without the other"))
            }
        }
    }

    fn token(&self, user: &User) -> Result<Option<Token>, KubeconfigError> {
        let read = user.token_file.as_deref();
        let read = read.map(|file| text(&self.beside(file))).transpose()?;
        let token = read.or_else(|| user.token.clone());
        let token = token.map(|token| token.trim().to_owned());
        match token {
            Some(token)
                if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) =>
            {
                Err(self.unfit("has a token that is none"))
            }
            token => Ok(token.map(Token)),
        }
    }

    /// What stands in the kubeconfig itself goes before the file it names, as in client-go.
    fn bytes(
        &self,
        data: Option<&str>,
        file: Option<&Path>,
    ) -> Result<Option<Vec<u8>>, KubeconfigError> {
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            let bytes = STANDARD.decode(data.trim());
            return bytes
                .map(Some)
                .map_err(|_| self.unfit("has data that is not base64"));
        }
        let file = file.filter(|file| !file.as_os_str().is_empty());
        file.map(|file| text(&self.beside(file)).map(String::into_bytes))
            .transpose()
    }

    /// Relative names are relative to the kubeconfig.
    fn beside(&self, file: &Path) -> PathBuf {
        self.0.parent().unwrap_or(Path::new("/")).join(file)
    }
}

fn text(path: &Path) -> Result<String, KubeconfigError> {
    let failed = |error| KubeconfigError::Read(path.to_owned(), error);
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(failed(std::io::Error::other(
            "no regular file of at most 1 MiB",
        )));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The first line of an error that draws the place below.
fn first(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    struct Folder {
        folder: tempfile::TempDir,
        good: String,
    }

    fn folder() -> Folder {
        let now = SystemTime::now();
        let authority = pki::Authority::new("test", now).unwrap();
        let issued = authority
            .issue(&pki::Profile::client("lb", &[]), now)
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap()
        };
        put("ca.crt", authority.certificate_pem());
        put("lb.crt", &issued.certificate_pem);
        put("lb.key", issued.key_pem.expose());
        put("token", "abc.def\n");
        let good = pki::Kubeconfig::new(
            "kubernetes",
            "https://192.0.2.1:6443",
            authority.certificate_pem(),
            "lb",
            &issued,
        );
        Folder {
            folder,
            good: good.to_yaml(),
        }
    }

    fn read(folder: &Folder, text: &str) -> Result<Credentials, String> {
        let path = folder.folder.path().join("kubeconfig");
        std::fs::write(&path, text).unwrap();
        Credentials::read(&path).map_err(|error| error.to_string())
    }

    const FILES: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: c, user: u, namespace: x}}]\nclusters: [{name: c, cluster: {server: \"https://192.0.2.1:6443\", certificate-authority: ca.crt}}]\nusers: [{name: u, user: {client-certificate: lb.crt, client-key: lb.key}}]\npreferences: {}\n";

    #[test]
    fn data_files_and_tokens() {
        let folder = folder();
        assert!(read(&folder, &folder.good).unwrap().token.is_none());
        assert!(read(&folder, FILES).unwrap().token.is_none());
        let certificate = "client-certificate: lb.crt, client-key: lb.key";
        for user in ["tokenFile: token", "token: abc.def"] {
            let token = read(&folder, &FILES.replace(certificate, user))
                .unwrap()
                .token;
            assert_eq!(token.unwrap().expose(), "abc.def");
        }
    }

    #[test]
    fn every_way_it_cannot_be_used() {
        let folder = folder();
        let certificate = "client-certificate: lb.crt, client-key: lb.key";
        let authority = "certificate-authority: ca.crt";
        for (from, to, part) in [
            ("current-context: a", "current-context: b", "no context"),
            ("cluster: c,", "cluster: d,", "no cluster"),
            ("user: u,", "user: v,", "no user"),
            ("users:", "users: [", "is no kubeconfig"),
            (certificate, "", "neither a client certificate nor a token"),
            (certificate, "token: \"a b\"", "a token that is none"),
            (certificate, "client-key: lb.key", "without the other"),
            (certificate, "exec: {command: aws}", "told by a program"),
            ("lb.crt", "none.crt", "none.crt cannot be read"),
            ("lb.crt", "token", "cannot be used"),
            (
                authority,
                "insecure-skip-tls-verify: true",
                "trusts anybody",
            ),
            (authority, "proxy-url: x", "has no certificate-authority"),
            (authority, "certificate-authority-data: \"!\"", "not base64"),
            (authority, "certificate-authority: lb.key", "cannot be used"),
        ] {
            let error = read(&folder, &FILES.replace(from, to)).unwrap_err();
            assert!(error.contains(part), "{to}: {error}");
            assert!(
                error.contains(folder.folder.path().to_str().unwrap()),
                "{error}"
            );
        }
        assert!(Credentials::read(folder.folder.path()).is_err());
    }
}
