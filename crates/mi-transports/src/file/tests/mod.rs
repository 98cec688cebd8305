//! Passes over real folders, in virtual time.

mod after;
mod reading;
mod sending;
mod settings;
mod support;
mod taking;

pub(super) use support::Folder;
