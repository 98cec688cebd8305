//! The caps of a transformation; each has an error that names it.
//!
//! Unit tests have smaller ones, which a stylesheet reaches in no time.

/// Most instructions one transformation may run.
pub(crate) const MAX_STEPS: u64 = if cfg!(test) { 5_000_000 } else { 50_000_000 };
/// Most nodes in results and temporary trees.
pub(crate) const MAX_NODES: u64 = if cfg!(test) { 100_000 } else { 10_000_000 };
/// Most characters of text in results and temporary trees, in bytes.
pub(crate) const MAX_TEXT: u64 = if cfg!(test) { 1 << 20 } else { 512 << 20 };
/// Deepest nesting of template and function calls.
pub(crate) const MAX_DEPTH: u32 = 50_000;
/// Stack a transformation may use on the thread of its caller; what needs more is run again on a thread of its own.
pub(crate) const INLINE_STACK: usize = 192 << 10;
/// Stack of that thread.
pub(crate) const LARGE_STACK: usize = 160 << 20;
/// What of it templates may use; the rest is for a last expression.
pub(crate) const USABLE_STACK: usize = LARGE_STACK - (16 << 20);
/// Deepest nesting of instructions in a stylesheet.
pub(crate) const MAX_NESTING: usize = 128;
/// Deepest nesting and greatest number of included stylesheets.
pub(crate) const MAX_INCLUDES: usize = 200;
/// Most errors reported for one stylesheet.
pub(crate) const MAX_ERRORS: usize = 50;
/// Most results beside the main one.
pub(crate) const MAX_RESULTS: usize = 1_000;
/// Most messages kept of one transformation.
pub(crate) const MAX_MESSAGES: usize = 1_000;
