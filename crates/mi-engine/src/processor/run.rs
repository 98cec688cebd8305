//! The loop of a processor: when the next message is due, take it from the store and have it handled.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Pace, Processor, Work, WorkCx};
use crate::inbound::{Gauge, MIN_INTERVAL};
use crate::scheduler::{Schedule, Timetable};
use crate::store::{Claim, Store, StoreError};

/// Most messages that are handled side by side, over all runs.
const MOST_AT_ONCE: usize = 128;
/// Longest time in which an empty store is not looked at: it may have been exchanged for another one.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Runs a processor until it is told to stop; ends when everything that was begun is finished or given back.
pub(crate) async fn run(processor: &Arc<Processor>, cx: &WorkCx, gauge: &Gauge) {
    log::info!(target: "ScheduledMessageProcessor", "Started message processor. [{}].", processor.name);
    if !cx.activation.is_active() {
        log::info!(
            target: "ScheduledMessageProcessor",
            "Successfully deactivated the message processor [{}]", processor.name
        );
    }
    join_all((0..processor.members).map(|_| Member { processor, cx, gauge, aside: JoinSet::new() }.run())).await;
}

/// Time until a store is looked for again that is not deployed.
const NO_STORE: Duration = Duration::from_secs(1);

/// One of a processor's members, which work on the same store.
struct Member<'p> {
    processor: &'p Arc<Processor>,
    cx: &'p WorkCx,
    gauge: &'p Gauge,
    /// Messages handled beside the loop.
    aside: JoinSet<()>,
}

/// What looking for a message came to.
enum Found {
    Message,
    Nothing,
    /// The store cannot be had. What there is to say was said.
    NoStore,
}

impl Member<'_> {
    async fn run(mut self) {
        let processor = self.processor.clone();
        match &processor.pace {
            Pace::Every(schedule) => self.by_schedule(schedule, None).await,
            Pace::Cron(schedule, pause) => self.by_schedule(schedule, Some(*pause)).await,
            Pace::Pausing(pause) => self.by_pauses(*pause).await,
        }
        while self.aside.join_next().await.is_some() {}
    }

    /// At the times of a schedule one message or batch, or with `pause` between them all that there are.
    async fn by_schedule(&mut self, schedule: &Schedule, pause: Option<Duration>) {
        let services = self.cx.engine.snapshot().services.clone();
        let clock = &*services.clock;
        let mut timetable = Timetable::start(schedule, clock);
        while timetable.wait(clock, &self.cx.control).await.is_some() {
            let (store, arrivals) = self.store();
            let found = match pause {
                None => self.once(store.as_deref()).await,
                Some(pause) => self.all(store.as_deref(), pause).await,
            };
            timetable.ran(clock);
            if let (Found::Nothing, None, Some(arrivals)) = (found, pause, arrivals) {
                self.rest(arrivals).await;
            }
        }
    }

    /// One message or batch after the other.
    async fn by_pauses(&mut self, pause: Duration) {
        while self.cx.control.resumed().await {
            let (store, arrivals) = self.store();
            match (self.once(store.as_deref()).await, arrivals) {
                (Found::Message, _) if pause.is_zero() => tokio::task::yield_now().await,
                (Found::Message, _) => self.cx.control.sleep(pause).await,
                (Found::Nothing, Some(arrivals)) => self.rest(arrivals).await,
                (Found::Nothing, None) => self.cx.control.sleep(pause.max(MIN_INTERVAL)).await,
                (Found::NoStore, _) => self.cx.control.sleep(NO_STORE).await,
            }
        }
    }

    /// The store, as it is deployed now, and what tells of messages that arrive from now on.
    fn store(&self) -> (Option<Arc<Store>>, Option<watch::Receiver<u64>>) {
        let store = self.cx.engine.snapshot().stores.by_name(&self.processor.store).cloned();
        // Taken before anybody looks, so that nothing can arrive unnoticed in between.
        let arrivals = store.as_ref().and_then(|store| store.arrivals());
        (store, arrivals)
    }

    /// One message, or one batch. MI: one pass of `ForwardingService#execute`, `SamplingService#execute`.
    async fn once(&mut self, store: Option<&Store>) -> Found {
        let mut found = Found::Nothing;
        for _ in 0..self.processor.work.side_by_side().unwrap_or(1) {
            match self.take(store).await {
                Ok(Some(claim)) => self.handle(claim).await,
                Ok(None) => break,
                Err(()) => return Found::NoStore,
            }
            found = Found::Message;
        }
        found
    }

    /// All messages that are there. MI: `isRunningUnderCronExpression`.
    async fn all(&mut self, store: Option<&Store>, pause: Duration) -> Found {
        loop {
            match self.once(store).await {
                Found::Message => self.cx.control.sleep(pause).await,
                other => return other,
            }
        }
    }

    /// Waits until the store may have a message.
    async fn rest(&self, mut arrivals: watch::Receiver<u64>) {
        tokio::select! {
            // An error is a store that is gone, which the next look finds out.
            changed = arrivals.changed() => drop(changed),
            () = self.cx.control.halted() => {}
            () = tokio::time::sleep(LONGEST_REST) => {}
        }
    }

    /// The next message. While the store cannot be reached it is asked again and again. MI: `ForwardingService#fetch`.
    async fn take(&self, store: Option<&Store>) -> Result<Option<Claim>, ()> {
        let name = &self.processor.name;
        let Some(store) = store else {
            self.gauge.pass_failed(&format!("the message store {} is not deployed", self.processor.store));
            return Err(());
        };
        if let Some(why) = store.unsupported() {
            self.gauge.pass_failed(&format!("its message store {} cannot be used: {why}", store.name));
            self.cx.control.sleep(LONGEST_REST).await;
            return Err(());
        }
        let mut attempts: u64 = 0;
        while self.cx.control.is_running() {
            match store.claim(&self.cx.engine.snapshot()).await {
                Ok(claimed) => {
                    self.gauge.pass_succeeded();
                    return Ok(claimed);
                }
                Err(StoreError::Unavailable(why) | StoreError::Full(why) | StoreError::Refused(why)) => {
                    self.gauge.pass_failed(&format!("Error while connecting to message store {}: {why}", store.name));
                }
            }
            attempts += 1;
            if self.processor.store_attempts.is_some_and(|most| attempts >= most) {
                log::error!(target: "ForwardingService", "Deactivating the message processor [{name}]");
                self.cx.activation.deactivate();
                return Err(());
            }
            self.cx.control.sleep(self.processor.store_pause).await;
        }
        Ok(None)
    }

    async fn handle(&mut self, claim: Claim) {
        self.gauge.message();
        if self.processor.work.side_by_side().is_none() {
            return worked(&*self.processor.work, claim, self.cx).await;
        }
        while self.aside.len() >= MOST_AT_ONCE {
            self.aside.join_next().await;
        }
        // Those that have ended.
        while self.aside.try_join_next().is_some() {}
        let (processor, cx) = (self.processor.clone(), self.cx.clone());
        self.aside.spawn(async move { worked(&*processor.work, claim, &cx).await });
    }
}

/// Has one message handled. A panic puts it back, and switches the processor off as MI does for errors that it did not
/// expect: the same message would do it again.
async fn worked(work: &dyn Work, claim: Claim, cx: &WorkCx) {
    let flow = cx.engine.snapshot().services.begin_flow();
    if AssertUnwindSafe(work.handle(claim, cx)).catch_unwind().await.is_err() {
        log::error!(target: "ForwardingService", "Deactivating the message processor [{}]", cx.name);
        cx.activation.deactivate();
    }
    drop(flow);
}
