mod support;

pub(super) use support::Folder;
