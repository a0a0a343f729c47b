//! The status page in a real browser, and the table beside the real haproxy's.
//!
//! Leaves to the daemon's unit tests: what stands in each cell of the table.

#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

mod browser;
mod stage;
mod table;

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use browser::{Fallible, Tab};
use lab::harness;
use lab::requirement::{Requirement, trial};
use libtest_mimic::Failed;
use stage::{Daemon, Server, address, visit};
use table::table;

fn main() {
    let browser = &[Requirement::Browser];
    let trials = vec![
        trial(
            "the_page_shows_servers_as_they_are_and_as_they_change",
            browser,
            || run(shows),
        ),
        trial(
            "the_address_and_who_has_it_are_shown_beside_a_vip_daemon",
            browser,
            || run(owner),
        ),
        trial("all_of_it_is_done_with_keys_alone", browser, || run(keys)),
        trial("light_and_dark_are_both_readable", browser, || run(colours)),
        trial(
            "who_has_signed_in_drains_and_enables_and_nobody_else",
            browser,
            || run(acts),
        ),
        trial(
            "nothing_is_loaded_from_elsewhere_and_no_script_gets_in",
            browser,
            || run(closed),
        ),
        trial(
            "the_table_has_the_columns_of_haproxy",
            &[Requirement::Peers],
            || run(table),
        ),
    ];
    harness::run(trials);
}

fn run(test: fn() -> Fallible<()>) -> Result<(), Failed> {
    Ok(test()?)
}

/// Three masters, a backup, and a second backend.
struct Scene {
    daemon: Daemon,
    servers: Vec<Server>,
    bind: std::net::SocketAddr,
}

impl Scene {
    fn build(first: u8) -> Fallible<Self> {
        Self::build_with(first, "")
    }

