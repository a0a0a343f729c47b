//! The commands that ask the cluster and change nothing in it.

use std::path::Path;

use daemon::terminal::complain;
use daemon::{chain, exit};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::{Api, Client};
use policy::Explanation;
use tokio::runtime;

use super::{Refused, check as check_file, usage};
use crate::config::Config;
use crate::live::{self, LookError};
use crate::{credentials, stranger};

pub(super) fn explain(
    path: &Path,
    kubeconfig: Option<&Path>,
    name: &str,
) -> Result<Explanation, Refused> {
    let config = Config::read(path).map_err(|errors| usage(errors.to_string()))?;
    asking(&config, kubeconfig, async |client| {
        live::explain(&client, &config, name).await
    })
}

/// The file first; then who else approves. What may not be looked at is said.
pub(super) fn check(path: &Path, kubeconfig: Option<&Path>) -> Result<String, Refused> {
    let good = check_file(path).map_err(usage)?;
    let config = Config::read(path).map_err(|errors| usage(errors.to_string()))?;
    let found = asking(&config, kubeconfig, async |client| beside(&client).await)?;
    if found.is_empty() {
        return Ok(format!("{good}; nobody else approves"));
    }
    let list = found.join("\n  ");
    Err((
        exit::FAILED,
        format!("somebody else approves beside this daemon:\n  {list}"),
    ))
}

async fn beside(client: &Client) -> Result<Vec<String>, LookError> {
    let requests: Vec<Csr> =
        live::list(&Api::all(client.clone()), "", "requests").await?;
    let mut found = stranger::at_work(&requests);
    let pods: Api<Pod> = Api::namespaced(client.clone(), "kube-system");
    if let Some(pods) = allowed(live::list(&pods, "", "pods of kube-system").await)? {
        found.extend(stranger::upstream_on(&pods));
    }
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let roles = allowed(live::list(&roles, "", "ClusterRoles").await)?;
    let bindings = allowed(live::list(&bindings, "", "ClusterRoleBindings").await)?;
    if let (Some(roles), Some(bindings)) = (roles, bindings) {
        found.extend(stranger::may(&roles, &bindings));
    }
    Ok(found)
}

/// `None` for what these credentials may not see.
fn allowed<T>(listed: Result<T, LookError>) -> Result<Option<T>, LookError> {
    match listed {
        Err(LookError::List(what, error)) if is_forbidden(&error) => {
            complain(&format!(
                "warning: {what} not looked at: forbidden; give --kubeconfig of an administrator"
            ));
            Ok(None)
        }
        other => other.map(Some),
    }
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

fn asking<T>(
    config: &Config,
    kubeconfig: Option<&Path>,
    ask: impl AsyncFnOnce(Client) -> Result<T, LookError>,
) -> Result<T, Refused> {
    let failed = |error: &dyn std::error::Error| (exit::FAILED, chain(error));
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let from = kubeconfig.or(config.kubeconfig.as_deref());
        let client = credentials::client(from).await;
        let client = client.map_err(|error| failed(&error))?;
        ask(client).await.map_err(|error| failed(&error))
    })
}
