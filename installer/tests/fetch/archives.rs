//! Archives, good ones and such as no release is.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::Tried;

/// Octets of a header, and where in it its own sum of octets stands (ustar).
const HEADER: usize = 512;
const SUM: std::ops::Range<usize> = 148..156;

pub(crate) fn tar(members: impl Iterator<Item = (String, Vec<u8>)>) -> Tried<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, content) in members {
        let mut header = Header::new_gnu();
        header.set_size(u64::try_from(content.len())?);
        header.set_mode(0o755);
        header.set_cksum();
        builder.append_data(&mut header, path, content.as_slice())?;
    }
    Ok(builder.into_inner()?)
}

/// One member with a few octets.
pub(crate) fn one(path: &str) -> Tried<Vec<u8>> {
    tar([(path.to_owned(), b"etcd".to_vec())].into_iter())
}

pub(crate) fn gzip(bytes: &[u8]) -> Tried<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// `bin/etcd`, which is a link out of the archive.
pub(crate) fn link(kind: EntryType) -> Tried<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    builder.append_link(&mut header, "bin/etcd", "/etc/passwd")?;
    Ok(builder.into_inner()?)
}

/// `../bin/etcd`, which no builder would write: its header is written over.
pub(crate) fn outside() -> Tried<Vec<u8>> {
    let mut bytes = one("aa/bin/etcd")?;
    bytes.splice(0..2, *b"..");
    // The sum counts as blanks in itself.
    let octet = |(place, octet): (usize, &u8)| match SUM.contains(&place) {
        true => u32::from(b' '),
        false => u32::from(*octet),
    };
    let sum: u32 = bytes.iter().take(HEADER).enumerate().map(octet).sum();
    bytes.splice(SUM, format!("{sum:06o}\0 ").into_bytes());
    Ok(bytes)
}

/// `bin/etcd`, which says that it has 2 GiB.
pub(crate) fn huge() -> Tried<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_path("bin/etcd")?;
    header.set_size(2 << 30);
    header.set_cksum();
    builder.append(&header, std::io::empty())?;
    Ok(builder.into_inner()?)
}
