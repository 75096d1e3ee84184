//! The command, from files to exit code.
