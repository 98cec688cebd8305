//! Everything that works by itself, intakes, tasks and message processors, while it runs: started with the server, kept
//! up with each deployment, ended in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::control::{Control, Phase, Switch};
use super::gauge::Gauge;
use super::injector::Injector;
use super::{Intake, OpenCx, Poll, Source, Task, poller};
use crate::coordination::{Coordination, own_in_group};
use crate::processor::{self, Activation, Processor, WorkCx};
use crate::scheduler::{self, JobCx};
use crate::serve::Engine;
use crate::snapshot::Snapshot;

/// First and longest pause before something that could not be opened, or that ended by itself, is opened again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How long a changed intake waits for its predecessor to let go of ports and files.
const HAND_OVER: Duration = Duration::from_secs(10);

/// The intakes, tasks and message processors of a server.
#[derive(Debug)]
pub struct RunningInbounds {
    engine: Arc<Engine>,
    handles: Vec<Handle>,
    next_handle: AtomicUsize,
    /// True once those that begin by themselves may: what they send may be meant for the main listeners.
    begun: watch::Sender<bool>,
    /// Where several servers have the same deployment: who decides which one of them runs what.
    coordination: Option<Coordination>,
    /// Locked for moments only, never across a wait.
    active: Mutex<Vec<Active>>,
}

/// One of them.
#[derive(Debug)]
struct Active {
    kind: &'static str,
    name: Arc<str>,
    fingerprint: String,
    switch: Arc<Switch>,
    /// Of a message processor, whose state is remembered.
    activation: Option<Arc<Activation>>,
    gauge: Arc<Gauge>,
    task: JoinHandle<()>,
    /// Runs of a task that were asked for beside its schedule.
    triggered: Vec<JoinHandle<()>>,
}

/// What the management API and metrics show of one of them.
#[derive(Clone, Debug)]
pub struct Status {
    /// `inboundendpoint`, `proxy`, `task` or `messageprocessor`.
    pub kind: &'static str,
    /// Name of the artifact.
    pub name: Arc<str>,
    /// What it was told to do.
    pub phase: Phase,
    /// Counts and the last error.
    pub gauge: Arc<Gauge>,
}

impl RunningInbounds {
    /// Starts what `engine` has deployed, spread over `handles` (at least one).
    pub fn start_all(engine: &Arc<Engine>, handles: Vec<Handle>) -> Self {
        Self::start_coordinated(engine, handles, None)
    }

    /// The same where other servers may run what this one does.
    pub fn start_coordinated(engine: &Arc<Engine>, handles: Vec<Handle>, coordination: Option<Coordination>) -> Self {
        let running = Self::new(engine, handles, coordination);
        running.begin();
        running.apply();
        running
    }

    fn new(engine: &Arc<Engine>, handles: Vec<Handle>, coordination: Option<Coordination>) -> Self {
        let (begun, _) = watch::channel(false);
        Self {
            engine: engine.clone(),
            handles,
            next_handle: AtomicUsize::new(0),
            begun,
            coordination,
            active: Mutex::default(),
        }
    }

