//! What a kubelet refuses, and what it is told not to refuse.

use super::{SPEC, round};
use crate::facts::System;
use crate::preflight::{What, preflight};
use crate::spec;

/// What is found on a node whose kubelet has these flags more.
fn found(flags: &str, change: fn(&mut System)) -> Vec<What> {
    let text = format!("{SPEC}\n{flags}");
    let cluster = spec::parse("cluster.yaml", &text).unwrap().cluster;
    let mut round = round(&cluster);
    change(&mut round.sights.get_mut("n1").unwrap().machine.system);
    let found = preflight(&cluster, &round).into_iter();
    found.map(|finding| finding.what).collect()
}

#[test]
fn a_kubelet_that_is_told_to_bear_swap_is_not_kept_from_it() {
    let swaps = || vec!["/dev/sda5".to_owned()];
    let table: [(&str, &[What], &[What]); 5] = [
        ("", &[What::Swap(swaps())], &[What::SwapAtBoot(swaps())]),
        (
            "{fail-swap-on: \"true\"}",
            &[What::Swap(swaps())],
            &[What::SwapAtBoot(swaps())],
        ),
        ("{fail-swap-on: \"false\"}", &[], &[]),
        (
            "{config-dir: /etc/kubelet.d}",
            &[What::SwapTold(swaps())],
            &[],
        ),
        // A flag counts more than a file.
        (
            "{config-dir: /etc/kubelet.d, fail-swap-on: \"true\"}",
            &[What::Swap(swaps())],
            &[What::SwapAtBoot(swaps())],
        ),
    ];
    for (flags, now, at_boot) in table {
        let flags = match flags {
            "" => String::new(),
            flags => format!("flags: {{kubelet: {flags}}}\n"),
        };
        let swaps = |system: &mut System| system.swaps = vec!["/dev/sda5".to_owned()];
        assert_eq!(found(&flags, swaps), now, "{flags}");
        let boots =
            |system: &mut System| system.swaps_at_boot = vec!["/dev/sda5".to_owned()];
        assert_eq!(found(&flags, boots), at_boot, "{flags}");
    }
    assert_eq!(
        What::SwapTold(swaps()).way_out(),
        "nothing, where flags.kubelet.config-dir says failSwapOn: false"
    );
}
