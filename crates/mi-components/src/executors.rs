//! Priority executors: flows that wait for a free place, by priority. MI: `PriorityExecutor`.
//!
//! A place stands for a thread of MI's pool. As there, waiting comes before growing: more than the core places are
//! only used once the queue of a message is full.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mi_config::Artifact;
use mi_config::misc::PriorityExecutorConfig;
use mi_engine::context::Context;
use mi_engine::flow;
use mi_engine::mediator::Sequence;
use mi_engine::services::FlowGuard;

/// Most flows that wait in a queue without a size.
const MAX_WAITING: usize = 100_000;

/// The executors of a deployment, by name. They stand in the snapshot's `shared`.
#[derive(Debug, Default)]
pub struct Executors(HashMap<Arc<str>, Arc<Executor>>);

impl Executors {
    /// The executors among `artifacts`. Of two with one name the first counts.
    pub fn of(artifacts: &[Artifact]) -> Self {
        let mut executors = Self::default();
        for artifact in artifacts {
            if let Artifact::PriorityExecutor(config) = artifact {
                executors.0.entry(config.name.clone()).or_insert_with(|| Arc::new(Executor::new(config)));
            }
        }
        executors
    }

    /// The executor `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Executor>> {
        self.0.get(name)
    }
}

/// One executor.
#[derive(Debug)]
pub(crate) struct Executor {
    core: usize,
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    running: usize,
    /// By falling priority.
    queues: Vec<Queue>,
    /// The queue that is being served, and how many were taken from it in this round.
    current: usize,
    taken: i32,
}

#[derive(Debug)]
struct Queue {
    priority: i32,
    size: usize,
    waiting: VecDeque<Job>,
}

/// A flow that has not begun. It counts as running, so that a server that stops waits for it.
struct Job {
    cx: Context,
    sequence: Arc<Sequence>,
    counted: FlowGuard,
}

impl fmt::Debug for Job {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Job").finish_non_exhaustive()
    }
}

/// Why a flow was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its queue is full, and so are all places.
    Exhausted,
    /// No queue has its priority.
    NoQueue,
}

impl Executor {
    fn new(config: &PriorityExecutorConfig) -> Self {
        let size = |size: Option<u32>| size.map_or(MAX_WAITING, |size| (size as usize).min(MAX_WAITING));
        let queues = config.queues.iter();
        let queues = queues.map(|it| Queue { priority: it.priority, size: size(it.size), waiting: VecDeque::new() });
        let mut queues: Vec<Queue> = queues.collect();
        queues.sort_by_key(|queue| std::cmp::Reverse(queue.priority));
        let core = (config.core_threads as usize).max(1);
        let state = State { running: 0, queues, current: 0, taken: 0 };
        Self { core, max: (config.max_threads as usize).max(core), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `sequence` on `cx` beside the present flow, now or when it is its turn.
    pub(crate) fn execute(
        self: &Arc<Self>,
        cx: Context,
        sequence: Arc<Sequence>,
        priority: i32,
    ) -> Result<(), Refusal> {
        let counted = cx.snapshot.services.begin_flow();
        let job = Job { cx, sequence, counted };
        let mut state = self.state();
        let queue = state.queues.iter().position(|it| it.priority == priority).ok_or(Refusal::NoQueue)?;
        if state.running >= self.core {
            let queue = &mut state.queues[queue];
            if queue.waiting.len() < queue.size {
                queue.waiting.push_back(job);
                return Ok(());
            }
            if state.running >= self.max {
                return Err(Refusal::Exhausted);
            }
        }
        state.running += 1;
        drop(state);
        tokio::spawn(self.clone().work(job));
        Ok(())
    }

    /// Runs a flow, and then those that wait.
    async fn work(self: Arc<Self>, first: Job) {
        let mut next = Some(first);
        while let Some(Job { mut cx, sequence, counted }) = next {
            flow::run(&mut cx, sequence).await;
            drop(counted);
            let mut state = self.state();
            next = state.next();
            if next.is_none() {
                state.running -= 1;
            }
        }
    }
}

impl State {
    /// Each queue in turn gives as many flows as its priority is high. MI: `PRRNextQueueAlgorithm`.
    fn next(&mut self) -> Option<Job> {
        let count = self.queues.len();
        let present = self.queues.get(self.current)?;
        if present.priority == self.taken || present.waiting.is_empty() {
            self.taken = 0;
            let after = (1..=count).map(|step| (self.current + step) % count);
            match after.into_iter().find(|index| !self.queues[*index].waiting.is_empty()) {
                Some(index) => self.current = index,
                None => {
                    self.current = 0;
                    return None;
                }
            }
        }
        self.taken += 1;
        self.queues[self.current].waiting.pop_front()
    }
}
