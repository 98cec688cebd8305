//! Passes over real folders, in virtual time.

mod after;
mod reading;
mod sending;
mod settings;
pub(crate) mod support;
mod taking;

pub(super) use support::Folder;
