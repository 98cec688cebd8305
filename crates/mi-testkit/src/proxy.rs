//! The way between a client and a back end, which goes wrong as it is told.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;

use crate::link::Broken;

/// Bytes that are passed on at a time.
const CHUNK: usize = 16 * 1024;

/// What goes wrong. Where bytes are counted, they are those of one answer, its head included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing does.
    None,
    /// Connections are refused; those that are open break.
    Refuses,
    /// Connections are neither accepted nor refused; those that are open break.
    Silent,
    /// The answer begins this much later.
    Delay(Duration),
    /// The connection is reset behind so many bytes of the answer.
    Reset {
        /// Bytes that pass.
        after: usize,
    },
    /// Behind so many bytes of the answer nothing comes any more, and no end of the connection either: the other side is
    /// gone, and nobody says so.
    HalfOpen {
        /// Bytes that pass.
        after: usize,
    },
    /// The connection ends in good order behind so many bytes of the answer.
    Partial {
        /// Bytes that pass.
        after: usize,
    },
    /// The answer comes in pieces.
    Slow {
        /// Bytes of a piece.
        bytes: usize,
        /// Time before each.
        every: Duration,
    },
}

impl Fault {
    /// True when there are no connections at all.
    pub(crate) fn is_down(self) -> bool {
        matches!(self, Self::Refuses | Self::Silent)
    }
}

/// What becomes of a connection when bytes of an answer were passed on.
enum Then {
    GoesOn,
    Ends,
}

/// The two sides of a connection and the fault of its host.
pub(crate) struct Proxy {
    pub(crate) client: DuplexStream,
    pub(crate) back_end: DuplexStream,
    pub(crate) fault: watch::Receiver<Fault>,
    pub(crate) broken: Broken,
}

impl Proxy {
    /// Passes bytes on until either side has ended.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let (mut asked, mut answer) = (vec![0; CHUNK], vec![0; CHUNK]);
        // Bytes of the present answer, and the fault that it meets: the one of the moment when it was asked for.
        let (mut passed, mut meets) = (0, Fault::None);
        let mut answering = true;
        loop {
            tokio::select! {
                biased;
                down = is_down(&mut self.fault) => {
                    if down {
                        self.break_off();
                    }
                    return Ok(());
                }
                count = self.client.read(&mut asked) => {
                    let count = count?;
                    if count == 0 {
                        return Ok(());
                    }
                    if std::mem::replace(&mut answering, false) {
                        (passed, meets) = (0, *self.fault.borrow());
                    }
                    self.back_end.write_all(&asked[..count]).await?;
                }
                count = self.back_end.read(&mut answer) => {
                    let count = count?;
                    if count == 0 {
                        return Ok(());
                    }
                    answering = true;
                    let then = self.pass(&answer[..count], passed, meets).await?;
                    passed += count;
                    if matches!(then, Then::Ends) {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn pass(&mut self, bytes: &[u8], passed: usize, meets: Fault) -> io::Result<Then> {
        let until = |after: usize| &bytes[..after.saturating_sub(passed).min(bytes.len())];
        match meets {
            Fault::None | Fault::Refuses | Fault::Silent => self.client.write_all(bytes).await?,
            Fault::Delay(time) => {
                if passed == 0 {
                    tokio::time::sleep(time).await;
                }
                self.client.write_all(bytes).await?;
            }
            Fault::Slow { bytes: size, every } => {
                for piece in bytes.chunks(size.max(1)) {
                    tokio::time::sleep(every).await;
                    self.client.write_all(piece).await?;
                }
            }
            Fault::Partial { after } => {
                self.client.write_all(until(after)).await?;
                if passed + bytes.len() > after {
                    return Ok(Then::Ends);
                }
            }
            Fault::Reset { after } => {
                self.client.write_all(until(after)).await?;
                if passed + bytes.len() > after {
                    self.break_off();
                    return Ok(Then::Ends);
                }
            }
            Fault::HalfOpen { after } => self.client.write_all(until(after)).await?,
        }
        Ok(Then::GoesOn)
    }

    fn break_off(&self) {
        self.broken.store(true, Ordering::Release);
    }
}

/// Ready when the host has gone; false when the whole network has.
async fn is_down(fault: &mut watch::Receiver<Fault>) -> bool {
    fault.wait_for(|fault| fault.is_down()).await.is_ok()
}
