//! `--car NAME`: the main sequence of an application runs once, and the server ends with it, as jobs in containers want it.
//! MI: `ServiceBusInitializer#getMainSequenceName`, `MicroIntegratorSequenceController`.
//!
//! What MI logs and goes on from, an application that is not there or names no main sequence, is a failed job here: whoever
//! waits for the end of the process would wait for ever.

use std::sync::Arc;

use mi_deployer::Application;
use mi_engine::Engine;
use mi_engine::flow::Ended;
use mi_engine::inbound::{Injector, Route};
use mi_message::Message;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::cli::RunArgs;

/// MI's system property for it.
const PROPERTY: &str = "automation.mode.seq.car.name";

/// The sequence to run, or why there is none.
pub struct Planned(Result<Arc<str>, String>);

/// A sequence that runs. True when it came to its end without a fault.
pub struct Job(JoinHandle<bool>);

impl Job {
    /// What `--car` or the system property asks for.
    pub fn of(args: &RunArgs, applications: &[Application]) -> Option<Planned> {
        let property = args.home.property(PROPERTY);
        let name = args.car.as_deref().or(property).filter(|name| !name.is_empty())?;
        let found = applications.iter().find(|it| it.name == name || *it.id == *name);
        let sequence = match found.map(|it| it.main_sequence.as_deref()) {
            None => Err(format!("Invalid cApp name. cApp name: {name} not found")),
            Some(None) => Err(format!("Invalid main sequence name. The application {name} names no mainSequence")),
            Some(Some(sequence)) => Ok(Arc::from(sequence)),
        };
        Some(Planned(sequence))
    }
}

impl Planned {
    /// Begins it on a thread that serves messages.
    pub fn begin(self, engine: &Arc<Engine>, threads: &[Handle]) -> Job {
        let thread = threads.first().cloned().unwrap_or_else(Handle::current);
        let engine = engine.clone();
        Job(thread.spawn(async move {
            match self.run(engine).await {
                Ok(()) => true,
                Err(why) => {
                    log::error!(target: "ServiceBusInitializer", "{why}");
                    false
                }
            }
        }))
    }

    async fn run(self, engine: Arc<Engine>) -> Result<(), String> {
        let sequence = self.0?;
        let injector = Injector::new(engine, Route::Sequence(sequence.clone()));
        let injected = injector.inject(Message::new()).await;
        let injected = injected.map_err(|error| format!("The job cannot begin: {error}"))?;
        if matches!(injected.ended, Ended::Faulted) {
            return Err(format!("The job failed: the sequence {sequence} ended in a fault"));
        }
        Ok(())
    }
}

/// Resolves with the end of the job; never when there is none.
pub async fn end(job: &mut Option<Job>) -> bool {
    match job {
        Some(job) => (&mut job.0).await.unwrap_or(false),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::HomeArgs;

    fn application(name: &str, sequence: Option<&str>) -> Application {
        Application {
            id: format!("{name}_1.0.0").into(),
            name: name.to_owned(),
            version: Some("1.0.0".to_owned()),
            file: format!("{name}_1.0.0.car").into(),
            artifacts: Vec::new(),
            main_sequence: sequence.map(str::to_owned),
            versioned: false,
            resources: Vec::new(),
            former: false,
        }
    }

    #[test]
    fn a_job_is_named_by_option_or_property() {
        let applications = [application("Works", Some("Work")), application("Serves", None)];
        let planned = |args: &RunArgs| Job::of(args, &applications).map(|it| it.0);
        let by_option = |name: &str| planned(&RunArgs { car: Some(name.to_owned()), ..RunArgs::default() });
        assert_eq!(planned(&RunArgs::default()), None);
        assert_eq!(by_option("Works"), Some(Ok("Work".into())));
        assert_eq!(by_option("Works_1.0.0"), Some(Ok("Work".into())));
        let define = vec![format!("{PROPERTY}=Works")];
        let by_property = RunArgs { home: HomeArgs { define, ..HomeArgs::default() }, ..RunArgs::default() };
        assert_eq!(planned(&by_property), Some(Ok("Work".into())));
        for (name, why) in [("Serves", "names no mainSequence"), ("Gone", "Gone not found")] {
            let Some(Err(told)) = by_option(name) else { panic!("{name} can be run") };
            assert!(told.contains(why), "{told}");
        }
    }
}
