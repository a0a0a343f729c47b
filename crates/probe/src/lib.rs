//! One health check: tcp, tls or https, and every way it can end.
