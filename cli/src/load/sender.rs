//! The connections that send reports.
//!
//! All run in one thread and share their state without locks. Each sends a report, reads its answer, and sends the next:
//! as agents do, one at a time. A report is sent once, whatever becomes of it.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout};
use tributary_model::limits::{LOAD_ATTEMPT_PAUSE, LOAD_ATTEMPTS_MAX, LOAD_CONNECT_TIMEOUT};

use super::pace::Pace;
use super::receipts::Receipts;
use super::response::{Answer, Unreadable};
use super::source::Source;
use super::summary::{Failure, Tally};

/// Bytes that an acknowledgement stays below; a longer answer makes its buffer grow.
const ANSWER_BYTES: usize = 4096;

/// What the connections share.
pub(super) struct Run {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) pace: Pace,
    pub(super) source: RefCell<Source>,
    pub(super) tally: RefCell<Tally>,
    pub(super) receipts: Option<RefCell<Receipts>>,
    /// [`LOAD_ANSWER_TIMEOUT`]; a test makes it short.
    ///
    /// [`LOAD_ANSWER_TIMEOUT`]: tributary_model::limits::LOAD_ANSWER_TIMEOUT
    pub(super) answer_timeout: Duration,
}

/// Why sending ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("the collector is gone: {0}, {LOAD_ATTEMPTS_MAX} times in a row")]
    Gone(io::Error),
    #[error("a receipt can't be written: {0}")]
    Receipts(io::Error),
    #[error("interrupted")]
    Interrupted,
}

/// Sends on that many connections until the pace gives no more turns, and waits for all answers. The first reason to
/// stop, on whichever connection, stops all.
pub(super) async fn send(run: &Rc<Run>, connections: u16, interrupt: impl Future<Output = ()>) -> Result<(), Stop> {
    let local = LocalSet::new();
    let mut sending = JoinSet::new();
    for _ in 0..connections {
        sending.spawn_local_on(connection(Rc::clone(run)), &local);
    }
    local.run_until(finish(run, sending, interrupt)).await
}

async fn finish(
    run: &Run,
    mut sending: JoinSet<Result<(), Stop>>,
    interrupt: impl Future<Output = ()>,
) -> Result<(), Stop> {
    let mut interrupt = pin!(interrupt);
    let mut first = Ok(());
    let mut listening = true;
    loop {
        let ended = tokio::select! {
            ended = sending.join_next() => match ended {
                None => return first,
                Some(ended) => ended.unwrap_or_else(|error| Err(Stop::Gone(error.into()))),
            },
            () = &mut interrupt, if listening => {
                listening = false;
                Err(Stop::Interrupted)
            }
        };
        if ended.is_err() {
            run.pace.stop();
            first = first.and(ended);
        }
    }
}

async fn connection(run: Rc<Run>) -> Result<(), Stop> {
    let mut connection =
        Connection { stream: None, request: Vec::new(), answer: Vec::with_capacity(ANSWER_BYTES), broken: 0 };
    while let Some(from) = run.pace.turn().await {
        connection.open(&run).await?;
        connection.send_one(&run, from).await?;
    }
    Ok(())
}

struct Connection {
    stream: Option<TcpStream>,
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Times in a row that it could not be opened or broke.
    broken: u32,
}

/// Why no answer was read, or nothing may follow it.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("no answer in time")]
    Timeout(#[from] Elapsed),
    #[error(transparent)]
    Stop(Stop),
}

impl Connection {
    /// Makes sure that there is a connection, a new one if the collector has closed the old one meanwhile.
    async fn open(&mut self, run: &Run) -> Result<(), Stop> {
        if self.stream.as_ref().is_some_and(is_closed) {
            self.stream = None;
        }
        while self.stream.is_none() {
            match connect(&run.addresses).await {
                Ok(stream) => self.stream = Some(stream),
                Err(error) => self.pause_or_give_up(error).await?,
            }
        }
        Ok(())
    }

    /// After the connection could not be opened, or broke.
    async fn pause_or_give_up(&mut self, error: io::Error) -> Result<(), Stop> {
        self.stream = None;
        self.broken += 1;
        if self.broken == LOAD_ATTEMPTS_MAX {
            return Err(Stop::Gone(error));
        }
        sleep(LOAD_ATTEMPT_PAUSE).await;
        Ok(())
    }

    async fn send_one(&mut self, run: &Run, from: Instant) -> Result<(), Stop> {
        let report_bytes = run.source.borrow_mut().next(Instant::now(), &mut self.request);
        let exchange = timeout(run.answer_timeout, self.exchange(run, from, report_bytes));
        let error = match exchange.await.map_err(Broken::from).flatten() {
            Ok(()) => return Ok(()),
            Err(Broken::Stop(stop)) => return Err(stop),
            Err(error) => error,
        };
        let (failure, error) = match error {
            Broken::Io(error) => (Failure::Connection, error),
            Broken::Unreadable(_) => (Failure::Unreadable, io::Error::other(error)),
            _ => (Failure::Timeout, io::Error::other(error)),
        };
        run.tally.borrow_mut().fail(failure, || error.to_string());
        self.pause_or_give_up(error).await
    }

    /// Sends the request and reads its answer.
    async fn exchange(&mut self, run: &Run, from: Instant, report_bytes: usize) -> Result<(), Broken> {
        let stream = self.stream.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if stream.read_buf(&mut self.answer).await? == 0 {
                return Err(
                    io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the answer was complete").into()
                );
            }
            let Some(answer) = Answer::parse(&self.answer)? else { continue };
            run.settle(&answer, from.elapsed(), report_bytes).map_err(Broken::Stop)?;
            self.broken = 0;
            if !answer.keeps_alive {
                self.stream = None;
            }
            return Ok(());
        }
    }
}

impl Run {
    /// Counts an answer; the receipt, if it is one, is in the file when this returns.
    fn settle(&self, answer: &Answer<'_>, latency: Duration, report_bytes: usize) -> Result<(), Stop> {
        let mut tally = self.tally.borrow_mut();
        match answer.receipt() {
            Some(id) => {
                if let Some(receipts) = &self.receipts {
                    receipts.borrow_mut().add(id).map_err(Stop::Receipts)?;
                }
                tally.acknowledge(latency, report_bytes);
            }
            None if answer.status == 200 => tally.fail(Failure::Unreadable, || "a 200 without an id".to_owned()),
            None => tally.fail(Failure::Status(answer.status), || answer.detail().unwrap_or_default()),
        }
        Ok(())
    }
}

async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let stream = timeout(LOAD_CONNECT_TIMEOUT, TcpStream::connect(addresses)).await.map_err(io::Error::from)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether the other side has closed the connection, or sent what nobody asked for. It costs a system call only if
/// something came.
fn is_closed(stream: &TcpStream) -> bool {
    !matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