    /// With more keys of `admin`.
    fn build_with(first: u8, more: &str) -> Fallible<Self> {
        let at = |host: u8, port: u16| address(first + host, port);
        let servers: Vec<Server> = (1..=4)
            .map(|host| Server::start(at(host, 6443)))
            .collect::<Fallible<_>>()?;
        let [m1, m2, m3, dr] = [1, 2, 3, 4].map(|host| at(host, 6443));
        let (admin, bind, other) = (at(0, 9000), at(0, 6443), at(0, 9345));
        let daemon = Daemon::start(
            admin,
            &format!(
                "admin: {{address: \"{admin}\"{more}}}
frontends:
- {{name: k8s-api, bind: [\"{bind}\"], backend: k8s-api}}
- {{name: supervisor, bind: [\"{other}\"], backend: supervisor}}
backends:
- name: k8s-api
  balance: leastconn
  check: {{http: {{path: /readyz}}, interval: 200ms}}
  servers:
  - {{name: m1, address: \"{m1}\", maxConnections: 1000}}
  - {{name: m2, address: \"{m2}\", maxConnections: 1000}}
  - {{name: m3, address: \"{m3}\", maxConnections: 1000}}
  - {{name: dr, address: \"{dr}\", backup: true}}
- name: supervisor
  check: {{tcp: {{}}, interval: 200ms}}
  servers:
  - {{name: m1, address: \"{m1}\"}}
  - {{name: m2, address: \"{m2}\"}}
  - {{name: m3, address: \"{m3}\"}}
"
            ),
        )?;
        Ok(Self {
            daemon,
            servers,
            bind,
        })
    }

    fn tab(&self) -> Fallible<Tab> {
        let mut tab = Tab::open(1440, 900)?;
        tab.go(&format!("http://{}/", self.daemon.admin))?;
        tab.until("document.body.dataset.live === 'yes'")?;
        Ok(tab)
    }
}

fn state(server: &str) -> String {
    format!(
        "document.querySelector('tr[data-key=\"k8s-api/{server}\"] .badge').textContent"
    )
}

fn shows() -> Fallible<()> {
    let mut scene = Scene::build(10)?;
    let mut tab = scene.tab()?;
    for server in ["m1", "m2", "m3", "dr"] {
        tab.until(&format!("{} === 'up'", state(server)))?;
    }
    // As the workers' turns fall.
    let _open: Vec<_> = (0..9).map(|_| visit(scene.bind)).collect::<Fallible<_>>()?;
    let open = "[...document.querySelectorAll('tr[data-key^=\"k8s-api/m\"] td:nth-child(4)')].map(c => c.textContent)";
    tab.until(&format!(
        "{open}.every(text => /^\\d+ \\/ 1,000/.test(text)) && {open}.reduce((sum, text) => sum + parseInt(text), 0) === 9"
    ))?;
    tab.until("document.querySelector('tr[data-key=\"k8s-api/m1\"] .graph .stroke').getAttribute('d').length > 10")?;
    // As they change, without being loaded again, and said aloud.
    tab.ask("window.isStillHere = true")?;
    scene.servers[1].status.store(500, Ordering::Relaxed);
    tab.until(&format!("{} === 'draining'", state("m2")))?;
    tab.until(
        "document.getElementById('news').textContent === 'k8s-api/m2 is draining'",
    )?;
    tab.until("document.querySelector('tr[data-key=\"k8s-api/m2\"] td:nth-child(3)').textContent.startsWith('status 500')")?;
    drop(scene.servers.remove(2));
    tab.until(&format!("{} === 'unreachable'", state("m3")))?;
    tab.until("document.title.startsWith('4/7 up')")?;
    assert_eq!(tab.ask("window.isStillHere")?, true);
    // And when api-lb is gone the page says that what it shows is old.
    drop(scene);
    tab.until(
        "document.getElementById('notices').textContent.includes('does not answer')",
    )
}

/// A server in the place of a vip-daemon; both daemons together are `beside`'s.
fn owner() -> Fallible<()> {
    let at = address(139, 9010);
    let status = r#"{"routers": [
        {"name": "api", "addresses": ["192.168.220.224/24"], "state": "active",
         "since": "2026-01-01T00:00:00Z", "holding": true, "heard": null},
        {"name": "web", "addresses": ["<b>10.0.0.1/24"], "state": "backup",
         "since": "2026-01-01T00:00:00Z", "holding": false, "heard": {"from": "10.0.0.12"}}]}"#;
    let vip = Server::saying(at, status.to_owned())?;
    let scene = Scene::build_with(130, &format!(", vipDaemon: \"{at}\""))?;
    let mut tab = scene.tab()?;
    let tile = |router: &str, part: &str| {
        format!("document.querySelector('[data-router={router}] .{part}')?.textContent")
    };
    for (router, part, text) in [
        ("api", "label", "192.168.220.224/24"),
        ("api", "value", "here"),
        ("web", "label", "<b>10.0.0.1/24"),
        ("web", "value", "10.0.0.12"),
    ] {
        tab.until(&format!("{} === '{text}'", tile(router, part)))?;
    }
    drop(vip);
    tab.until("document.querySelector('[data-router]') === null")
}

fn keys() -> Fallible<()> {
    let scene = Scene::build(30)?;
    let mut tab = scene.tab()?;
    let visible = "[...document.querySelectorAll('#backends tbody tr')].filter(r => !r.hidden).length";
    tab.until(&format!("{visible} === 7"))?;
    tab.press("/")?;
    tab.until("document.activeElement.id === 'filter'")?;
    tab.call("Input.insertText", serde_json::json!({"text": "m2"}))?;
    tab.until(&format!("{visible} === 2"))?;
    tab.press("Escape")?;
    tab.until(&format!(
        "{visible} === 7 && document.activeElement === document.body"
    ))?;
    for (key, row) in [
        ("j", "k8s-api/m1"),
        ("j", "k8s-api/m2"),
        ("k", "k8s-api/m1"),
    ] {
        tab.press(key)?;
        tab.until(&format!("document.activeElement.dataset.key === '{row}'"))?;
    }
    // Focus outlives the next look.
    tab.until("(window.began ??= Date.now(), Date.now() - window.began > 2500)")?;
    tab.until("document.activeElement.dataset.key === 'k8s-api/m1'")?;
    tab.press("?")?;
    tab.until("document.getElementById('keys').open")?;
    tab.press("Escape")?;
    tab.press("p")?;
    tab.until(
        "document.getElementById('pause').getAttribute('aria-pressed') === 'true'",
    )?;
    for theme in ["light", "dark", ""] {
        tab.press("t")?;
        tab.until(&format!(
            "(document.documentElement.dataset.theme || '') === '{theme}'"
        ))?;
    }
    // Nobody can sign in here, so nothing offers it.
    assert_eq!(
        tab.ask("document.getElementById('sign').checkVisibility()")?,
        false
    );
    // Everything that can be clicked can be reached by Tab and has a name.
    let nameless = "[...document.querySelectorAll('button, a, input')].filter(n => n.checkVisibility()).filter(n => n.tabIndex < 0 || !(n.textContent.trim() || n.labels?.length)).length";
    assert_eq!(tab.ask(nameless)?, 0);
    Ok(())
}

/// Signing in, draining, enabling, signing out: with the keys of a person.
fn acts() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("passwords");
    let mut set = Command::new(lab::binaries::own("api-lb")?)
        .args(["password", "anna", "--file"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    set.stdin
        .take()
        .ok_or("no pipe")?
        .write_all(b"correct horse\n")?;
    assert!(set.wait()?.success());
    let scene = Scene::build_with(110, &format!(", passwordFile: {}", file.display()))?;
    let mut tab = scene.tab()?;
    let buttons = "document.querySelectorAll('.acts button').length";
    tab.until("!document.getElementById('sign').hidden")?;
    assert_eq!(tab.ask(buttons)?, 0);
    for (password, then) in [
        (
            "wrong horse",
            "document.getElementById('signing-said').textContent === 'wrong user or password'",
        ),
        ("correct horse", "!document.getElementById('signing').open"),
    ] {
        let fill = format!(
            "(() => {{ if (!document.getElementById('signing').open) document.getElementById('sign').click(); document.getElementById('user').value = 'anna'; document.getElementById('password').value = '{password}'; document.querySelector('#signing-form button[type=submit]').click(); }})()"
        );
        tab.ask(&fill)?;
        tab.until(then)?;
    }
    tab.until(&format!("{buttons} === 14"))?;
    let press = |name: &str| {
        format!(
            "document.querySelector('button[aria-label=\"{name} k8s-api/m2\"]').click()"
        )
    };
    let tags = "document.querySelector('tr[data-key=\"k8s-api/m2\"] .tag').textContent";
    tab.ask(&press("drain"))?;
    tab.until(&format!("{tags} === 'ordered: drain'"))?;
    tab.ask(&press("enable"))?;
    tab.until(&format!("{tags} !== 'ordered: drain'"))?;
    tab.ask("document.getElementById('sign').click()")?;
    tab.until(&format!(
        "{buttons} === 0 && document.getElementById('sign').textContent === 'Sign in'"
    ))
}

/// The contrast of each text with what is behind it, least first (WCAG 2.2).
const CONTRAST: &str = "(() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const behind = (n) => { let stack = []; for (; n; n = n.parentElement) { const c = parse(getComputedStyle(n).backgroundColor); if (c[3] === 0) continue; stack.push(c); if (c[3] === undefined || c[3] === 1) break; } let base = (stack.pop() || [255, 255, 255]).slice(0, 3); while (stack.length) { const [r, g, b, a] = stack.pop(); base = [r, g, b].map((v, i) => v * a + base[i] * (1 - a)); } return base; };
  const texts = [...document.querySelectorAll('body *')].filter(n => n.checkVisibility() && !n.closest('.unseen, kbd, svg') && [...n.childNodes].some(c => c.nodeType === 3 && c.data.trim()));
  const all = texts.map(n => { const a = light(parse(getComputedStyle(n).color)), b = light(behind(n)); return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), n.className + ' ' + n.textContent.slice(0, 30)]; });
  all.sort((a, b) => a[0] - b[0]);
  return all[0];
})()";

fn colours() -> Fallible<()> {
    let scene = Scene::build(50)?;
    let _open: Vec<_> = (0..12)
        .map(|_| visit(scene.bind))
        .collect::<Fallible<_>>()?;
    scene.servers[1].status.store(500, Ordering::Relaxed);
    let mut tab = scene.tab()?;
    tab.until(&format!("{} === 'draining'", state("m2")))?;
    let wide = "[...document.querySelectorAll('.scroll')].filter(n => n.scrollWidth > n.clientWidth).length";
    assert_eq!(tab.ask(wide)?, 0, "a table is wider than the window");
    let folder = lab::binaries::output("page");
    std::fs::create_dir_all(&folder)?;
    for (scheme, dark) in [("light", false), ("dark", true)] {
        tab.prefer(scheme)?;
        let is_dark = "Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) < 60";
        tab.until(&format!("({is_dark}) === {dark}"))?;
        let least = tab.ask(CONTRAST)?;
        assert!(least[0].as_f64() >= Some(4.5), "{scheme}: {least}");
        let picture = tab.picture()?;
        assert!(picture.len() > 20_000, "{}", picture.len());
        std::fs::write(folder.join(format!("{scheme}.png.base64")), picture)?;
    }
    Ok(())
}

fn closed() -> Fallible<()> {
    let scene = Scene::build(70)?;
    let mut tab = scene.tab()?;
    let own = format!("http://{}/", scene.daemon.admin);
    // What an injected name could try, at somebody who listens and must not be asked.
    let elsewhere = TcpListener::bind(address(79, 9999))?;
    elsewhere.set_nonblocking(true)?;
    let theirs = format!("http://{}/", elsewhere.local_addr()?);
    tab.ask("window.refused = []; document.addEventListener('securitypolicyviolation', e => refused.push(e.effectiveDirective)); true")?;
    let inject = format!(
        "(() => {{ const s = document.createElement('script'); s.textContent = 'window.isIn = true'; document.body.append(s); const i = new Image(); i.src = '{theirs}x.png'; document.body.append(i); return window.isIn === true; }})()"
    );
    assert_eq!(tab.ask(&inject)?, false);
    let fetch = format!("fetch('{theirs}').then(() => 'out', () => 'kept')");
    assert_eq!(tab.ask(&fetch)?, "kept");
    tab.until("refused.length > 2")?;
    assert_eq!(
        tab.ask("refused.sort().join(' ')")?,
        "connect-src img-src script-src-elem"
    );
    assert!(elsewhere.accept().is_err(), "somebody else was asked");
    let foreign = tab.requests.iter().filter(|url| {
        let known = [own.as_str(), theirs.as_str(), "about:"];
        !known.iter().any(|start| url.starts_with(start))
    });
    let foreign: Vec<&String> = foreign.collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    let complaints = tab
        .complaints
        .iter()
        .filter(|text| !text.contains("Content Security Policy"));
    let complaints: Vec<&String> = complaints
        .filter(|text| !text.contains("favicon"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}
