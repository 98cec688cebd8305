//! Servers that share leases of an arbiter which can be cut off, in virtual time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Arbiter, Coordination, own, own_in_group};
use crate::inbound::{Phase, Switch};

const PERIOD: Duration = Duration::from_secs(10);

/// Leases in memory.
#[derive(Debug, Default)]
struct Leases {
    held: Mutex<HashMap<String, (String, u64, Instant)>>,
    /// Servers that cannot reach it: their requests wait.
    cut_off: Mutex<Vec<String>>,
    states: Mutex<HashMap<String, bool>>,
}

impl Leases {
    async fn reach(&self, holder: &str) {
        while self.cut_off.lock().unwrap().iter().any(|it| it == holder) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Arbiter for Leases {
    fn acquire<'a>(
        &'a self,
        what: &'a str,
        holder: &'a str,
        period: Duration,
    ) -> BoxFuture<'a, Result<Option<u64>, String>> {
        Box::pin(async move {
            self.reach(holder).await;
            let mut held = self.held.lock().unwrap();
            let number = match held.get(what) {
                Some((by, number, _)) if by == holder => *number,
                Some((_, _, ends)) if *ends > Instant::now() => return Ok(None),
                Some((_, number, _)) => number + 1,
                None => 1,
            };
            held.insert(what.to_owned(), (holder.to_owned(), number, Instant::now() + period));
            Ok(Some(number))
        })
    }

    fn release<'a>(&'a self, what: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.reach(holder).await;
            let mut held = self.held.lock().unwrap();
            if let Some((by, _, ends)) = held.get_mut(what)
                && by == holder
            {
                *ends = Instant::now();
            }
            Ok(())
        })
    }

    fn state<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<Option<bool>, String>> {
        Box::pin(async move { Ok(self.states.lock().unwrap().get(what).copied()) })
    }

    fn set_state<'a>(&'a self, what: &'a str, runs: bool) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.states.lock().unwrap().insert(what.to_owned(), runs);
            Ok(())
        })
    }
}

/// What servers did, as `second server event`.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A server whose work notes its begin, each second in which it may begin something, and its end, whatever ends it.
struct Server {
    switch: Arc<Switch>,
    task: JoinHandle<()>,
}

struct End<'n>(&'n (dyn Fn(&str) + Sync));

impl Drop for End<'_> {
    fn drop(&mut self) {
        (self.0)("ends");
    }
}

fn server(name: &'static str, leases: &Arc<Leases>, notes: &Notes, start: Instant) -> Server {
    server_in_group(name, leases, notes, start, false)
}

