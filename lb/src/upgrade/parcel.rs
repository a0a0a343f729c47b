//! A state and its sockets on their way through an exec, all of them close-on-exec.
//!
//! ```text
//!   standard input ◀── one message: the reading ends of the carriers
//!     carrier 1    ◀── messages of descriptors: blob, old program, listeners, connections …
//!     carrier 2    ◀── …
//! ```
//!
//! Descriptors travel in messages of a unix socket (`unix(7)`, SCM_RIGHTS), so that none has to
//! be named by its number, none has to lose close-on-exec, and the next image owns what it
//! receives. A socket takes some 250 messages before it is full; a carrier has fewer, and
//! there are as many carriers as it takes.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    recvmsg, sendmsg, socketpair,
};

/// Descriptors in one message; the kernel takes 253.
const TOGETHER: usize = 250;
/// Messages in one carrier: far fewer than its queue takes, and enough that the carriers of a
/// million descriptors go into one message.
const MESSAGES: usize = 16;
/// The most that is read of a blob: a million connections take a third of it.
const LARGEST: u64 = 1 << 30;

/// What goes through an exec.
#[derive(Debug)]
pub struct Parcel {
    /// A [`super::State`] as bytes.
    pub blob: OwnedFd,
    /// The program that wrote it, for the way back.
    pub program: OwnedFd,
    /// The sockets, in the order of the state.
    pub sockets: Vec<OwnedFd>,
}

/// Bytes in memory that a descriptor stands for.
///
/// # Errors
/// When there is no memory or no descriptor.
pub fn memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("api-lb-state", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// The bytes of a descriptor, from its beginning on.
///
/// # Errors
/// When it cannot be read, or is larger than any state.
pub fn bytes_of(file: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut file = File::from(file.try_clone_to_owned()?);
    // A pipe cannot be wound back, and is at its beginning.
    let _ = file.rewind();
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if read as u64 > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

impl Parcel {
    /// Packs everything into sockets; what is returned is the reading end, for the standard
    /// input of the next image. The descriptors of the parcel stay open here.
    ///
    /// # Errors
    /// When the kernel has no descriptors or lets no more travel.
    pub fn send(&self) -> io::Result<OwnedFd> {
        let first = [self.blob.as_fd(), self.program.as_fd()];
        let sockets = self.sockets.iter().map(AsFd::as_fd);
        let all: Vec<BorrowedFd<'_>> = first.into_iter().chain(sockets).collect();
        let mut carriers = Vec::new();
        for part in all.chunks(TOGETHER * MESSAGES) {
            let (reader, writer) = pair()?;
            for message in part.chunks(TOGETHER) {
                put(&writer, message)?;
            }
            carriers.push(reader);
        }
        let (reader, writer) = pair()?;
        let carriers: Vec<BorrowedFd<'_>> = carriers.iter().map(AsFd::as_fd).collect();
        for message in carriers.chunks(TOGETHER) {
            put(&writer, message)?;
        }
        Ok(reader)
    }

    /// Unpacks what [`Parcel::send`] packed.
    ///
    /// # Errors
    /// When there is nothing, or it breaks off.
    pub fn receive(from: impl AsFd) -> io::Result<Self> {
        let mut all = Vec::new();
        for carrier in take(from)? {
            all.append(&mut take(carrier)?);
        }
        let mut all = all.into_iter();
        let (Some(blob), Some(program)) = (all.next(), all.next()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        Ok(Self {
            blob,
            program,
            sockets: all.collect(),
        })
    }
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

fn put(into: &OwnedFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(TOGETHER))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // A message of a stream needs a byte that carries it.
    let byte = [IoSlice::new(b"d")];
    sendmsg(into, &byte, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// All descriptors of a socket whose other end is closed.
fn take(from: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::new();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(TOGETHER))];
    // Ends because the queue does: the other end was closed before the exec.
    loop {
        let mut byte = [0];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let got = recvmsg(
            &from,
            &mut [IoSliceMut::new(&mut byte)],
            &mut ancillary,
            flags,
        )?;
        let before = all.len();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                all.extend(descriptors);
            }
        }
        match (got.bytes, all.len() > before) {
            (0, _) => return Ok(all),
            (_, true) => {}
            // Cut short by the limit of open files.
            (_, false) => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(sockets: usize) -> Parcel {
        Parcel {
            blob: memory(b"state").unwrap(),
            program: File::open("/proc/self/exe").unwrap().into(),
            sockets: (0..sockets)
                .map(|n| memory(&n.to_be_bytes()).unwrap())
                .collect(),
        }
    }

    #[test]
    fn all_arrive_in_their_order() {
        for count in [0, 1, TOGETHER - 2, TOGETHER - 1, 3 * TOGETHER] {
            let sent = parcel(count).send().unwrap();
            let got = Parcel::receive(&sent).unwrap();
            assert_eq!(bytes_of(got.blob.as_fd()).unwrap(), b"state");
            assert_eq!(got.sockets.len(), count);
            for (n, socket) in got.sockets.iter().enumerate() {
                assert_eq!(bytes_of(socket.as_fd()).unwrap(), n.to_be_bytes());
                let flags = rustix::io::fcntl_getfd(socket).unwrap();
                assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
            }
        }
    }

    /// The same descriptor again and again: it is the messages that count.
    #[test]
    fn more_than_one_carrier_takes() {
        let one = memory(b"one").unwrap();
        let count = TOGETHER * MESSAGES + 7;
        let limits = crate::limits::Limits::raise();
        assert!(
            limits.open_files > 2 * count as u64,
            "raise the limit of open files"
        );
        let again = (0..count).map(|_| one.try_clone());
        let sockets = again.collect::<io::Result<Vec<_>>>().unwrap();
        let parcel = Parcel {
            sockets,
            ..parcel(0)
        };
        let sent = parcel.send().unwrap();
        drop(parcel);
        assert_eq!(Parcel::receive(&sent).unwrap().sockets.len(), count);
    }

    #[test]
    fn what_is_no_parcel_is_refused() {
        let (reader, writer) = pair().unwrap();
        drop(writer);
        assert!(Parcel::receive(&reader).is_err());
        let (reader, writer) = pair().unwrap();
        rustix::io::write(&writer, b"hello").unwrap();
        drop(writer);
        assert!(Parcel::receive(&reader).is_err());
        assert!(Parcel::receive(File::open("/dev/null").unwrap()).is_err());
    }
}
