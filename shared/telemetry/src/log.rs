//! The log: JSON lines, buffered, to one output.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use tributary_model::Level;
use tributary_model::limits::LOG_BUFFER_BYTES;

/// JSON lines to one output. Lines are whole, whoever writes at once. What the output refuses is lost and counted: a
/// full disk under the log stops nothing else.
pub(crate) struct Log {
    threshold: Option<Level>,
    buffered: Mutex<Buffered>,
    lost: Counter,
}

struct Buffered {
    lines: Vec<u8>,
    count: u64,
    out: Box<dyn Write + Send>,
}

impl Log {
    pub(crate) fn new(threshold: Option<Level>, out: Box<dyn Write + Send>, lost: Counter) -> Self {
        Self { threshold, buffered: Mutex::new(Buffered { lines: Vec::new(), count: 0, out }), lost }
    }

    pub(crate) fn takes(&self, level: Level) -> bool {
        self.threshold.is_some_and(|threshold| level >= threshold)
    }

    pub(crate) fn write(&self, line: &impl Serialize) {
        let Ok(mut line) = serde_json::to_vec(line) else {
            self.lost.inc();
            return;
        };
        line.push(b'\n');
        let mut buffered = self.lock();
        buffered.lines.append(&mut line);
        buffered.count += 1;
        if buffered.lines.len() >= LOG_BUFFER_BYTES {
            self.drain(&mut buffered);
        }
    }

    pub(crate) fn flush(&self) {
        self.drain(&mut self.lock());
    }

    fn drain(&self, buffered: &mut Buffered) {
        let Buffered { lines, count, out } = buffered;
        if out.write_all(lines).and_then(|()| out.flush()).is_err() {
            self.lost.inc_by(*count);
        }
        lines.clear();
        *count = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Buffered> {
        self.buffered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}
