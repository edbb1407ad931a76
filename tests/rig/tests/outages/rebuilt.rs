//! An index that is deleted under load, and rebuilt by a replay while ingest goes on.

use serde_json::Value;
use tributary_model::{Outcome, Target};
use tributary_replay::Mode;
use tributary_rig::process::until;

use crate::world::World;

const REPORTS: u64 = 400;
const RATE: u32 = 40;

pub(crate) async fn an_index_is(world: &World) {
    let load = world.load(REPORTS, RATE, crate::SEED + 4);
    until("a third of it is stored", async || (world.documents().await > 130).then_some(())).await;
    let deleted = world.cluster.ask(0, "DELETE", "/invocations-*", &Value::Null).await.expect("an answer");
    assert_eq!(deleted.0, 200, "{}", deleted.1);
    let replay = world.replay(world.everything(Mode::Apply, &[Target::Search])).await;
    assert!(!load.is_finished(), "ingest goes on");
    let (counts, _) = world.run(&replay).await;
    assert_eq!(counts.read, counts.search.total(), "{counts:?}");
    assert!(counts.search.of(Outcome::Applied) > 130, "{counts:?}");
    load.await.unwrap();
    world.is_proven().await;
}
