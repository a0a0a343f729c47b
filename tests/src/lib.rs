//! The lab: hosts, faults, probers and scenarios.
