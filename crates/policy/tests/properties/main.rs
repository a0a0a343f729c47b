//! What holds whatever is asked: the promises of the manual, stated a second time and
//! without the rules.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its world has failed"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "a place among the requests made here"
)]

mod world;

use std::collections::BTreeSet;
use std::net::IpAddr;

use policy::{
    Decision, Node, Question, Reason, Request, Signer, Source, State, decide, explain,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use world::{World, world};

/// What is true of everything that is approved.
fn assert_right(world: &World, question: &Question<'_>) {
    let submitted = &world.submitted;
    let request = question.request.as_ref().unwrap();
    let node = request.node().unwrap();
    let serving = submitted.signer == Signer::Serving.name();
    assert!(serving || submitted.signer == Signer::Client.name());
    assert_eq!(submitted.state, State::Pending);
    assert!(world.ahead.unwrap() < 20 && !world.superseded);
    assert!(policy::is_node_name(node));
    assert_eq!(request.subject.len(), 2);
    let usage = if serving {
        "server auth"
    } else {
        "client auth"
    };
    assert!(submitted.usages.iter().any(|each| each == usage));
    assert!(submitted.usages.iter().all(|each| {
        [usage, "digital signature", "key encipherment"].contains(&each.as_str())
    }));
    assert!(
        submitted
            .expiration
            .is_none_or(|asked| asked.as_secs() == 3600)
    );
    let own = submitted.username == format!("system:node:{node}");
    assert!(world.key_user.unwrap().is_none_or(|user| user == node));
    if own {
        assert!(submitted.groups.contains("system:nodes"));
    } else {
        assert!(!serving && submitted.groups.contains("system:bootstrappers"));
        assert!(!world.held);
        assert_ne!(node, "m1");
    }
    let there = world.nodes.as_ref().unwrap().iter().rev();
    let there = there.into_iter().find(|(name, _)| name == node);
    if serving {
        assert_names(world, request, node, there.map(|(_, node)| node));
    } else {
        assert!(request.names.is_empty() && world.access.unwrap());
        assert_eq!(there.is_some(), own);
    }
    if submitted.username == "system:bootstrap:abc123" {
        let token = world.token.as_ref().unwrap().as_ref().unwrap();
        assert!(token.expires.is_none_or(|at| at > question.now) && token.authenticates);
    }
}

fn assert_names(world: &World, request: &Request, node: &str, there: Option<&Node>) {
    let listed = world.inventory.as_ref().and_then(|all| all.nodes.get(node));
    let reserved: [IpAddr; 2] =
        ["10.96.0.1", "127.0.0.1"].map(|text| text.parse().unwrap());
    assert!(!request.names.is_empty() && request.names.others.is_empty());
    for address in &request.names.addresses {
        assert!(!reserved.contains(address));
        assert!(address.to_string() != "192.168.220.100" || node == "m1");
        let on_node = there.is_some_and(|node| node.addresses.contains(address));
        let in_file = listed.is_some_and(|listed| listed.addresses.contains(address));
        assert!(on_node || in_file && world.settings.source != Source::Node);
    }
    for name in &request.names.dns {
        let name = name.to_ascii_lowercase();
        assert!(!name.contains('*') && !name.ends_with(".svc"));
        assert!(name != "m1" || node == "m1");
        let on_node = there.is_some_and(|node| node.names.contains(&name));
        let in_file = listed.is_some_and(|listed| listed.names.contains(&name));
        assert!(on_node || name == node || in_file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn what_is_approved_is_right(world in world()) {
        world.ask(|question| {
            if decide(question).decision() == Decision::Approve {
                assert_right(&world, question);
            }
        });
    }

    #[test]
    fn only_what_is_ours_is_denied(world in world()) {
        let verdict = world.ask(decide);
        if verdict.decision() == Decision::Deny {
            let signer = world.submitted.signer.as_str();
            prop_assert!(Signer::ALL.iter().any(|ours| ours.name() == signer));
            prop_assert_eq!(world.submitted.state, State::Pending);
            prop_assert!(world.submitted.username != "system:anonymous" ||
                world.submitted.groups.contains("system:bootstrappers"));
        }
    }

    /// Forgetting a fact never approves, and never denies what was not denied.
    #[test]
    fn what_is_not_known_decides_nothing(world in world(), forgotten in 0_usize..5) {
        let before = world.ask(decide);
        let mut less = world.clone();
        match forgotten {
            0 => less.nodes = None,
            1 => less.token = None,
            2 => less.access = None,
            3 => less.key_user = None,
            _ => less.ahead = None,
        }
        let after = less.ask(decide);
        match after.decision() {
            Decision::Deny => prop_assert_eq!(before.decision(), Decision::Deny),
            Decision::Approve => prop_assert_eq!(before.decision(), Decision::Approve),
            Decision::Wait | Decision::Ignore => {}
        }
    }

    #[test]
    fn explaining_decides_the_same(world in world()) {
        let (verdict, explanation) = world.ask(|question| (decide(question), explain(question)));
        prop_assert_eq!(verdict, explanation.verdict);
        prop_assert_eq!(explanation.lines.len(), policy::RULES.len());
    }
}

/// The properties would hold of a policy that approves nothing.
#[test]
fn the_worlds_are_of_every_kind() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reasons = BTreeSet::new();
    for _ in 0..5_000 {
        let world = world().new_tree(&mut runner).unwrap().current();
        reasons.insert(world.ask(decide).reason);
    }
    for reason in [Reason::NewNode, Reason::Renewal, Reason::Serving] {
        assert!(reasons.contains(&reason), "{reason} never");
    }
    assert!(reasons.len() > 25, "{reasons:?}");
}
