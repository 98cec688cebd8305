//! From a home folder to artifacts: finds and opens applications (CARs, folders, projects) and loose files,
//! reads them with `mi_config`, puts them in order, and offers the registry.
//!
//! Nothing is extracted to disk; an archive is read into memory under caps. What is wrong with one application
//! or file never touches the others. Making runtime objects of the artifacts is the engine's work.

mod bundle;
mod car;
mod check;
mod environment;
mod former;
mod home;
mod library;
mod load;
mod loose;
mod order;
mod pack;
mod project;
mod registry;
mod watch;

pub use bundle::{Bundle, BundleError, Limits};
pub use environment::Environment;
pub use former::Former;
pub use home::Home;
pub use library::{Library, LibraryOperation};
pub use load::{
    Application, Certificate, Deployed, FaultyApplication, LoadedDeployment, Origin, load, load_over, read_deployment,
};
pub use pack::{PackError, pack};
pub use registry::{Registry, RegistryError, RegistryResource};
pub use watch::{Changes, Watcher};

#[cfg(test)]
mod testkit;
