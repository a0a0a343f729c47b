//! Reads configuration: YAML with the file, line and key of every error.
