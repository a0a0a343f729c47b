//! What stands in the columns of haproxy's table.

use std::collections::HashMap;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::rig::{Fallible, Lb, PATIENCE, loopback, run_to_end};
use crate::servers::{Answer, Web, reset};

/// A line of the table: its cells by their columns.
type Row = HashMap<String, String>;

/// The line of this proxy and server.
async fn row(lb: &Lb, proxy: &str, name: &str) -> Fallible<Row> {
    let table = lb.get("/stats;csv").await?;
    let mut lines = table.as_str().ok_or("no text")?.lines();
    let columns = lines.next().ok_or("no columns")?.trim_start_matches("# ");
    let head = format!("{proxy},{name},");
    let line = lines.find(|line| line.starts_with(&head)).ok_or("no row")?;
    let cells = line.split(',').map(str::to_owned);
    Ok(columns.split(',').map(str::to_owned).zip(cells).collect())
}

/// Waits until these stand there.
async fn holds(
    lb: &Lb,
    (proxy, name): (&str, &str),
    wanted: &[(&str, &str)],
) -> Fallible<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let row = row(lb, proxy, name).await?;
        let other = wanted.iter().find(|(column, value)| row[*column] != *value);
        let Some((column, value)) = other else {
            return Ok(());
        };
        if Instant::now() > until {
            let is = &row[*column];
            return Err(format!("{proxy}/{name}: {column} is {is}, not {value}").into());
        }
    }
}

fn order(lb: &Lb, order: &str, server: &str) -> Fallible<()> {
    let socket = lb.socket().display().to_string();
    let (code, _, error) = run_to_end(&[order, server, "--socket", &socket])?;
    assert_eq!(code, 0, "{error}");
    Ok(())
}

async fn served(bind: std::net::SocketAddr) -> Fallible<TcpStream> {
    let mut client = TcpStream::connect(bind).await?;
    client.write_all(b"hello").await?;
    client.read_exact(&mut [0; 5]).await?;
    Ok(client)
}

/// Two frontends, of which one wants TLS, before two servers.
struct Stage {
    lb: Lb,
    plain: std::net::SocketAddr,
    tls: std::net::SocketAddr,
    bad: std::net::SocketAddr,
    servers: [Web; 2],
}

