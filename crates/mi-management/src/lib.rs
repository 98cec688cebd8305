//! The management API: what is deployed, told and changed over HTTPS under `/management`, as MI's own command line and
//! dashboard expect it. MI: `org.wso2.micro.integrator.management.apis`.
//!
//! [`ManagementService`] is an [`mi_engine::transport::HttpService`]; whoever opens the listener hands it one. What it
//! needs of the server beside the engine comes through [`ManagementContext`] and the traits of [`context`], so that this
//! crate opens no port, knows no deployer and no log sink.

// An early answer is an answer: both sides of such a `Result` are of one size.
#![allow(clippy::result_large_err)]

mod answer;
mod artifacts;
mod audit;
mod auth;
pub mod context;
mod dashboard;
mod masks;
mod multipart;
mod request;
mod resources;
mod service;
mod switches;

#[cfg(test)]
mod tests;

pub use context::{
    Application, Connector, Deployed, DeployedArtifact, End, LogControl, ManagementContext, NoRegistry, Parts, Paths,
    RegistryAccess, Resource, RunControl, ServerControl,
};
pub use service::ManagementService;