    /// Lets pollers, tasks and processors begin. To be called when the main listeners are up, because what they send
    /// may be meant for those.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    /// What is deployed.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Opens what `engine` has deployed and waits until each was opened or could not be, at most `patience`: ports are
    /// open then when the main listeners are. Nothing polls or runs before [`RunningInbounds::begin`]. Blocks; not to be
    /// called on one of the `handles`, and with at least one.
    pub fn open_all(
        engine: &Arc<Engine>,
        handles: Vec<Handle>,
        coordination: Option<Coordination>,
        patience: Duration,
    ) -> Self {
        let running = Self::new(engine, handles, coordination);
        // Nothing is sent: it ends when the last one has let go of its side, or in time.
        let opened = running.follow();
        if opened.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            log::warn!(target: "InboundEndpoint", "Not all inbound endpoints are open after {} s", patience.as_secs());
        }
        running
    }

    /// Follows a new deployment ([`Engine::swap`]): what is gone ends, what is new starts, what changed ends and starts,
    /// and what did not change goes on undisturbed (a task keeps counting its runs).
    pub fn apply(&self) {
        drop(self.follow());
    }

    /// The other side of what is given back is dropped when everything new was opened or could not be.
    fn follow(&self) -> mpsc::Receiver<()> {
        let (opening, opened) = mpsc::channel();
        let snapshot = self.engine.snapshot();
        let mut active = self.lock();
        let mut former: Vec<Active> = std::mem::take(&mut *active);
        let mut take = |kind: &str, name: &str, fingerprint: &str| {
            let at =
                former.iter().position(|it| it.kind == kind && *it.name == *name && it.fingerprint == fingerprint)?;
            Some(former.swap_remove(at))
        };
        let mut wanted: Vec<Active> = Vec::new();
        let mut fresh = Vec::new();
        for intake in snapshot.inbounds.iter().filter(|it| is_for_this_server(&snapshot, &it.pinned_servers, &it.name))
        {
            match take(intake.kind, &intake.name, &intake.fingerprint) {
                Some(same) => wanted.push(same),
                None => fresh.push(Fresh::Intake(intake.clone())),
            }
        }
        for task in
            snapshot.tasks.iter().filter(|it| is_for_this_server(&snapshot, &it.config.pinned_servers, &it.name))
        {
            match take(TASK, &task.name, &task.fingerprint) {
                Some(same) => wanted.push(same),
                None => fresh.push(Fresh::Task(task.clone())),
            }
        }
        for processor in
            snapshot.processors.iter().filter(|it| is_for_this_server(&snapshot, &it.pinned_servers, &it.name))
        {
            match take(PROCESSOR, &processor.name, &processor.fingerprint) {
                Some(same) => wanted.push(same),
                None => fresh.push(Fresh::Processor(processor.clone())),
            }
        }
        for ended in &former {
            ended.switch.set(Phase::Stopped);
        }
        for gone in former.iter().filter(|it| it.kind == PROCESSOR) {
            if !snapshot.processors.iter().any(|it| it.name == gone.name) {
                processor::forget(&*snapshot.services.registry, &gone.name);
            }
        }
        for fresh in fresh {
            let (kind, name) = fresh.key();
            let at = former.iter().position(|it| it.kind == kind && it.name == *name);
            let predecessor = at.map(|at| former.swap_remove(at).task);
            wanted.push(self.start(fresh, predecessor, opening.clone()));
        }
        *active = wanted;
        opened
    }

    fn start(&self, fresh: Fresh, predecessor: Option<JoinHandle<()>>, opening: mpsc::Sender<()>) -> Active {
        let (kind, name) = fresh.key();
        let gauge = Arc::new(Gauge::new(format!("{kind} {name}")));
        let name = name.clone();
        let phase = if fresh.starts(&self.engine) { Phase::Running } else { Phase::Paused };
        let (switch, control) = Switch::new(phase);
        let switch = Arc::new(switch);
        let activation =
            (kind == PROCESSOR).then(|| Arc::new(Activation::new(name.clone(), self.engine.clone(), switch.clone())));
        let fingerprint = fresh.fingerprint().to_owned();
        let mut run = Run {
            engine: self.engine.clone(),
            gauge: gauge.clone(),
            begun: self.begun.subscribe(),
            coordination: self.coordination.clone(),
            switch: Arc::downgrade(&switch),
        };
        let switched = activation.clone();
        let work = async move {
            if let Some(predecessor) = predecessor {
                // It was told to end; when it takes too long, opening fails and is tried again.
                drop(tokio::time::timeout(HAND_OVER, predecessor).await);
            }
            match fresh {
                Fresh::Intake(intake) => run.intake(&intake, control, opening).await,
                Fresh::Task(task) => {
                    drop(opening);
                    run.task(&task, control).await;
                }
                Fresh::Processor(processor) => {
                    drop(opening);
                    let Some(activation) = switched else { return };
                    run.processor(&processor, control, activation).await;
                }
            }
        };
        let task = self.spawn(work);
        Active { kind, name, fingerprint, switch, activation, gauge, task, triggered: Vec::new() }
    }

    /// Spawns on one of the threads, in turn.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let at = self.next_handle.fetch_add(1, Ordering::Relaxed);
        match self.handles.get(at % self.handles.len().max(1)) {
            Some(handle) => handle.spawn(work),
            None => tokio::spawn(work),
        }
    }

    /// Runs a task once, now, whatever its schedule says. `None` when it is not meant for this server; the error is that
    /// of a task that is not active. MI: `StartUpController#trigger`.
    pub fn trigger(&self, name: &str) -> Option<Result<(), String>> {
        let snapshot = self.engine.snapshot();
        let task = snapshot.tasks.iter().find(|it| &*it.name == name)?.clone();
        let mut active = self.lock();
        let found = active.iter_mut().find(|it| it.kind == TASK && &*it.name == name)?;
        log::info!(target: "StartUpController", "Triggering the Task: {name}");
        if found.switch.phase() != Phase::Running {
            return Some(Err(format!("Cannot trigger the task: {name} as it is not active.")));
        }
        let cx = JobCx { name: task.name.clone(), engine: self.engine.clone() };
        let gauge = found.gauge.clone();
        found.triggered.retain(|it| !it.is_finished());
        found.triggered.push(self.spawn(async move { scheduler::once(&*task.job, &cx, &gauge).await }));
        log::info!(target: "StartUpController", "Task [{name}] is successfully triggered.");
        Some(Ok(()))
    }

    /// Pauses or resumes one by name; false when there is none. `kind` is `inboundendpoint`, `task` or `messageprocessor`.
    pub fn set_running(&self, kind: &str, name: &str, phase: Phase) -> bool {
        let active = self.lock();
        let found = active.iter().find(|it| it.kind == kind && *it.name == *name);
        match found {
            Some(Active { activation: Some(activation), .. }) if phase == Phase::Running => activation.activate(),
            Some(Active { activation: Some(activation), .. }) if phase == Phase::Paused => activation.deactivate(),
            Some(found) => found.switch.set(phase),
            None => return false,
        }
        true
    }

    /// Everything that is deployed and meant for this server.
    pub fn list(&self) -> Vec<Status> {
        let status = |it: &Active| Status {
            kind: it.kind,
            name: it.name.clone(),
            phase: it.switch.phase(),
            gauge: it.gauge.clone(),
        };
        self.lock().iter().map(status).collect()
    }

    /// Takes nothing in any more; what was begun goes on. The first step of a shutdown.
    pub fn halt(&self) {
        for active in self.lock().iter() {
            active.switch.set(Phase::Stopped);
        }
    }

    /// Ends everything: what was begun gets `grace` to finish and is then given up, its files released. Returns how many
    /// intakes were given up.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.halt();
        let ending = std::mem::take(&mut *self.lock());
        let deadline = Instant::now() + grace;
        let mut left = 0;
        for active in ending {
            let Active { kind, name, task, triggered, .. } = active;
            for mut task in triggered.into_iter().chain([task]) {
                match tokio::time::timeout_at(deadline, &mut task).await {
                    Ok(Err(error)) if error.is_panic() => {
                        log::error!(target: "InboundEndpoint", "{kind} {name} ended in a panic");
                    }
                    Ok(_) => {}
                    Err(_) => {
                        log::warn!(target: "InboundEndpoint", "{kind} {name} did not finish within the grace time");
                        left += 1;
                        task.abort();
                        // Aborting drops what it holds, which gives claimed files back.
                        drop(task.await);
                    }
                }
            }
        }
        left
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that has to be started.
enum Fresh {
    Intake(Arc<Intake>),
    Task(Arc<Task>),
    Processor(Arc<Processor>),
}

