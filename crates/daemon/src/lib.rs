//! Being a good daemon: logs, signals, readiness, metrics, status.