impl Stage {
    async fn new() -> Fallible<Self> {
        let (plain, tls, bad) = (loopback(6443), loopback(6443), loopback(0));
        let servers = [
            Web::start(Answer::Status(200)).await?,
            Web::start(Answer::Status(200)).await?,
        ];
        let [s0, s1] = servers.each_ref().map(|server| server.address);
        let mut lb = Lb::start(&format!(
            "admin: {{address: \"{}\", statsPath: \"/haproxy?stats\"}}\n\
             frontends:\n\
             - {{name: f, bind: [\"{plain}\"], backend: b, maxConnections: 500, maxRate: 300, deny: [\"{}\"]}}\n\
             - {{name: g, bind: [\"{tls}\"], backend: b, tls: {{only: on}}}}\n\
             backends:\n\
             - name: b\n\
             \x20 check: {{http: {{}}, interval: 50ms, timeout: 2s, rise: 3, fall: 2}}\n\
             \x20 queue: {{length: 7}}\n\
             \x20 servers:\n\
             \x20 - {{name: s0, address: \"{s0}\", weight: 3, maxConnections: 40}}\n\
             \x20 - {{name: s1, address: \"{s1}\", backup: true}}\n",
            loopback(9000),
            bad.ip()
        ))?;
        lb.enters("s0", "up")?;
        lb.enters("s1", "up")?;
        Ok(Self {
            lb,
            plain,
            tls,
            bad,
            servers,
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_came_and_who_was_turned_away() -> Fallible<()> {
    let stage = Stage::new().await?;
    let lb = &stage.lb;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(served(stage.plain).await?);
    }
    let denied = TcpSocket::new_v4()?;
    denied.bind(stage.bad)?;
    // The reset may come before the connect is seen to have succeeded.
    if let Ok(mut denied) = denied.connect(stage.plain).await {
        assert!(denied.read_u8().await.is_err());
    }
    let mut plain = TcpStream::connect(stage.tls).await?;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    assert!(plain.read_u8().await.is_err());
    let front = ("f", "FRONTEND");
    let limits = [("slim", "500"), ("rate_lim", "300"), ("status", "OPEN")];
    holds(lb, front, &limits).await?;
    let came = [("scur", "3"), ("stot", "4"), ("conn_tot", "4")];
    holds(lb, front, &came).await?;
    holds(lb, front, &[("dcon", "1"), ("ereq", "0"), ("smax", "3")]).await?;
    holds(
        lb,
        ("g", "FRONTEND"),
        &[("dcon", "0"), ("ereq", "1"), ("slim", "")],
    )
    .await?;
    let server = [("scur", "3"), ("stot", "3"), ("lbtot", "3"), ("slim", "40")];
    holds(lb, ("b", "s0"), &server).await?;
    reset(clients.pop().ok_or("nobody")?)?;
    drop(clients);
    // A backend's share is that of its servers.
    for row in [front, ("b", "s0"), ("b", "BACKEND")] {
        let over = [
            ("scur", "0"),
            ("bin", "15"),
            ("bout", "15"),
            ("cli_abrt", "1"),
        ];
        holds(lb, row, &over).await?;
    }
    // The most that there were stays; a rate is told from the second second on.
    let until = Instant::now() + PATIENCE;
    loop {
        let row = row(lb, "f", "FRONTEND").await?;
        let most = |column: &str| row[column].parse::<u64>();
        assert!(most("smax")? >= 3, "{}", row["smax"]);
        if most("rate_max")? > 0 {
            assert_eq!(row["rate_max"], row["conn_rate_max"]);
            return Ok(());
        }
        assert!(Instant::now() < until, "no second has a rate");
        served(stage.plain).await?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_servers_stand_and_how_often_they_fell() -> Fallible<()> {
    let stage = Stage::new().await?;
    let (lb, server) = (&stage.lb, ("b", "s0"));
    let answers = |answer| stage.servers[0].answer.send_replace(answer);
    let own = [
        ("status", "UP"),
        ("weight", "3"),
        ("act", "1"),
        ("bck", "0"),
        ("chkfail", "0"),
        ("chkdown", "0"),
        ("check_status", "L7OK"),
        ("check_desc", "Layer7 check passed"),
        ("check_rise", "3"),
        ("check_fall", "2"),
    ];
    holds(lb, server, &own).await?;
    holds(lb, ("b", "s1"), &[("act", "0"), ("bck", "1"), ("slim", "")]).await?;
    let both = [
        ("act", "1"),
        ("bck", "1"),
        ("qlimit", "7"),
        ("algo", "roundrobin"),
    ];
    holds(lb, ("b", "BACKEND"), &both).await?;

    // It says that it is not ready, which is no fall.
    answers(Answer::Status(503));
    let draining = [("status", "NOLB"), ("check_status", "L7STS")];
    holds(lb, server, &draining).await?;
    holds(lb, server, &[("check_code", "503"), ("chkdown", "0")]).await?;
    answers(Answer::Silence);
    holds(
        lb,
        server,
        &[("status", "DOWN"), ("check_status", "L7TOUT")],
    )
    .await?;
    holds(lb, server, &[("chkdown", "1")]).await?;
    holds(
        lb,
        ("b", "BACKEND"),
        &[("act", "0"), ("bck", "1"), ("status", "UP")],
    )
    .await?;
    answers(Answer::Status(200));
    holds(lb, server, &[("status", "UP"), ("chkdown", "1")]).await?;
    let failed = row(lb, "b", "s0").await?["chkfail"].parse::<u64>()?;
    assert!(failed >= 3, "{failed}");
    answers(Answer::Gone);
    let gone = [
        ("status", "DOWN"),
        ("check_status", "L4CON"),
        ("chkdown", "2"),
    ];
    holds(lb, server, &gone).await?;

    // By order, which is no fall either.
    order(lb, "drain", "s1")?;
    holds(lb, ("b", "s1"), &[("status", "DRAIN"), ("chkdown", "0")]).await?;
    order(lb, "disable", "s1")?;
    holds(lb, ("b", "s1"), &[("status", "MAINT"), ("chkdown", "0")]).await?;
    holds(
        lb,
        ("b", "BACKEND"),
        &[("status", "DOWN"), ("act", "0"), ("bck", "0")],
    )
    .await
}

/// Where it always is, where haproxy's readers look for it, and where the file says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_at_each_of_its_places() -> Fallible<()> {
    let stage = Stage::new().await?;
    let get = async |path: &str| stage.lb.get(path).await;
    for path in ["/", "/stats", "/haproxy?stats"] {
        let page = get(path).await?;
        assert!(
            page.as_str().is_some_and(|p| p.starts_with("<!doctype")),
            "{path}"
        );
        for more in [";csv", ";csv;norefresh"] {
            let table = get(&format!("{path}{more}")).await?;
            let table = table.as_str().ok_or("no text")?;
            assert!(table.starts_with("# pxname,svname,"), "{path}{more}");
        }
    }
    for path in ["/haproxy", "/haproxy?other", "/stats;xml"] {
        assert!(get(path).await.is_err(), "{path}");
    }
    Ok(())
}
