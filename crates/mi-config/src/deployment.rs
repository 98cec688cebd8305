//! `deployment.toml`.

/// The settings of the server.
#[derive(Clone, Debug, Default)]
pub struct Deployment {}