/// What tasks are called in [`Status::kind`].
const TASK: &str = "task";

/// What message processors are called in [`Status::kind`].
const PROCESSOR: &str = "messageprocessor";

impl Fresh {
    fn key(&self) -> (&'static str, &Arc<str>) {
        match self {
            Self::Intake(intake) => (intake.kind, &intake.name),
            Self::Task(task) => (TASK, &task.name),
            Self::Processor(processor) => (PROCESSOR, &processor.name),
        }
    }

    fn fingerprint(&self) -> &str {
        match self {
            Self::Intake(intake) => &intake.fingerprint,
            Self::Task(task) => &task.fingerprint,
            Self::Processor(processor) => &processor.fingerprint,
        }
    }

    fn starts(&self, engine: &Engine) -> bool {
        match self {
            Self::Intake(intake) => intake.starts,
            Self::Task(_) => true,
            Self::Processor(processor) => {
                let registry = engine.snapshot().services.registry.clone();
                processor::starts(&*registry, &processor.name, processor.active)
            }
        }
    }
}

/// `pinnedServers`: the name of a server is that of `-DSynapseServerName`, else its host name.
/// MI: `ServerConfigurationInformation#getServerName`.
fn is_for_this_server(snapshot: &Snapshot, pinned: &[String], name: &str) -> bool {
    if pinned.is_empty() {
        return true;
    }
    let own = snapshot.services.environment.system_property("SynapseServerName");
    let own = own.as_deref().unwrap_or(&snapshot.settings.hostname);
    let here = pinned.iter().any(|server| server == own);
    if !here {
        log::info!(target: "InboundEndpoint", "{name} is pinned to other servers than '{own}' and does not start here");
    }
    here
}

