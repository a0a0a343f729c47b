//! What a method and a path ask for: a decision, with every way to be refused.

use hyper::Method;

/// The doors there are. What may be asked depends on the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// A TCP listener: reading only.
    Tcp,
    /// A TCP listener with TLS: reading, and what one who has signed in may do.
    Tls,
    /// The unix socket: commands too.
    Socket,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Live,
    Ready,
    Metrics,
    Status,
    Command(&'static str),
    /// 404.
    Nowhere,
    /// 405: the path is read with GET and HEAD.
    ReadOnly,
    /// 405: the path is a command, which takes POST.
    PostOnly,
    /// 405: the path is a command, which the unix socket takes.
    SocketOnly,
}

/// The paths that are read.
pub(crate) const PAGES: [(&str, Route); 4] = [
    ("/livez", Route::Live),
    ("/readyz", Route::Ready),
    ("/metrics", Route::Metrics),
    ("/status", Route::Status),
];

/// Finds the way for one request.
pub(crate) fn route(
    door: Door,
    method: &Method,
    path: &str,
    commands: &'static [&'static str],
) -> Route {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if let Some((_, page)) = PAGES.iter().find(|(page, _)| *page == path) {
        return if reads { *page } else { Route::ReadOnly };
    }
    let name = path.strip_prefix('/').unwrap_or_default();
    match commands.iter().find(|command| **command == name) {
        None => Route::Nowhere,
        Some(_) if door != Door::Socket => Route::SocketOnly,
        Some(command) if *method == Method::POST => Route::Command(command),
        Some(_) => Route::PostOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way() {
        for (door, method, path, expected) in [
            (Door::Tcp, Method::GET, "/livez", Route::Live),
            (Door::Tcp, Method::HEAD, "/readyz", Route::Ready),
            (Door::Socket, Method::GET, "/metrics", Route::Metrics),
            (Door::Socket, Method::GET, "/status", Route::Status),
            (Door::Tcp, Method::POST, "/status", Route::ReadOnly),
            (Door::Socket, Method::POST, "/status", Route::ReadOnly),
            (Door::Socket, Method::DELETE, "/livez", Route::ReadOnly),
            (
                Door::Socket,
                Method::POST,
                "/drain",
                Route::Command("drain"),
            ),
            (Door::Socket, Method::GET, "/drain", Route::PostOnly),
            (Door::Tcp, Method::POST, "/drain", Route::SocketOnly),
            (Door::Tcp, Method::GET, "/drain", Route::SocketOnly),
            (Door::Tls, Method::POST, "/drain", Route::SocketOnly),
            (Door::Socket, Method::POST, "drain", Route::Nowhere),
            (Door::Socket, Method::POST, "/drain/", Route::Nowhere),
            (Door::Socket, Method::POST, "//drain", Route::Nowhere),
            (Door::Socket, Method::GET, "/livez/", Route::Nowhere),
            (Door::Tcp, Method::GET, "/", Route::Nowhere),
            (Door::Tcp, Method::OPTIONS, "*", Route::Nowhere),
            (Door::Tcp, Method::GET, "", Route::Nowhere),
        ] {
            assert_eq!(
                route(door, &method, path, &["drain"]),
                expected,
                "{method} {path}"
            );
        }
    }
}
