//! VRRP without a clock or a socket: packets and the state machine.
