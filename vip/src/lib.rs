//! VRRP with an address that cannot be left behind.
