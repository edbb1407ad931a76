//! Records as the collector packs them.

use bytes::Bytes;
use tributary_model::{AccountId, Kind, ProjectId, Region, Report, RetentionClass, TokenId};
use tributary_pipeline::pack::{Arrival, pack};

use crate::Result;

/// So many records of fresh reports of so many bytes.
pub(crate) fn packed(count: usize, report_bytes: usize, region: &Region) -> Result<Vec<Bytes>> {
    let record = |_| {
        let body = tributary::load::sample(report_bytes, "harness-token")?;
        let report = Report::parse(&body)?;
        let project = ProjectId::new("shop")?;
        let id = report.id(&project);
        let arrival = Arrival {
            project,
            account: AccountId::new("acme")?,
            region: region.clone(),
            retention: RetentionClass::DEFAULT,
            token: TokenId::new("t1")?,
            received_at: report.timestamp(),
        };
        Ok(pack(&arrival, id, Kind::Report, &body)?.encode())
    };
    (0..count).map(record).collect()
}
