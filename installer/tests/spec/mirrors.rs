//! Mirrors of registries, as a description names them.

use sternpost::spec;

use crate::{refused, with};

fn described(mirrors: &str) -> String {
    let runtime = format!("runtime: {{mirrors: {{{mirrors}}}}}\nhosts:\n");
    with("hosts:\n", &runtime)
}

/// A mirror that is none, or of nothing, is named with its line; a password is not shown.
#[test]
fn what_is_no_mirror_is_named_with_its_line() {
    for (mirrors, wanted) in [
        (
            "registry.k8s.io: [registry.example.org]",
            "registry.k8s.io[0]: \"registry.example.org\" is no mirror; write \"https://HOST\"",
        ),
        (
            "registry.k8s.io: [\"ftp://registry.example.org\"]",
            "registry.k8s.io[0]: \"ftp://registry.example.org\" is no mirror",
        ),
        (
            "registry.k8s.io: [\"https://registry.example.org/v2?a=b\"]",
            "registry.k8s.io[0]: \"https://registry.example.org/v2?a=b\" is no mirror",
        ),
        (
            "registry.k8s.io: [\"https://me:secret@registry.example.org\"]",
            "registry.k8s.io: holds a user or a password in an address",
        ),
        (
            "registry.k8s.io: [\"https://me:sec/secret@registry.example.org\"]",
            "registry.k8s.io: holds a user or a password in an address",
        ),
        (
            "registry.k8s.io: [\"https://a.example.org\", \"https://a.example.org\"]",
            "registry.k8s.io[1]: \"https://a.example.org\" is there twice",
        ),
        ("registry.k8s.io: []", "registry.k8s.io: is empty"),
        (
            "\"https://registry.k8s.io\": [\"https://a.example.org\"]",
            "https://registry.k8s.io: is no registry; write its name",
        ),
        (
            "library: [\"https://a.example.org\"]",
            "library: is no registry",
        ),
    ] {
        let said = refused(&described(mirrors));
        let wanted = format!("cluster.yaml:11: runtime.mirrors.{wanted}");
        assert!(
            said.starts_with(&wanted),
            "wanted: {wanted}\ngot:    {said}"
        );
        assert!(!said.contains("secret"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let url = "\"https://me:secret@registry.example.org\"";
    let said = refused(&described(&format!("registry.k8s.io: [{url}, {url}]")));
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn mirrors_keep_their_order_and_one_without_tls_is_warned_of() {
    // Nobody is between a host and itself.
    let urls = "\"https://z.example.org/v2/k8s/\", \"http://192.0.2.9:5000\", \
                \"http://localhost:5000\", \"http://[::1]:5000\"";
    let text = described(&format!("\"registry.example.org:5000\": [{urls}]"));
    let spec = spec::parse("cluster.yaml", &text).unwrap();
    let mirrors = &spec.cluster.mirrors["registry.example.org:5000"];
    let told: Vec<_> = mirrors
        .iter()
        .map(|one| (one.url.as_str(), one.is_whole))
        .collect();
    let wanted = [
        ("https://z.example.org/v2/k8s", true),
        ("http://192.0.2.9:5000", false),
        ("http://localhost:5000", false),
        ("http://[::1]:5000", false),
    ];
    assert_eq!(told, wanted);
    let [warning] = &spec.warnings[..] else {
        panic!("{:?}", spec.warnings);
    };
    assert!(
        warning.contains("[1]: \"http://192.0.2.9:5000\" is without TLS"),
        "{warning}"
    );
}
