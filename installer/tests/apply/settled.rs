//! What sets the machine and no unit.

use super::*;

/// The kernel is set although no unit is started, and once.
pub(super) fn alone() -> Tried {
    let mut world = World::new()?;
    let material = Material::new(world.now)?;
    world.apply(&material, FOREVER)?;
    for path in [
        "etc/sysctl.d/zz-sternpost.conf",
        "etc/sysusers.d/sternpost.conf",
    ] {
        let path = world.root().join(path);
        if path.exists() {
            fs::write(path, "another")?;
        }
    }
    world.services.calls.clear();
    world.apply(&material, FOREVER)?;
    match world.services.calls.as_slice() {
        [one] if one == "settle" => Ok(()),
        calls => Err(format!("{calls:?}").into()),
    }
}
