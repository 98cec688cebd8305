//! Work on the file system that may block, on threads made for that, with a deadline.
//!
//! A mounted folder whose server is gone blocks whoever touches it, for ever. Here it blocks a few threads of its own at
//! most: the poller sees an error and tries again later, and nothing else of the process notices.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// Threads that one poller or sender may have blocked, and as many more for work that takes long.
const THREADS: usize = 4;
/// How long a file system may take to answer.
const DEADLINE: Duration = Duration::from_mins(1);

/// Runs work that may block. Cheap to clone; clones share their threads.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    slots: Arc<Semaphore>,
    /// Apart from the others: locks are renewed while large files are copied.
    long_slots: Arc<Semaphore>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self { slots: Arc::new(Semaphore::new(THREADS)), long_slots: Arc::new(Semaphore::new(THREADS)) }
    }

    /// Runs `work` on another thread. Past the deadline that thread is left to itself.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        tokio::time::timeout(DEADLINE, run_in(&self.slots, work)).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Runs `work` that takes as long as its files are large (copies). It has no deadline.
    pub(super) async fn run_for_long<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        run_in(&self.long_slots, work).await
    }
}

async fn run_in<T: Send + 'static>(
    slots: &Arc<Semaphore>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let Ok(slot) = slots.clone().acquire_owned().await else { return Err(silent()) };
    let working = tokio::task::spawn_blocking(move || {
        // Given back when the work is done, even if nobody waits for it any more.
        let _slot = slot;
        work()
    });
    working.await.unwrap_or_else(|_| Err(io::Error::other("work on a file ended in a panic")))
}

fn silent() -> io::Error {
    let text = format!("the file system did not answer within {} s", DEADLINE.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// True when nothing more can be written for now: no more files should be begun before that changes.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_holds_up_its_own_threads_only() {
        let disk = Disk::new();
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(std::sync::Mutex::new(blocked));
        // Blocking work holds paused time; the deadline passes by hand.
        let hangs = |disk: Disk| {
            let blocked = blocked.clone();
            tokio::spawn(async move {
                disk.run(move || {
                    let _released = blocked.lock().unwrap().recv();
                    Ok(())
                })
                .await
            })
        };
        let waiting: Vec<_> = (0..THREADS).map(|_| hangs(disk.clone())).collect();
        tokio::task::yield_now().await;
        tokio::time::advance(DEADLINE).await;
        for waits in waiting {
            assert_eq!(waits.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        let next = tokio::spawn({
            let disk = disk.clone();
            async move { disk.run(|| Ok(1)).await }
        });
        tokio::task::yield_now().await;
        tokio::time::advance(DEADLINE).await;
        assert_eq!(next.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(release);
        assert_eq!(disk.run(|| Ok(2)).await.unwrap(), 2);
    }
}
