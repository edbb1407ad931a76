//! What a mapping gave up.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tributary_custodian::{Custodian, GivenUp};
use tributary_embedded::objects::FileObjects;
use tributary_model::{ProjectId, Reason, Target};
use tributary_ports::ledger::DeadLetterFilter;
use tributary_ports::objects::{Condition, Etag, Object};
use tributary_ports::stream::{Batch, SequenceNumber, ShardId, StreamRecord};
use tributary_ports::{Ledger as _, Objects, PortError, PortErrorKind};

use crate::{CHANCE, NOW, World, record};

/// In a test a batch that was given up is an object of lines: a record's bytes in hexadecimal digits. `broken` is none.
fn read_given_up(object: &[u8]) -> Option<(Batch, String)> {
    let text = std::str::from_utf8(object).ok()?;
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let mut records = Vec::new();
    for (position, line) in text.lines().enumerate() {
        records.push(StreamRecord {
            sequence_number: SequenceNumber(position.to_string().into()),
            partition_key: "key".into(),
            arrived_at: NOW,
            data: line.as_bytes().chunks(2).map(byte).collect::<Option<Bytes>>()?,
        });
    }
    Some((Batch { shard: ShardId("shardId-7".into()), records }, "given up after 1001 invocations".to_owned()))
}

fn lines(records: &[&[u8]]) -> Bytes {
    let line = |record: &&[u8]| record.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    records.iter().map(line).collect::<Vec<_>>().join("\n").into()
}

fn custodian(world: &World) -> Custodian {
    let given_up = GivenUp {
        objects: world.objects.clone(),
        prefixes: [(Target::Search, "failed/search/".to_owned()), (Target::Ledger, "failed/ledger/".to_owned())],
        read: read_given_up,
        keys: world.keys.clone(),
    };
    Custodian { given_up: Some(given_up), ..world.custodian() }
}

#[tokio::test]
async fn what_a_mapping_gave_up_becomes_dead_letters() {
    let world = World::new();
    let (a, b) = (record("a", NOW), record("b", NOW));
    for (key, object) in [
        ("failed/search/1", lines(&[&a.1, &b.1, b"no record"])),
        ("failed/search/2", Bytes::from_static(b"broken")),
        ("failed/ledger/1", lines(&[&a.1])),
        ("failed/other/1", lines(&[&a.1])),
    ] {
        world.objects.put(key, object, Condition::Always).await.expect("written");
    }
    for (now, given_up) in [(NOW, 4), (NOW.plus_ms(60_000), 0)] {
        let facts = custodian(&world).handle(now, CHANCE).await;
        assert_eq!((facts.given_up, facts.unreadable, facts.errors), (given_up, 1, vec![]));
    }
    assert_eq!(world.objects.list("failed/", None, 10).await.expect("keys"), ["failed/other/1", "failed/search/2"]);
    let mut letters = Vec::new();
    for project in [None, Some(ProjectId::new("shop").expect("a project's name"))] {
        let filter = DeadLetterFilter { project, ..DeadLetterFilter::default() };
        letters.extend(world.ledger.dead_letters(&filter, None, 10).await.expect("letters"));
    }
    let mut found: Vec<_> = letters.iter().map(|row| (row.id.as_str(), &row.targets[..], row.count)).collect();
    found.sort_unstable();
    let [a, b] = [a.0, b.0].map(|id| id.to_string());
    let mut wanted = vec![
        (a.as_str(), &Target::ALL[..], 1),
        (b.as_str(), &[Target::Search][..], 1),
        ("record-local-shardid-7-2", &[Target::Search][..], 1),
    ];
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    for letter in &letters {
        assert_eq!((letter.reason, letter.detail.as_str()), (Reason::Exhausted, "given up after 1001 invocations"));
        assert!(world.objects.get(&letter.object_key).await.expect("read").is_some(), "{letter:?}");
    }
}

/// An object store that takes nothing.
struct Full(Arc<FileObjects>);

#[async_trait]
impl Objects for Full {
    async fn put(&self, _: &str, _: Bytes, _: Condition) -> Result<Etag, PortError> {
        Err(PortError::new(PortErrorKind::Unavailable, "objects.put", "told to fail"))
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        self.0.get(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, PortError> {
        self.0.list(prefix, after, limit).await
    }

    async fn delete(&self, key: &str) -> Result<(), PortError> {
        self.0.delete(key).await
    }
}

/// What can't be made a dead letter now stays where it is.
#[tokio::test]
async fn what_was_given_up_stays_until_its_dead_letters_are_written() {
    let world = World::new();
    let failed = lines(&[&record("a", NOW).1]);
    world.objects.put("failed/search/1", failed, Condition::Always).await.expect("written");
    let full = Custodian { objects: Arc::new(Full(world.objects.clone())), ..custodian(&world) };
    let facts = full.handle(NOW, CHANCE).await;
    assert_eq!(
        (facts.given_up, facts.errors.contains(&"objects.put: unavailable: told to fail".to_owned())),
        (0, true)
    );
    assert_eq!(world.objects.list("failed/", None, 10).await.expect("keys"), ["failed/search/1"]);
    let facts = custodian(&world).handle(NOW, CHANCE).await;
    assert_eq!((facts.given_up, facts.errors), (1, vec![]));
    assert_eq!(world.objects.list("failed/", None, 10).await.expect("keys"), [""; 0]);
}
