//! Keys, certificates and requests as values.
