//! Every target on its seeds and on the same mutations of them in each run. `FUZZ_RUNS`
//! asks for another number of mutations per target.

#![cfg(test)]

use fuzz::mutate::{Steps, mutate};
use fuzz::{TARGETS, Target};

/// Mutations of one target: a second or two for all of them.
const RUNS: usize = 3000;

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let files = target.files().unwrap();
    assert!(!files.is_empty(), "{} has no seeds", target.name);
    files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn holds(target: &Target) {
    let runs = std::env::var("FUZZ_RUNS").ok();
    let runs = runs.map_or(RUNS, |runs| runs.parse().unwrap());
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| (target.run)(seed));
    let mut steps = Steps::from(0x5eed);
    for run in 0..runs {
        let seed = &seeds[steps.below(seeds.len())];
        let other = &seeds[steps.below(seeds.len())];
        let input = mutate(seed, other, &mut steps);
        let fed = std::panic::catch_unwind(|| (target.run)(&input));
        assert!(
            fed.is_ok(),
            "{}, mutation {run}: {:?}",
            target.name,
            String::from_utf8_lossy(&input)
        );
    }
}

#[test]
fn every_target_has_another_name() {
    let mut names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), TARGETS.len());
}

#[test]
fn what_strangers_write_breaks_nothing() {
    for target in TARGETS {
        holds(target);
    }
}
