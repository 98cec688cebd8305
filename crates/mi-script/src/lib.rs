//! JavaScript for scripts and mappings: checked once, run in engines that see nothing but the message.
//!
//! [`Script`] is a checked source, with E4X and Java's habits translated where its language has them. [`run`] runs it
//! on a message, through the object `mc` of MI's script mediator; [`map`] runs one that only turns texts into a text.
//! A run has a time limit, a memory limit and a stack limit, and no message sees what another one left behind.
//!
//! Engines belong to threads: each thread keeps the few that it used last, with the script compiled. A script that may
//! change what an engine shares (prototypes, global names) gets a new one every time.
//!
//! Deliberately elsewhere: where scripts come from, when a run moves to another thread (`mi-components`). Files,
//! sockets, environment and Java classes are nowhere in reach.

mod analysis;
mod api;
mod completion;
mod convert;
mod e4x;
mod engine;
mod host;
mod lazy;
mod lexer;
mod limits;
mod om;
mod script;

#[cfg(test)]
mod tests;

pub use engine::{Outcome, map, run};
pub use host::World;
pub use limits::Limits;
pub use script::{Language, Pace, Script, ScriptError, SyntaxError};
