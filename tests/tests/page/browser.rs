//! A browser without a screen, driven over two pipes (the DevTools protocol): messages of
//! JSON, each ended by a zero byte.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use lab::requirement::browser;
use serde_json::{Value, json};

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A browser starts in a second; a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Messages that wait for the test.
const MESSAGES: usize = 10_000;

/// One tab of a browser of its own; killed with all its processes when dropped.
pub(crate) struct Tab {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// The requests and complaints that the page has made so far.
    pub(crate) requests: Vec<String>,
    pub(crate) complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Tab {
    /// A tab with nothing in it.
    pub(crate) fn open(width: u32, height: u32) -> Fallible<Self> {
        let profile = tempfile::tempdir()?;
        // The protocol wants descriptors 3 and 4, which the shell can make of 0 and 1. The
        // process group goes with the shell's parent, so nothing outlives the test.
        let script = "exec setpriv --pdeathsig KILL \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .arg(browser().join("chromium"))
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                "--disable-background-networking",
                "--ignore-certificate-errors",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let commands = child.stdin.take().ok_or("no pipe")?;
        let answers = child.stdout.take().ok_or("no pipe")?;
        let (sender, messages) = sync_channel(MESSAGES);
        std::thread::spawn(move || {
            let parts = BufReader::new(answers).split(0).map_while(Result::ok);
            for message in parts.filter_map(|text| serde_json::from_slice(&text).ok()) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut tab = Self {
            child,
            commands,
            messages,
            session: None,
            last: 0,
            requests: vec![],
            complaints: vec![],
            _profile: profile,
        };
        tab.attach(width, height)?;
        Ok(tab)
    }

    fn attach(&mut self, width: u32, height: u32) -> Fallible<()> {
        let made = self.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let target = made["targetId"].clone();
        let attached = json!({"targetId": target, "flatten": true});
        let session = self.call("Target.attachToTarget", attached)?;
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Log", "Runtime"] {
            self.call(&format!("{domain}.enable"), json!({}))?;
        }
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size)
            .map(drop)
    }

    /// Calls a method of the protocol.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Fallible<Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.commands.write_all(message.to_string().as_bytes())?;
        self.commands.write_all(&[0])?;
        self.commands.flush()?;
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let answer = self
                .messages
                .recv_timeout(left)
                .map_err(|e| format!("{method}: {e}"))?;
            self.note(&answer);
            if answer["id"] == self.last {
                return match answer.get("error") {
                    Some(error) => Err(format!("{method}: {error}").into()),
                    None => Ok(answer["result"].clone()),
                };
            }
        }
    }

    fn note(&mut self, message: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match message["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                self.requests
                    .push(text(&message["params"]["request"]["url"]));
            }
            Some("Log.entryAdded") => {
                self.complaints
                    .push(text(&message["params"]["entry"]["text"]));
            }
            Some("Runtime.exceptionThrown") => {
                self.complaints
                    .push(message["params"]["exceptionDetails"].to_string());
            }
            Some(_) | None => {}
        }
    }

    /// Goes to a page.
    pub(crate) fn go(&mut self, url: &str) -> Fallible<()> {
        self.call("Page.navigate", json!({"url": url})).map(drop)
    }

    /// What an expression of the page's own language says.
    pub(crate) fn ask(&mut self, expression: &str) -> Fallible<Value> {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params)?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(format!("{expression}: {details}").into()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, expression: &str) -> Fallible<()> {
        let waiting = format!(
            "new Promise((done, fail) => {{ const began = Date.now(); const look = () => {{ let is = false; try {{ is = !!({expression}); }} catch {{}} if (is) done(true); else if (Date.now() - began > 30000) fail(new Error(document.body.innerText.slice(0, 300))); else setTimeout(look, 20); }}; look(); }})"
        );
        self.ask(&waiting)
            .map(drop)
            .map_err(|error| format!("{expression}: {error}").into())
    }

    /// Presses a key and lets it go.
    pub(crate) fn press(&mut self, key: &str) -> Fallible<()> {
        let text = if key.chars().count() == 1 { key } else { "" };
        // What the browser itself does with a key goes by its number.
        let number = if key == "Escape" { 27 } else { 0 };
        for (kind, text) in [("keyDown", text), ("keyUp", "")] {
            let event = json!({"type": kind, "key": key, "text": text, "windowsVirtualKeyCode": number});
            self.call("Input.dispatchKeyEvent", event)?;
        }
        Ok(())
    }

    /// As if the system were set to light or dark.
    pub(crate) fn prefer(&mut self, scheme: &str) -> Fallible<()> {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}))
            .map(drop)
    }

    /// What it looks like, PNG in base64.
    pub(crate) fn picture(&mut self) -> Fallible<String> {
        let params = json!({"format": "png"});
        let answer = self.call("Page.captureScreenshot", params)?;
        Ok(answer["data"].as_str().unwrap_or_default().to_owned())
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        // It takes its own processes with it; killed, it would leave them to find out.
        self.session = None;
        let _ = self.call("Browser.close", json!({}));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
