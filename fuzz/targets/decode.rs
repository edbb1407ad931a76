//! A request's body through all that the collector does with it. The first byte chooses the encoding, so that it is found
//! by mutation; the rest is the body.

use bytes::Bytes;
use tributary_model::limits::{BODY_BYTES_MAX, REPORT_BYTES_MAX};
use tributary_model::{Report, TokenId};
use tributary_pipeline::admit::{admit, without_token};
use tributary_pipeline::decode::{Encoding, decode};

const TOKEN: &str = "harness-token";

pub(crate) fn run(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let encoding = match first {
        b'g' => Encoding::Gzip,
        b'z' => Encoding::Zstd,
        _ => Encoding::Identity,
    };
    let Ok(body) = decode(Bytes::copy_from_slice(body), encoding) else { return };
    assert!(body.len() <= BODY_BYTES_MAX);
    let Ok(report) = Report::parse(&body) else { return };
    if admit(&report, report.timestamp()).is_ok() {
        assert!(body.len() <= REPORT_BYTES_MAX);
    }
    let jti = TokenId::new("t_1").expect("a token's id");
    let without = without_token(&body, &report, Some(TOKEN), &jti);
    let strings = |body: &Bytes| Report::parse(body).expect("still a report").root().to_tree().to_string();
    assert!(!strings(&without).contains(TOKEN), "the token is still there");
    if body == without {
        assert_eq!(report.client_id(), None);
    }
}
