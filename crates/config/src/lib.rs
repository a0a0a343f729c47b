//! Reads configuration files: YAML, with the file, line and key of every error.
//!
//! ```text
//! text ──tree──▶ Node (line per value) ──read──▶ T as written ──owner──▶ what the program runs on
//!        │                       │                                │
//!        └── not YAML, twice,    └── unknown key, wrong type,     └── Source::error(path, problem)
//!            too deep, too large     missing key
//! ```
//!
//! A file's type `T` derives `Deserialize` and mirrors the text. Keys that a struct
//! does not name are refused without `deny_unknown_fields`. `flatten`, `untagged` and
//! internally tagged enums are not for these types: serde buffers their content and
//! the lines are lost. For "exactly one of these keys" write a struct of `Option`s and
//! ask [`Source::one_of`].

mod address;
mod document;
mod error;
mod fault;
mod imported;
mod nearest;
mod path;
mod period;
mod quantity;
mod reader;
mod size;
mod text;
mod tree;

pub use address::{Address, AddressError};
pub use document::{API_VERSION, Document, Source, parse, parse_foreign, read};
pub use error::{Error, Errors};
pub use imported::{Finding, Report, Verdict};
pub use nearest::suggest;
pub use path::KeyPath;
pub use period::Period;
pub use quantity::QuantityError;
pub use size::Size;
pub use text::unprintable;
