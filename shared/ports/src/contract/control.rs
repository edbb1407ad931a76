//! What every control keeps to, whether or not its consumers have records to take.

use std::sync::Arc;
use std::time::Duration;

use tributary_model::store_settings::Batches;

use crate::{ConsumerState, Control, Target};

/// Time between two looks at a state, and how many looks it is given to settle: AWS takes up to a minute.
const LOOK: Duration = Duration::from_millis(200);
const LOOKS_MAX: usize = 600;

/// Runs every case, each on a control that `fresh` makes.
pub async fn all(fresh: impl AsyncFn() -> Arc<dyn Control>) {
    a_consumer_runs_until_it_is_paused(&*fresh().await).await;
    a_state_asked_for_twice_is_no_error(&*fresh().await).await;
    one_consumer_is_paused_and_the_other_goes_on(&*fresh().await).await;
    other_batches_leave_a_consumer_as_it_is(&*fresh().await).await;
}

/// Waits until the consumer has the state, and meets no other than the one that leads to it.
async fn settle(control: &dyn Control, consumer: Target, leads: ConsumerState, state: ConsumerState) {
    for _ in 0..LOOKS_MAX {
        let found = control.state(consumer).await.expect("a state");
        if found == state {
            return;
        }
        assert_eq!(found, leads, "on the way to {state:?}");
        tokio::time::sleep(LOOK).await;
    }
    panic!("{} is not {state:?}", consumer.as_str());
}

async fn pause(control: &dyn Control, consumer: Target) {
    control.pause(consumer).await.expect("a pause");
    settle(control, consumer, ConsumerState::Pausing, ConsumerState::Paused).await;
}

async fn resume(control: &dyn Control, consumer: Target) {
    control.resume(consumer).await.expect("a resumption");
    settle(control, consumer, ConsumerState::Resuming, ConsumerState::Running).await;
}

async fn a_consumer_runs_until_it_is_paused(control: &dyn Control) {
    for consumer in Target::ALL {
        settle(control, consumer, ConsumerState::Resuming, ConsumerState::Running).await;
        pause(control, consumer).await;
        resume(control, consumer).await;
    }
}

async fn a_state_asked_for_twice_is_no_error(control: &dyn Control) {
    resume(control, Target::Search).await;
    pause(control, Target::Search).await;
    pause(control, Target::Search).await;
    resume(control, Target::Search).await;
}

async fn one_consumer_is_paused_and_the_other_goes_on(control: &dyn Control) {
    pause(control, Target::Search).await;
    settle(control, Target::Ledger, ConsumerState::Resuming, ConsumerState::Running).await;
    pause(control, Target::Ledger).await;
    resume(control, Target::Search).await;
    assert_eq!(control.state(Target::Ledger).await.expect("a state"), ConsumerState::Paused);
}

async fn other_batches_leave_a_consumer_as_it_is(control: &dyn Control) {
    pause(control, Target::Ledger).await;
    for batches in [Batches { records: 7, concurrency: 3 }, Batches { records: 7, concurrency: 3 }] {
        for consumer in Target::ALL {
            control.set_batches(consumer, batches).await.expect("other batches");
        }
    }
    settle(control, Target::Search, ConsumerState::Resuming, ConsumerState::Running).await;
    settle(control, Target::Ledger, ConsumerState::Resuming, ConsumerState::Paused).await;
}
