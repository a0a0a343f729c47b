//! The configuration: [`File`] as it is written, [`Config`] as it is meant.

mod meant;

pub use meant::{
    Backend, Balance, Check, CheckKind, Config, Dial, Format, Frontend, HttpCheck,
    Keepalive, Log, Server, Switch, Tcp, TlsCheck,
};
