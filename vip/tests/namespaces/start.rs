//! What a start needs, what it gives up, and what it says when something is missing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use lab::host::Host;
use lab::process::Program;
use lab::wait;
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::Test;
use crate::hosts::{BINARY, Lab, PATIENCE, assert_is, copy_program};

pub(crate) const TESTS: [(&str, Test); 5] = [
    ("rights_are_given_up", rights),
    ("a_user_of_its_own_with_the_unit_s_rights_will_do", own_user),
    ("what_is_missing_is_one_sentence_and_exit_1", missing),
    ("without_real_time_10_ms_is_said_not_to_be_safe", hasty),
    (
        "check_and_import_name_an_address_outside_its_interface_s_networks",
        remote,
    ),
];

/// Before anything runs, as the host knows the interface; with keepalived's /32, too.
fn remote() -> Result<(), Failed> {
    let lab = Lab::new("remote")?;
    let config = lab.config("a", 200, "")?.display().to_string();
    let near = fs::read_to_string(&config)?;
    let host = lab.segment.host("a")?;
    let says = |words: String| host.output("sh", &["-c", &format!("{words} 2>&1")]);
    for (address, is_remote) in [
        ("10.55.0.100/24", false),
        ("10.55.0.100/32", false),
        ("10.9.0.100/24", true),
        ("10.9.0.100/32", true),
    ] {
        fs::write(&config, near.replace("10.55.0.100/24", address))?;
        let keepalived = host.file("keepalived.conf").display().to_string();
        let instance = format!(
            "vrrp_instance api {{\n interface eth0\n virtual_router_id 51\n \
             virtual_ipaddress {{\n {address}\n }}\n}}\n"
        );
        fs::write(&keepalived, instance)?;
        let sentence = format!("{address} lies in no network of eth0");
        for words in [
            format!("{BINARY} check --config {config}"),
            format!("{BINARY} import {keepalived}"),
        ] {
            let said = says(words)?;
            if said.contains(&sentence) != is_remote {
                return Err(format!("{address}: {said}").into());
            }
        }
    }
    Ok(())
}

/// In the log, in `status`, in `explain`, and by `check` before anything runs; and again
/// when a reload shortens the interval. An interval of 100 ms is safe.
fn hasty() -> Result<(), Failed> {
    let lab = Lab::new("hasty")?;
    let config = lab.config("a", 200, "")?;
    let calm = fs::read_to_string(&config)?;
    let short = calm.replace("advertInterval: 100ms", "advertInterval: 10ms");
    let path = config.display().to_string();
    let host = lab.segment.host("a")?;
    let program = Program::new(
        "vip-daemon",
        "/usr/bin/setpriv".as_ref(),
        lab.segment.logs(),
    );
    let run = [
        "--bounding-set",
        "-sys_nice",
        BINARY,
        "run",
        "--config",
        &path,
    ];
    let mut daemon = host.start(&program.args(run))?;
    daemon.ready(PATIENCE)?;
    lab.held_by(&["a"])?;
    assert_is("realtime", lab.status("a")?.pointer("/realtime"), false)?;
    assert_is("unsafe", lab.router("a")?.pointer("/unsafe"), Value::Null)?;
    let log = lab.segment.logs().join("a-vip-daemon.log");
    let warned = || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        log.contains("not safe without real-time scheduling")
            .then_some(())
    };
    if warned().is_some() {
        return Err("100 ms are said not to be safe".into());
    }
    fs::write(&config, short)?;
    let check = path.clone();
    let said = host.run(move || {
        Command::new(BINARY)
            .args(["check", "--config", &check])
            .output()
    })??;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    if !said.contains("safe only with real-time scheduling") {
        return Err(format!("check says: {said}").into());
    }
    daemon.signal(Signal::SIGHUP);
    wait::until("the log says so", PATIENCE, warned)?;
    wait::until("status says so", PATIENCE, || {
        let router = lab.router("a").ok()?;
        router.pointer("/unsafe")?.as_str().map(drop)
    })?;
    let told = lab.command("a", &["explain"])?;
    if !told.contains("Adverts every 10ms are not safe here") {
        return Err(format!("explain says: {told}").into());
    }
    Ok(())
}

