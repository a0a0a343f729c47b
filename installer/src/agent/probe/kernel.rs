//! How a kernel is set, and which modules it has. Nothing is loaded to find out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::agent::files::below;

/// What was found of what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kernel {
    /// Settings; one that is missing is not there.
    pub settings: BTreeMap<String, String>,
    /// Modules.
    pub modules: BTreeMap<String, Module>,
}

/// Where a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Module {
    /// In the kernel.
    Loaded,
    /// On the disk.
    Loadable,
    /// Nowhere.
    Absent,
    /// The list of this kernel's modules is not there.
    Unknown,
}

/// Looks at the kernel of the machine whose files lie below `root`.
pub(super) fn look(root: &Path, settings: &[String], modules: &[String]) -> Kernel {
    let read = |path: &str| fs::read_to_string(below(root, path));
    let setting = |key: &String| {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        let value = read(&path).ok()?.trim().to_owned();
        Some((key.clone(), value))
    };
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let list = |name: &str| read(&format!("/lib/modules/{}/{name}", release.trim()));
    let (built_in, on_disk) = (list("modules.builtin"), list("modules.dep"));
    let module = |name: &String| {
        let file = format!("{name}.ko");
        let holds = |text: &str| text.lines().any(|line| names(line, &file));
        let there = below(root, &format!("/sys/module/{name}")).exists();
        let found = if there || built_in.as_deref().is_ok_and(holds) {
            Module::Loaded
        } else {
            match &on_disk {
                Ok(text) if holds(text) => Module::Loadable,
                Ok(_) => Module::Absent,
                Err(_) => Module::Unknown,
            }
        };
        (name.clone(), found)
    };
    Kernel {
        settings: settings.iter().filter_map(setting).collect(),
        modules: modules.iter().map(module).collect(),
    }
}

/// Whether a line of `modules.dep` or `modules.builtin` is about a file: the path before the
/// colon, whatever it is packed with. In names `-` and `_` are one.
fn names(line: &str, file: &str) -> bool {
    let path = line.split(':').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    last.replace('-', "_").starts_with(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_in_the_kernel_on_the_disk_or_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
        put("proc/sys/net/ipv4/ip_forward", "0\n");
        put("sys/module/overlay/initstate", "live\n");
        let modules = ["overlay", "br_netfilter", "ip_vs", "vxlan", "nf_tables"];
        let modules = modules.map(str::to_owned);
        let settings = ["net.ipv4.ip_forward", "net.bridge.x"].map(str::to_owned);
        let blind = look(root.path(), &settings, &modules);
        assert_eq!(blind.modules["overlay"], Module::Loaded);
        assert_eq!(blind.modules["vxlan"], Module::Unknown);
        let lists = "lib/modules/6.1.0-18-amd64";
        put(
            &format!("{lists}/modules.dep"),
            "kernel/net/bridge/br_netfilter.ko.xz: kernel/net/bridge/bridge.ko.xz\n\
             kernel/net/netfilter/ip_vs_rr.ko: kernel/net/netfilter/ip_vs.ko\n\
             kernel/net/nf-tables.ko:\n",
        );
        put(&format!("{lists}/modules.builtin"), "kernel/net/vxlan.ko\n");
        let kernel = look(root.path(), &settings, &modules);
        assert_eq!(kernel.settings.len(), 1, "{kernel:?}");
        assert_eq!(kernel.settings["net.ipv4.ip_forward"], "0");
        for (name, wanted) in [
            ("overlay", Module::Loaded),
            ("br_netfilter", Module::Loadable),
            ("ip_vs", Module::Absent),
            ("vxlan", Module::Loaded),
            ("nf_tables", Module::Loadable),
        ] {
            assert_eq!(kernel.modules[name], wanted, "{name}");
        }
    }
}
