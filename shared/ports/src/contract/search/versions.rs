use tributary_model::{ReportId, Version};

use super::Store;
use super::samples::{document, invocation, invocation_of, project};

pub(super) async fn all(fresh: &impl AsyncFn() -> Store) {
    each_id_has_its_version(fresh().await).await;
    a_replaced_version_is_gone(fresh().await).await;
    versions_of_many_ids_keep_their_order(fresh().await).await;
}

async fn versions(store: &Store, ids: &[ReportId]) -> Vec<Vec<Version>> {
    store.search.versions(ids).await.expect("the versions")
}

async fn each_id_has_its_version(store: Store) {
    assert_eq!(versions(&store, &[invocation(1).id]).await, [vec![]]);
    let theirs = invocation_of(&project("other"), 1);
    let stored = [invocation(1), theirs, invocation(200_000)];
    store.add(&stored).await;
    let [ours, theirs, later] = stored.map(|invocation| (invocation.id, document(invocation).version));
    let ids = [later.0, invocation(2).id, ours.0, ours.0, theirs.0];
    let expected = [vec![later.1], vec![], vec![ours.1], vec![ours.1], vec![theirs.1]];
    assert_eq!(versions(&store, &ids).await, expected);
    assert_eq!(versions(&store, &[]).await, Vec::<Vec<Version>>::new());
}

async fn a_replaced_version_is_gone(store: Store) {
    let id = invocation(1).id;
    for version in [5, 7, 6] {
        let mut document = document(invocation(1));
        document.version = Version::from_u64(version);
        store.upsert(vec![document]).await;
    }
    assert_eq!(versions(&store, &[id]).await, [vec![Version::from_u64(7)]]);
}

async fn versions_of_many_ids_keep_their_order(store: Store) {
    let stored: Vec<_> = (0..300).map(|number| invocation(number * 10)).collect();
    store.add(&stored).await;
    let ids: Vec<ReportId> = (0..3000).rev().map(|number| invocation(number).id).collect();
    let found = versions(&store, &ids).await;
    let lengths: Vec<usize> = found.iter().map(Vec::len).collect();
    let expected: Vec<usize> = (0..3000).rev().map(|number: usize| usize::from(number.is_multiple_of(10))).collect();
    assert_eq!(lengths, expected);
}