fn rights() -> Result<(), Failed> {
    let lab = Lab::new("rights")?;
    let daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1))
            .unwrap_or_default()
            .to_owned()
    };
    let held = u64::from_str_radix(&field("CapEff:"), 16)?;
    // CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_SYS_NICE of linux/capability.h.
    let allowed = 1 << 12 | 1 << 13 | 1 << 14 | 1 << 23;
    if held & !allowed != 0 {
        return Err(format!("holds {held:#x}").into());
    }
    assert_is("NoNewPrivs", Some(&Value::from(field("NoNewPrivs:"))), "1")
}

fn own_user() -> Result<(), Failed> {
    const NOBODY: &str = "65534";
    let rights = "+net_admin,+net_raw,+sys_nice,+ipc_lock";
    let lab = Lab::new("own_user")?;
    let config = lab.config("a", 200, "")?;
    // The folder of sockets belongs to the group of the daemons; here to everybody.
    fs::set_permissions(lab.segment.files(), fs::Permissions::from_mode(0o777))?;
    // The place the binary was built in may be root's alone.
    let binary = lab.segment.files().join("vip-daemon");
    copy_program(&binary)?;
    let config = config.display().to_string();
    let program = Program::new(
        "vip-daemon",
        "/usr/bin/setpriv".as_ref(),
        lab.segment.logs(),
    );
    let user = [
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
        "--clear-groups",
        "--no-new-privs",
    ];
    let caps = ["--inh-caps", rights, "--ambient-caps", rights];
    let binary = binary.display().to_string();
    let run = [binary.as_str(), "run", "--config", &config];
    let args = [&user[..], &caps[..], &run[..]].concat();
    let mut daemon = lab.segment.host("a")?.start(&program.args(args))?;
    daemon.ready(PATIENCE)?;
    lab.held_by(&["a"])?;
    let status = lab.status("a")?;
    assert_is("memoryLocked", status.pointer("/memoryLocked"), true)?;
    daemon.stop(PATIENCE)?;
    lab.held_by(&[])
}

fn missing() -> Result<(), Failed> {
    let lab = Lab::new("missing")?;
    let config = lab.config("a", 200, "")?;
    let good = fs::read_to_string(&config)?;
    let host = lab.segment.host("a")?;
    let run = |program: &[&str]| -> Result<Output, Failed> {
        let command: Vec<_> = program.iter().map(|part| (*part).to_owned()).collect();
        let (first, rest) = command.split_first().ok_or("no program")?;
        let (first, rest) = (first.clone(), rest.to_vec());
        Ok(host.run(move || Command::new(first).args(rest).output())??)
    };
    let path = config.display().to_string();
    let started = [BINARY, "run", "--config", &path];
    let without = ["setpriv", "--bounding-set", "-net_raw"];

    fs::write(&config, good.replace("interface: eth0", "interface: eth7"))?;
    let check = [BINARY, "check", "--here", "--config", &path];
    refused(&run(&check)?, 1, "there is no interface eth7")?;
    fs::write(&config, good.replace("priority: 200", "priority: 0"))?;
    refused(
        &run(&started)?,
        2,
        "vip.yaml:7: routers[0].priority: \"0\" is out of range",
    )?;
    fs::write(&config, &good)?;
    refused(
        &run(&[&without[..], &started[..]].concat())?,
        1,
        "CAP_NET_RAW",
    )?;
    let listener = host.run(|| TcpListener::bind("127.0.0.1:9010"))??;
    refused(&run(&started)?, 1, "127.0.0.1:9010")?;
    drop(listener);
    refused(
        &run(&[BINARY, "status", "--socket", "/nonexistent"])?,
        1,
        "/nonexistent",
    )
}

fn refused(output: &Output, code: i32, words: &str) -> Result<(), Failed> {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(code) || !said.contains(words) {
        let status = output.status;
        return Err(
            format!("{status}, wanted {code} and {words:?}; said: {said}").into(),
        );
    }
    Ok(())
}