/// Waits for [`RunningInbounds::begin`].
async fn may_begin(begun: &mut watch::Receiver<bool>) {
    // An error says that the server is gone, which ends this task anyway.
    begun.wait_for(|begun| *begun).await.ok();
}

/// What one of them runs with.
struct Run {
    engine: Arc<Engine>,
    gauge: Arc<Gauge>,
    begun: watch::Receiver<bool>,
    coordination: Option<Coordination>,
    /// What the control obeys; it goes when the server does.
    switch: Weak<Switch>,
}

impl Run {
    async fn task(&mut self, task: &Task, control: Control) {
        may_begin(&mut self.begun).await;
        let cx = JobCx { name: task.name.clone(), engine: self.engine.clone() };
        let work = async |control: Control| {
            scheduler::run(&*task.job, &task.schedule, &cx, &control, &self.gauge).await;
        };
        match &self.coordination {
            None => work(control).await,
            Some(coordination) => {
                let what = format!("task/{}", task.name);
                own_in_group(coordination, &what, self.switch.clone(), &control, work).await;
            }
        }
    }

    async fn processor(&mut self, processor: &Arc<Processor>, control: Control, activation: Arc<Activation>) {
        may_begin(&mut self.begun).await;
        let work = async |control: Control| {
            let (engine, activation) = (self.engine.clone(), activation.clone());
            let cx = WorkCx { name: processor.name.clone(), engine, control, activation };
            processor::run(processor, &cx, &self.gauge).await;
        };
        match &self.coordination {
            None => work(control).await,
            Some(coordination) => {
                let what = format!("{PROCESSOR}/{}", processor.name);
                own_in_group(coordination, &what, self.switch.clone(), &control, work).await;
            }
        }
    }

    /// Opens an intake and runs it; opens it again after a pause and when it ended by itself. `opening` is dropped at the
    /// first try. Of the servers that have a lease to share, one polls.
    async fn intake(&mut self, intake: &Intake, control: Control, opening: mpsc::Sender<()>) {
        let mut opening = control.is_running().then_some(opening);
        let mut pause = FIRST_PAUSE;
        while control.resumed().await {
            let opened = Instant::now();
            let cx = self.open_cx(intake, control.clone());
            let source = intake.inbound.open(&cx);
            drop(opening.take());
            let failure = match source {
                Ok(Source::Poll(poll, interval)) => {
                    may_begin(&mut self.begun).await;
                    return self.poll(intake, poll, interval, cx, control).await;
                }
                Ok(Source::Listen(listening)) => {
                    log::info!(target: "InboundEndpoint", "{} {} has started", intake.kind, intake.name);
                    listening.await.err()
                }
                Err(why) => Some(why),
            };
            match failure {
                Some(why) => {
                    self.gauge.pass_failed(&why);
                    if opened.elapsed() > LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                    control.sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                None => pause = FIRST_PAUSE,
            }
        }
    }

    fn open_cx(&self, intake: &Intake, control: Control) -> OpenCx {
        OpenCx {
            name: intake.name.clone(),
            route: intake.route.clone(),
            injector: Injector::new(self.engine.clone(), intake.route.clone()),
            control,
            gauge: self.gauge.clone(),
        }
    }

    async fn poll(&self, intake: &Intake, poll: Box<dyn Poll>, interval: Duration, cx: OpenCx, control: Control) {
        let Some(coordination) = self.coordination.as_ref().filter(|_| intake.coordinated) else {
            return poller::run(poll, interval, move || cx.injector.is_active(), control, &self.gauge).await;
        };
        drop(poll);
        let work = async |control: Control| {
            while control.resumed().await {
                // Opened anew under each lease, so that nothing is left of what went with a former one.
                let cx = self.open_cx(intake, control.clone());
                match intake.inbound.open(&cx) {
                    Ok(Source::Poll(poll, interval)) => {
                        let active = move || cx.injector.is_active();
                        return poller::run(poll, interval, active, control, &self.gauge).await;
                    }
                    Ok(Source::Listen(_)) => self.gauge.pass_failed("it no longer polls"),
                    Err(why) => self.gauge.pass_failed(&why),
                }
                control.sleep(LONGEST_PAUSE).await;
            }
        };
        let what = format!("{}/{}", intake.kind, intake.name);
        own_in_group(coordination, &what, self.switch.clone(), &control, work).await;
    }
}
