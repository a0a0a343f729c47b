//! What is accepted, what it means, and the errors the owner of a file raises later.

use config::{Address, Errors, KeyPath, Period, Size, parse};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    name: String,
    #[serde(default)]
    period: Option<Period>,
    #[serde(default)]
    size: Option<Size>,
    #[serde(default)]
    number: i32,
    #[serde(default)]
    truth: bool,
    #[serde(default)]
    share: f64,
    #[serde(default)]
    servers: Vec<Address>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    check: Check,
    #[serde(default)]
    pair: (u8, u8),
    #[serde(default)]
    any: serde_json::Value,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    tcp: Option<Nothing>,
    https: Option<Nothing>,
    interval: Option<Period>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
struct Nothing {}

fn with_header(body: &str) -> String {
    format!("apiVersion: sternpost/v1\nkind: Sample\n{body}")
}

fn sample(body: &str) -> Result<Sample, Errors> {
    parse("sample.yaml", &with_header(body), "Sample").map(|document| document.file)
}

#[test]
fn values_of_every_kind() {
    let file = sample(
        "name: 007\nperiod: 90s\nsize: 64KiB\nnumber: -0x1F\ntruth: True\nshare: 1e-3\n\
         servers: [\"10.0.0.1:6443\", '[::1]:6443']\nlabels: {a: 1.10, b: |-\n    x\n    y\n  }\n",
    );
    // A block scalar cannot stand inside braces.
    assert!(file.is_err());
    let file = sample(
        "name: 007\nperiod: 90s\nsize: 64KiB\nnumber: 0x1F\ntruth: True\nshare: 1e-3\n\
         servers: [\"10.0.0.1:6443\", '[::1]:6443']\npair: [1, 2]\n\
         labels:\n  a: 1.10\n  b: |-\n    x\n    y\nany: [1, -1, 1.5, true, ~, \"1\", {a: b}]\n",
    )
    .unwrap();
    assert_eq!(file.name, "007");
    assert_eq!(file.period, Some(Period(Duration::from_secs(90))));
    assert_eq!(file.size, Some(Size(65_536)));
    assert_eq!((file.number, file.truth, file.pair), (31, true, (1, 2)));
    assert!((file.share - 0.001).abs() < f64::EPSILON);
    assert_eq!(file.servers.len(), 2);
    assert_eq!(file.labels["a"], "1.10");
    assert_eq!(file.labels["b"], "x\ny");
    let expected = serde_json::json!([1, -1, 1.5, true, null, "1", {"a": "b"}]);
    assert_eq!(file.any, expected);
}

#[test]
fn a_key_without_a_value_is_as_not_written_where_it_may_be_missing() {
    assert_eq!(sample("name: a\nperiod:\nsize: ~\n").unwrap().period, None);
}

#[test]
fn bom_and_crlf_and_a_marker_and_comments() {
    let text = "\u{feff}# c\r\n---\r\napiVersion: sternpost/v1 # c\r\nkind: Sample\r\nname: a\r\n";
    assert_eq!(parse::<Sample>("x", text, "Sample").unwrap().file.name, "a");
    let error =
        parse::<Sample>("x", &format!("{text}period: 1\r\n"), "Sample").unwrap_err();
    assert_eq!(
        error.to_string(),
        "x:6: period: \"1\" has no unit; write \"1s\""
    );
}

#[test]
fn an_alias_stands_for_its_value() {
    let file = sample("name: &n a\nlabels: &l {x: *n}\nany: [*l, *l]\n").unwrap();
    assert_eq!(file.labels["x"], "a");
    assert_eq!(file.any, serde_json::json!([{"x": "a"}, {"x": "a"}]));
}

