//! The memory for bodies: how much those being held at a time may take, and who waits for it.
//!
//! Requests and answers have books of their own: a flow that holds its request while it waits for room for the answer
//! must not wait for other flows that do the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mi_message::{BodyError, Held, Room};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Bodies up to this size are not counted: the number of requests bounds them, and they are most of all.
const FREE: usize = 16 << 10;

/// What is counted, in bytes.
const UNIT: usize = 1 << 10;

/// A document takes several times the memory of its text.
pub const BUILT: usize = 4;

/// The memory for bodies.
#[derive(Debug)]
pub struct BodyMemory {
    /// For what clients send.
    pub requests: Budget,
    /// For everything else: answers of back ends, files, messages of stores.
    pub others: Budget,
}

impl BodyMemory {
    /// `bytes` for requests and as much for the rest; a message waits for its part for at most `wait`.
    pub fn new(bytes: u64, wait: Duration) -> Self {
        Self { requests: Budget::new("requests", bytes, wait), others: Budget::new("answers", bytes, wait) }
    }
}

impl Default for BodyMemory {
    fn default() -> Self {
        Self::new(1 << 30, Duration::from_secs(10))
    }
}

/// Memory that is lent to bodies.
#[derive(Debug)]
pub struct Budget {
    /// Whose bodies, for the log.
    name: &'static str,
    free: Arc<Semaphore>,
    /// Units in all.
    capacity: u32,
    wait: Duration,
    refused: AtomicU64,
    /// Milliseconds from `began` to the last line of the log.
    said: AtomicU64,
    began: Instant,
}

impl Budget {
    fn new(name: &'static str, bytes: u64, wait: Duration) -> Self {
        let most = u64::from(u32::MAX).min(Semaphore::MAX_PERMITS as u64);
        let capacity = (bytes / UNIT as u64).clamp(1, most) as u32;
        Self {
            name,
            free: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
            wait,
            refused: AtomicU64::new(0),
            said: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    /// Bytes lent now.
    pub fn lent(&self) -> usize {
        (self.capacity as usize).saturating_sub(self.free.available_permits()) * UNIT
    }

    /// Bytes that may be lent.
    pub fn capacity(&self) -> usize {
        self.capacity as usize * UNIT
    }

    /// Messages that found no room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Room for one body, of which each byte counts `weight` times.
    pub(crate) fn lend(&self, weight: usize) -> Lending<'_> {
        Lending { budget: self, weight, covered: FREE, lent: None }
    }

    fn refuse(&self) -> BodyError {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        let now = self.began.elapsed().as_millis() as u64;
        let said = self.said.load(Ordering::Relaxed);
        // One line a second says as much as thousands.
        if (said == 0 || now.saturating_sub(said) >= 1000)
            && self.said.compare_exchange(said, now.max(1), Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            log::warn!(
                target: "BodyMemory",
                "The bodies of {} take all of the {} MB that they may (transport.http.body_memory_mb): no room for {refused} of them so far",
                self.name,
                self.capacity() >> 20,
            );
        }
        BodyError::NoRoom
    }
}

/// The part of a budget that a body being read has.
#[derive(Debug)]
pub(crate) struct Lending<'a> {
    budget: &'a Budget,
    weight: usize,
    /// Bytes for which there is room.
    covered: usize,
    lent: Option<OwnedSemaphorePermit>,
}