/// With one state for all servers, or without.
fn server_in_group(name: &'static str, leases: &Arc<Leases>, notes: &Notes, start: Instant, shared: bool) -> Server {
    let (switch, control) = Switch::new(Phase::Running);
    let switch = Arc::new(switch);
    let weak = Arc::downgrade(&switch);
    let coordination = Coordination { arbiter: leases.clone(), holder: name.into(), period: PERIOD };
    let notes = notes.clone();
    let task = tokio::spawn(async move {
        let note = |event: &str| {
            notes.0.lock().unwrap().push(format!("{} {name} {event}", start.elapsed().as_secs()));
        };
        let work = async |control: crate::inbound::Control| {
            note("begins");
            let _end = End(&note);
            while control.resumed().await {
                let paused = control.halted();
                paused.await;
                note("halts");
            }
        };
        if shared {
            own_in_group(&coordination, "task/t", weak, &control, work).await;
        } else {
            own(&coordination, "task/t", &control, work).await;
        }
    });
    Server { switch, task }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_holder_stops_before_another_begins() {
    let (leases, notes, start) = (Arc::new(Leases::default()), Notes::default(), Instant::now());
    let _a = server("a", &leases, &notes, start);
    seconds(1).await;
    let _b = server("b", &leases, &notes, start);
    seconds(99).await;
    assert_eq!(notes.take(), ["0 a begins"], "it is renewed, and nobody else has it");
    // The last renewal was at 99 s.
    leases.cut_off.lock().unwrap().push("a".to_owned());
    seconds(30).await;
    let found = notes.take();
    assert_eq!(found[..2], ["106 a halts", "108 a ends"], "{found:?}");
    let began: u64 = found[2].strip_suffix(" b begins").unwrap().parse().unwrap();
    assert!((109..=109 + 2).contains(&began) && found.len() == 3, "{found:?}");
    leases.cut_off.lock().unwrap().clear();
    seconds(60).await;
    assert!(notes.take().is_empty(), "it stays where it is");
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_only_halts() {
    let (leases, notes, start) = (Arc::new(Leases::default()), Notes::default(), Instant::now());
    let _a = server("a", &leases, &notes, start);
    seconds(10).await;
    // The last renewal was at 9 s.
    leases.cut_off.lock().unwrap().push("a".to_owned());
    seconds(7).await;
    assert_eq!(notes.take(), ["0 a begins", "16 a halts"]);
    leases.cut_off.lock().unwrap().clear();
    seconds(60).await;
    assert!(notes.take().is_empty(), "it goes on under the same lease");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_hands_over() {
    let (leases, notes, start) = (Arc::new(Leases::default()), Notes::default(), Instant::now());
    let a = server("a", &leases, &notes, start);
    seconds(1).await;
    let b = server("b", &leases, &notes, start);
    seconds(4).await;
    a.switch.set(Phase::Stopped);
    a.task.await.unwrap();
    assert_eq!(notes.take(), ["0 a begins", "5 a halts", "5 a ends"]);
    seconds(3).await;
    assert_eq!(notes.take(), ["7 b begins"], "without waiting for the end of the lease");
    b.switch.set(Phase::Paused);
    seconds(60).await;
    assert_eq!(notes.take(), ["8 b halts"], "it pauses and keeps the lease");
    b.switch.set(Phase::Running);
    seconds(1).await;
    assert!(notes.take().is_empty());
    assert_eq!(leases.held.lock().unwrap()["task/t"].1, 2, "the number of the lease has grown");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_begins_nothing() {
    let lease = Arc::new(super::Lease::new(Instant::now(), PERIOD));
    let (_switch, control) = Switch::leased(Phase::Running, lease.clone());
    assert!(control.is_running());
    // No timer has run when it finds out.
    tokio::time::advance(Duration::from_millis(7500)).await;
    assert!(!control.is_running() && control.phase() == Phase::Paused);
    lease.renew(Instant::now(), PERIOD);
    assert!(control.is_running());
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_on_one_server_is_paused_on_all() {
    let (leases, notes, start) = (Arc::new(Leases::default()), Notes::default(), Instant::now());
    let a = server_in_group("a", &leases, &notes, start, true);
    seconds(1).await;
    let b = server_in_group("b", &leases, &notes, start, true);
    seconds(9).await;
    assert_eq!(notes.take(), ["0 a begins"]);
    b.switch.set(Phase::Paused);
    seconds(3).await;
    assert_eq!((notes.take(), a.switch.phase()), (vec!["12 a halts".to_owned()], Phase::Paused));
    // A third one hears it before it begins anything, also when it gets the lease.
    let c = server_in_group("c", &leases, &notes, start, true);
    for server in [&a, &b] {
        server.switch.set(Phase::Stopped);
    }
    seconds(30).await;
    assert_eq!((notes.take(), c.switch.phase()), (vec!["13 a ends".to_owned()], Phase::Paused));
    c.switch.set(Phase::Running);
    seconds(5).await;
    assert_eq!(notes.take(), ["43 c begins"]);
    let d = server_in_group("d", &leases, &notes, start, true);
    seconds(1).await;
    assert_eq!(d.switch.phase(), Phase::Running);
}