#[test]
fn the_owner_s_errors_find_line_and_value() {
    let body =
        "name: a\nservers:\n- \"10.0.0.1:1\"\n- \"10.0.0.2:1\"\ncheck:\n  interval: 2s\n";
    let source = parse::<Sample>("f", &with_header(body), "Sample")
        .unwrap()
        .source;
    let root = KeyPath::root();
    let servers = root.key("servers");
    for (path, problem, expected) in [
        (
            servers.index(1),
            "is bad",
            "f:6: servers[1]: \"10.0.0.2:1\" is bad",
        ),
        (servers.index(2), "is bad", "f:4: servers[2]: is bad"),
        (servers.clone(), "is short", "f:4: servers: is short"),
        (
            root.key("check").key("interval"),
            "is long",
            "f:8: check.interval: \"2s\" is long",
        ),
        (
            root.key("check").key("rise"),
            "is missing",
            "f:7: check.rise: is missing",
        ),
        (
            root.key("labels").key("a"),
            "is missing",
            "f:1: labels.a: is missing",
        ),
        (
            root.key("name").index(0).key("x"),
            "is odd",
            "f:3: name[0].x: is odd",
        ),
        (root.clone(), "is odd", "f:1: is odd"),
    ] {
        assert_eq!(source.error(&path, problem).to_string(), expected);
    }
    let check = root.key("check");
    assert_eq!(
        source
            .one_of(&check, &["tcp", "https"])
            .unwrap_err()
            .to_string(),
        "f:7: check: needs one of these keys: tcp, https"
    );
}

#[test]
fn one_of_several_keys() {
    for (check, expected) in [
        ("{tcp: {}}", Ok("tcp")),
        ("{https: {}, interval: 1s}", Ok("https")),
        (
            "{https: {}, tcp: {}}",
            Err("f:4: check: has both \"tcp\" and \"https\"; keep one"),
        ),
        (
            "{tcp: }",
            Err("f:4: check.tcp: has no value; write {} for its defaults"),
        ),
        ("{}", Err("f:4: check: needs one of these keys: tcp, https")),
    ] {
        let text = with_header(&format!("name: a\ncheck: {check}\n"));
        let source = parse::<Sample>("f", &text, "Sample").unwrap().source;
        let got = source.one_of(&KeyPath::root().key("check"), &["tcp", "https"]);
        assert_eq!(
            got.map_err(|e| e.to_string()),
            expected.map_err(str::to_owned),
            "{check}"
        );
    }
}

#[test]
fn errors_stand_in_the_order_of_lines() {
    let text = with_header("name: a\nnumber: 1\ntruth: true\n");
    let source = parse::<Sample>("f", &text, "Sample").unwrap().source;
    let mut errors = Errors::new();
    assert!(errors.clone().or(()).is_ok());
    for key in ["truth", "name", "number"] {
        errors.push(source.error(&KeyPath::root().key(key), "is odd"));
    }
    let lines: Vec<_> = errors.iter().map(config::Error::line).collect();
    assert_eq!(lines, [Some(3), Some(4), Some(5)]);
    assert_eq!(errors.or(()).unwrap_err().len(), 3);
}

fn refusal(path: &Path) -> Option<String> {
    config::read::<Sample>(path, "Sample")
        .err()
        .map(|error| error.to_string())
}

#[test]
fn what_cannot_be_read_gets_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().display();
    assert_eq!(
        refusal(folder.path()).unwrap(),
        format!("{shown}: is a directory; name a file in it with --config")
    );
    assert_eq!(
        refusal(&folder.path().join("none.yaml")).unwrap(),
        format!("{shown}/none.yaml: does not exist; name the file with --config")
    );
    let below = folder.path().join("file");
    fs::write(&below, "x").unwrap();
    let error = refusal(&below.join("none.yaml")).unwrap();
    assert!(error.contains("cannot be read: Not a directory"), "{error}");
    assert_eq!(
        refusal(Path::new("/dev/zero")).unwrap(),
        "/dev/zero: is larger than 1024 KiB; is it the right file?"
    );
}

#[test]
fn the_largest_file_is_read_and_one_byte_more_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.yaml");
    let write = |length: usize| -> io::Result<()> {
        let mut text = with_header("name: a\n# ");
        text.extend(std::iter::repeat_n('x', length - text.len()));
        fs::write(&path, text)
    };
    write(1 << 20).unwrap();
    assert_eq!(refusal(&path), None);
    write((1 << 20) + 1).unwrap();
    assert!(refusal(&path).unwrap().ends_with("is it the right file?"));
}

/// Files of Kubernetes: their header is not ours, and they hold what we do not know.
#[test]
fn a_foreign_file_is_read_as_it_is() {
    let text = "apiVersion: v1\nkind: Node\nmetadata: {name: a, more: [1, true]}\n";
    let document = config::parse_foreign::<serde_json::Value>("node.yaml", text).unwrap();
    let expected = serde_json::json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "more": [1, true]},
    });
    assert_eq!(document.file, expected);
    let empty = config::parse_foreign::<serde_json::Value>("node.yaml", "\n");
    assert_eq!(empty.unwrap_err().to_string(), "node.yaml: is empty");
}
