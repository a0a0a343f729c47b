//! What a driver does to the world, as a trait: performed on a real machine by
//! [`crate::linux::Linux`], recorded by the tests.

use std::io;
use std::net::IpAddr;

use vrrp::Priority;
use vrrp::packet::{Checksum, Envelope};

use crate::config::{Address, Router};
use crate::linux::{Link, RequestError};

/// The deeds of one router. Each returns at once: a driver that waits is a driver that
/// is late.
pub trait Effects {
    /// Sends one advert with this priority to every destination.
    ///
    /// # Errors
    /// [`Failure::Send`].
    fn advertise(
        &mut self,
        priority: Priority,
        checksum: Checksum,
    ) -> Result<(), Failure>;

    /// Puts the addresses on the interface; those that are there stay.
    ///
    /// # Errors
    /// [`Failure::Netlink`].
    fn acquire(&mut self) -> Result<(), Failure>;

    /// Gives the addresses that are held a new lifetime. Called only while they are held:
    /// the kernel creates what it does not find.
    ///
    /// # Errors
    /// [`Failure::Netlink`].
    fn renew(&mut self) -> Result<(), Failure>;

    /// Takes the addresses off the interface; those that are not there are no error.
    ///
    /// # Errors
    /// [`Failure::Netlink`].
    fn release(&mut self) -> Result<(), Failure>;

    /// Takes those addresses off the interface that `router` does not hold, or elsewhere, or
    /// otherwise.
    ///
    /// # Errors
    /// [`Failure::Netlink`].
    fn release_but(&mut self, router: &Router) -> Result<(), Failure>;

    /// Sends one burst of announcements.
    ///
    /// # Errors
    /// [`Failure::Send`].
    fn announce(&mut self) -> Result<(), Failure>;

    /// Makes the peers of a unicast group known to this host and this host to them, and
    /// forgets which neighbours did not answer. A host that was away is asked for once a
    /// second only, and an advert (or an answer to a client) that waits for it is late.
    ///
    /// # Errors
    /// [`Failure::Netlink`], [`Failure::Send`].
    fn greet(&mut self) -> Result<(), Failure>;

    /// Asks the network who has the addresses; whoever does is heard by the witness.
    /// Returns those that could be asked for: on an interface without neighbours nobody is.
    ///
    /// # Errors
    /// [`Failure::Send`].
    fn probe(&mut self) -> Result<Vec<IpAddr>, Failure>;

    /// Is this our own hardware address?
    fn is_us(&self, mac: [u8; 6]) -> bool;

    /// Takes on what has changed about an interface of ours. Is its hardware address
    /// another than before? Then neighbours send to one that nobody has.
    fn follow(&mut self, link: &Link) -> bool;

    /// Looks at the interface.
    ///
    /// # Errors
    /// [`Failure::Netlink`].
    fn survey(&mut self) -> Result<Survey, Failure>;
}

/// Why a deed was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A frame or datagram was not sent.
    #[error("cannot send")]
    Send(#[source] io::Error),
    /// The kernel refused a change.
    #[error(transparent)]
    Netlink(RequestError),
}

/// The state of the interface, and of those that addresses are put on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// It, if it is still there.
    pub link: Option<Link>,
    /// Another one, that addresses are put on, is not there.
    pub homeless: bool,
    /// The address that adverts come from is on it.
    pub source: bool,
    /// Addresses of this router that carry our mark.
    pub ours: Vec<Address>,
    /// Addresses of this router that are on this host by another's hand, on whichever
    /// interface: neighbours are answered for them whatever the router does.
    pub foreign: Vec<Address>,
    /// Addresses of this router that are not there.
    pub missing: Vec<Address>,
}

/// What came off the wire, taken out of its IP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// What the IP header says.
    pub envelope: Envelope,
    /// The VRRP message.
    pub payload: Vec<u8>,
}
