//! `fuzz-seeds TARGET FOLDER`: copies a target's seeds to where libFuzzer looks for them.

use std::error::Error;
use std::path::Path;

use fuzz::TARGETS;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("say: fuzz-seeds TARGET FOLDER".into());
    };
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        return Err(format!("TARGET is {name:?}; allowed: {}", names.join(", ")).into());
    };
    std::fs::create_dir_all(&folder)?;
    for (place, file) in target.files()?.iter().enumerate() {
        std::fs::copy(file, Path::new(&folder).join(format!("seed-{place}")))?;
    }
    Ok(())
}
