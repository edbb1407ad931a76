//! Waking whoever waits for a change. (tokio's `watch` wakes its receivers in an order that no seed decides.)

use std::sync::Mutex;

use tokio::sync::Notify;

use crate::world::lock;

#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<u64>,
    waiting: Notify,
}

impl Bell {
    /// Wakes all who wait, in the order in which they began to.
    pub(crate) fn ring(&self) {
        *lock(&self.rung) += 1;
        self.waiting.notify_waiters();
    }

    /// How often it was rung.
    pub(crate) fn rung(&self) -> u64 {
        *lock(&self.rung)
    }

    /// Returns when it was rung more often than that.
    pub(crate) async fn after(&self, rung: u64) {
        loop {
            let waiting = self.waiting.notified();
            if self.rung() > rung {
                return;
            }
            waiting.await;
        }
    }
}
