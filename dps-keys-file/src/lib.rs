//! Keys for values at rest, in a file.