impl Room for Lending<'_> {
    async fn cover(&mut self, bytes: usize) -> Result<(), BodyError> {
        if bytes <= self.covered {
            return Ok(());
        }
        // As the buffer grows: twice as much when the length is not known, and the whole of it when it is.
        let covered = if self.lent.is_none() { bytes } else { bytes.max(self.covered.saturating_mul(2)) };
        let units = (covered.saturating_mul(self.weight) / UNIT).min(self.budget.capacity as usize);
        let have = self.lent.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = units.saturating_sub(have) as u32;
        let lent = tokio::time::timeout(self.budget.wait, self.budget.free.clone().acquire_many_owned(more)).await;
        let Ok(Ok(lent)) = lent else { return Err(self.budget.refuse()) };
        match &mut self.lent {
            Some(all) => all.merge(lent),
            None => self.lent = Some(lent),
        }
        self.covered = covered;
        Ok(())
    }

    fn into_held(self) -> Option<Held> {
        self.lent.map(|lent| Arc::new(lent) as Held)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full, StreamBody};
    use mi_message::{Body, BodyStream, Native};

    use super::*;

    const WAIT: Duration = Duration::from_secs(5);

    fn known(bytes: usize) -> Body {
        let full = Full::new(Bytes::from(vec![b'x'; bytes])).map_err(|never| match never {});
        Body::from_stream(BodyStream::new(full), Some("text/plain".into()))
    }

    /// A body that does not say how long it is.
    fn pieces(count: usize, size: usize) -> Body {
        let frames = (0..count).map(move |_| Ok(http_body::Frame::data(Bytes::from(vec![b'x'; size]))));
        Body::from_stream(
            BodyStream::new(StreamBody::new(futures_util::stream::iter(frames))),
            Some("text/plain".into()),
        )
    }

    async fn read(body: &mut Body, budget: &Budget, weight: usize) -> Result<(), BodyError> {
        body.read_into(1 << 30, budget.lend(weight)).await
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_lent_for_as_long_as_the_body_is_held() {
        let budget = Budget::new("requests", 1 << 20, WAIT);
        let mut small = known(FREE);
        read(&mut small, &budget, BUILT).await.unwrap();
        assert_eq!(budget.lent(), 0);

        let mut body = known(100 << 10);
        read(&mut body, &budget, BUILT).await.unwrap();
        assert_eq!(budget.lent(), 400 << 10);
        body.build().unwrap();
        let copy = body.copy();
        drop(body);
        assert_eq!(budget.lent(), 400 << 10, "a copy has the same content");
        drop(copy);
        assert_eq!(budget.lent(), 0);

        let mut body = known(100 << 10);
        read(&mut body, &budget, 1).await.unwrap();
        assert_eq!(budget.lent(), 100 << 10);
        body.set(Native::Empty);
        assert_eq!(budget.lent(), 0, "another content");
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_waits_and_is_refused_when_none_comes() {
        let budget = Arc::new(Budget::new("requests", 1 << 20, WAIT));
        let mut first = known(200 << 10);
        read(&mut first, &budget, BUILT).await.unwrap();
        let began = Instant::now();
        assert!(matches!(read(&mut known(100 << 10), &budget, BUILT).await, Err(BodyError::NoRoom)));
        assert_eq!((began.elapsed(), budget.refused()), (WAIT, 1));
        // What is not counted goes on.
        read(&mut known(FREE), &budget, BUILT).await.unwrap();
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move {
                let mut body = known(100 << 10);
                read(&mut body, &budget, BUILT).await.map(|()| body)
            }
        });
        tokio::task::yield_now().await;
        drop(first);
        drop(waiting.await.unwrap().unwrap());
        assert_eq!((budget.lent(), budget.refused()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_length_that_is_not_announced_takes_room_as_it_comes() {
        let budget = Budget::new("answers", 1 << 20, WAIT);
        let mut body = pieces(30, 10 << 10);
        read(&mut body, &budget, 1).await.unwrap();
        assert_eq!(body.raw().unwrap().len(), 300 << 10);
        assert!((300 << 10..600 << 10).contains(&budget.lent()), "{}", budget.lent());
        drop(body);
        // What was lent to a body that could not be read to its end is given back.
        let mut held = known(900 << 10);
        read(&mut held, &budget, 1).await.unwrap();
        assert!(matches!(read(&mut pieces(30, 10 << 10), &budget, 1).await, Err(BodyError::NoRoom)));
        assert_eq!(budget.lent(), 900 << 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_above_all_of_the_budget_comes_alone() {
        let budget = Budget::new("requests", 1 << 20, WAIT);
        let mut body = known(3 << 20);
        read(&mut body, &budget, BUILT).await.unwrap();
        assert_eq!(budget.lent(), budget.capacity());
        assert!(read(&mut known(20 << 10), &budget, 1).await.is_err());
        drop(body);
        assert!(read(&mut known(20 << 10), &budget, 1).await.is_ok());
    }
}
