//! The script, with a kubectl that has its objects in a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::SCRIPT;

/// Each manifest is one object of its name, a file in the folder of the cluster; `large` is too
/// large to be noted, and what is `refused` is never made.
const KUBECTL: &str = r#"#!/bin/sh
echo "$*" >>FOLDER/log
for word; do file=${word#--filename=}; done
case "$file" in */addons) all=$(ls "$file"/*.yaml) ;; *) all=$file ;; esac
bad=0
for one in $all; do
    there=FOLDER/cluster/${one##*/}
    case "$*" in
    "get namespace"*) ;;
    get*) [ -e "$there" ] || { echo "Error from server (NotFound): $one" >&2; bad=1; } ;;
    *refused*) echo "Error from server (Forbidden): $one" >&2; bad=1 ;;
    *--save-config*large*) echo "metadata.annotations: Too long" >&2; bad=1 ;;
    create*) if [ -e "$there" ]; then echo "Error from server (AlreadyExists): $one" >&2; bad=1
             else cp "$one" "$there"; fi ;;
    apply*) cp "$one" "$there" ;;
    esac
done
exit $bad
"#;

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new(manifests: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { folder };
        for below in ["cluster", "addons/further"] {
            fs::create_dir_all(world.at(below)).unwrap();
        }
        let here = world.folder.path().display().to_string();
        let kubectl = world.at("kubectl");
        fs::write(&kubectl, KUBECTL.replace("FOLDER", &here)).unwrap();
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
        for name in manifests {
            world.write(name, "as described");
        }
        world
    }

    fn at(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// A manifest that has changed since whatever was done until then.
    fn write(&self, name: &str, content: &str) {
        fs::write(self.at("addons").join(name), content).unwrap();
        self.dated(name, SystemTime::now() + Duration::from_secs(60));
    }

    fn dated(&self, name: &str, time: SystemTime) {
        let mut options = fs::File::options();
        let file = options.write(true).open(self.at("addons").join(name));
        file.unwrap().set_modified(time).unwrap();
    }

    fn cluster(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.at("cluster").join(name)).ok()
    }

    fn edited(&self, name: &str, content: &str) {
        fs::write(self.at("cluster").join(name), content).unwrap();
    }

    /// What was said; nothing when all went well.
    fn run(&self, verb: &str, further: &[&str]) -> Result<(), String> {
        let output = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "addons.sh", verb])
            .arg(self.at("addons"))
            .args(further.iter().map(|name| self.at("addons").join(name)))
            .env("KUBECTL", self.at("kubectl"))
            .env("MARK", self.at("mark"))
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8(output.stderr).unwrap()),
        }
    }
}

#[test]
fn a_start_makes_what_is_missing_and_leaves_what_is_there() {
    let world = World::new(&["00-a.yaml", "10-b.yaml", "further/large.yaml"]);
    let further = ["further/large.yaml"];
    world.run("make", &further).unwrap();
    for name in ["00-a.yaml", "10-b.yaml", "large.yaml"] {
        assert_eq!(world.cluster(name).unwrap(), "as described", "{name}");
    }
    // An administrator, and a host whose files are older.
    world.edited("10-b.yaml", "as edited");
    world.write("00-a.yaml", "as it was");
    fs::remove_file(world.at("cluster/large.yaml")).unwrap();
    world.run("make", &further).unwrap();
    assert_eq!(world.cluster("00-a.yaml").unwrap(), "as described");
    assert_eq!(world.cluster("10-b.yaml").unwrap(), "as edited");
    assert_eq!(world.cluster("large.yaml").unwrap(), "as described");
}

#[test]
fn an_apply_changes_what_has_changed_here_and_nothing_else() {
    let names = ["00-a.yaml", "10-b.yaml", "further/c.yaml"];
    let world = World::new(&names);
    let further = ["further/c.yaml"];
    for name in names {
        world.dated(name, SystemTime::UNIX_EPOCH);
    }
    world.run("make", &further).unwrap();
    for name in ["00-a.yaml", "10-b.yaml", "c.yaml"] {
        world.edited(name, "as edited");
    }
    world.write("10-b.yaml", "as described anew");
    world.run("apply", &further).unwrap();
    assert_eq!(world.cluster("00-a.yaml").unwrap(), "as edited");
    assert_eq!(world.cluster("10-b.yaml").unwrap(), "as described anew");
    assert_eq!(world.cluster("c.yaml").unwrap(), "as edited");
    // A run that was broken off before a boot: nobody knows what has changed.
    world.dated("10-b.yaml", SystemTime::UNIX_EPOCH);
    world.run("apply", &further).unwrap();
    assert_eq!(world.cluster("00-a.yaml").unwrap(), "as described");
    assert_eq!(world.cluster("c.yaml").unwrap(), "as described");
}

#[test]
fn what_the_api_refuses_is_named() {
    let world = World::new(&["00-a.yaml", "further/refused.yaml"]);
    let said = world.run("make", &["further/refused.yaml"]).unwrap_err();
    assert!(
        said.contains("(Forbidden)") && said.contains("refused.yaml"),
        "{said}"
    );
    assert!(!said.contains("AlreadyExists"), "{said}");
    assert!(world.cluster("00-a.yaml").is_some());
    fs::remove_file(world.at("addons/00-a.yaml")).unwrap();
    world.run("make", &[]).unwrap();
    let said = world.run("apply", &["further/refused.yaml"]).unwrap_err();
    assert!(said.contains("(Forbidden)"), "{said}");
    // It is tried again by the next one.
    assert!(world.run("apply", &["further/refused.yaml"]).is_err());
}
