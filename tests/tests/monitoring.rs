//! What others read of api-lb and vip-daemon, read by them: promtool takes the alert rules of
//! both; of api-lb every expression of the dashboard and `/metrics`, too, and the exporter for
//! haproxy takes `/stats;csv` of a running daemon as haproxy's own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use lab::process::{Process, Program};
use lab::requirement::{Requirement, monitoring, trial};
use lab::{binaries, harness, wait};
use libtest_mimic::Failed;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(90);

fn main() {
    let needs = [Requirement::Monitoring];
    let tests = vec![
        trial("promtool_takes_the_alert_rules", &needs, rules),
        trial(
            "promtool_takes_every_expression_of_the_dashboard",
            &needs,
            dashboard,
        ),
        trial("promtool_takes_the_metrics", &needs, metrics),
        trial("the_exporter_for_haproxy_reads_the_table", &needs, exporter),
    ];
    harness::run(tests);
}

fn docs(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.join("../docs/monitoring").join(name)
}

fn promtool(args: &[&str], input: &str) -> Result<Output, Failed> {
    let mut child = Command::new(monitoring().join("promtool"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    Ok(child.wait_with_output()?)
}

/// It has nothing to say against it.
fn takes(args: &[&str], input: &str) -> Result<(), Failed> {
    let output = promtool(args, input)?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{}{}", text(&output.stdout), text(&output.stderr)).into())
}

fn rules() -> Result<(), Failed> {
    for name in ["api-lb-alerts.yaml", "vip-daemon-alerts.yaml"] {
        let file = docs(name);
        takes(
            &["check", "rules", "--lint=all", &file.to_string_lossy()],
            "",
        )?;
        let broken = tempfile::NamedTempFile::new()?;
        let text = fs::read_to_string(&file)?.replacen("== 0", "== 0 0", 1);
        fs::write(broken.path(), text)?;
        let path = broken.path().to_string_lossy().into_owned();
        if promtool(&["check", "rules", &path], "")?.status.success() {
            return Err(format!("promtool takes rules that are none: {name}").into());
        }
    }
    Ok(())
}

/// Its expressions as recording rules: that is how promtool parses one.
fn dashboard() -> Result<(), Failed> {
    let board: Value = serde_json::from_slice(&fs::read(docs("api-lb-grafana.json"))?)?;
    let mut text = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    let mut count = 0;
    let list = |value: &Value, key: &str| -> Vec<Value> {
        let list = value.get(key).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    for panel in list(&board, "panels") {
        for target in list(&panel, "targets") {
            let Some(expr) = target.get("expr").and_then(Value::as_str) else {
                continue;
            };
            // What Grafana fills in before it asks.
            let expr = expr
                .replace("$__rate_interval", "5m")
                .replace("$__interval", "1m")
                .replace("$__range", "1h");
            let expr = Value::String(expr);
            text += &format!("  - {{record: \"panel:{count}\", expr: {expr}}}\n");
            count += 1;
        }
    }
    if count < 10 {
        return Err(format!("the dashboard has {count} expressions").into());
    }
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), text)?;
    takes(&["check", "rules", &file.path().to_string_lossy()], "")
}

/// A daemon on loopback with a server that answers, one that does not, and its admin address.
struct Balancer {
    _process: Process,
    _server: TcpListener,
    _folder: tempfile::TempDir,
    admin: SocketAddr,
}

/// A port that was free a moment ago, at an address where nobody else takes one.
fn free() -> Result<SocketAddr, Failed> {
    Ok(TcpListener::bind("127.78.0.1:0")?.local_addr()?)
}

fn balancer() -> Result<Balancer, Failed> {
    let folder = tempfile::tempdir()?;
    let server = TcpListener::bind("127.0.0.1:0")?;
    let (up, admin, bind, down) = (server.local_addr()?, free()?, free()?, free()?);
    let file = folder.path().join("api-lb.yaml");
    let socket = folder.path().join("api-lb.sock");
    let text = format!(
        "apiVersion: sternpost/v1\nkind: ApiLb\nsocket: {}\nflightRecorder: {{directory: off}}\nadmin: {{address: \"{admin}\"}}\nfrontends:\n- {{name: k8s-api, bind: [\"{bind}\"], backend: k8s-api}}\nbackends:\n- name: k8s-api\n  check: {{tcp: {{}}, interval: 50ms}}\n  servers:\n  - {{name: m1, address: \"{up}\"}}\n  - {{name: m2, address: \"{down}\"}}\n",
        socket.display()
    );
    fs::write(&file, text)?;
    let logs = binaries::logs("monitoring");
    let program = Program::new("api-lb", &binaries::own("api-lb")?, &logs)
        .args(["run".to_owned(), format!("--config={}", file.display())]);
    let mut process = program.spawn("here", "api-lb")?;
    process.ready(SOON)?;
    let balancer = Balancer {
        _process: process,
        _server: server,
        _folder: folder,
        admin,
    };
    let settled = || {
        let text = get(balancer.admin, "/metrics").ok()?;
        let is = |server: &str, state: &str| {
            let line = format!("server=\"{server}\",state=\"{state}\"}} 1");
            text.contains(&line)
        };
        (is("m1", "up") && is("m2", "unreachable")).then_some(())
    };
    wait::until("one server up, one down", SOON, settled)?;
    Ok(balancer)
}

fn get(at: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(SOON))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| std::io::Error::other("no answer"))
}

fn metrics() -> Result<(), Failed> {
    let balancer = balancer()?;
    takes(&["check", "metrics"], &get(balancer.admin, "/metrics")?)
}

fn exporter() -> Result<(), Failed> {
    let balancer = balancer()?;
    let listen = free()?;
    let logs = binaries::logs("monitoring-exporter");
    let program = monitoring().join("prometheus-haproxy-exporter");
    let program = Program::new("exporter", &program, &logs).args([
        format!("--web.listen-address={listen}"),
        format!("--haproxy.scrape-uri=http://{}/stats;csv", balancer.admin),
    ]);
    let _exporter = program.spawn("here", "exporter")?;
    let read = || {
        let text = get(listen, "/metrics").ok()?;
        text.contains("\nhaproxy_up 1").then_some(text)
    };
    let text = wait::until("the exporter's first scrape", SOON, read)?;
    for line in [
        "haproxy_exporter_csv_parse_failures_total 0",
        "haproxy_server_up{backend=\"k8s-api\",server=\"m1\"} 1",
        "haproxy_server_up{backend=\"k8s-api\",server=\"m2\"} 0",
        "haproxy_backend_up{backend=\"k8s-api\"} 1",
        "haproxy_frontend_current_sessions{frontend=\"k8s-api\"} 0",
    ] {
        if !text.lines().any(|said| said == line) {
            let haproxy: Vec<&str> =
                text.lines().filter(|l| l.starts_with("haproxy_")).collect();
            return Err(format!("no {line} in\n{}", haproxy.join("\n")).into());
        }
    }
    Ok(())
}
