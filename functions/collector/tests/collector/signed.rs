//! Signed reports: what the senders of `examples/` send, and what is refused.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tributary_access::{PublicKeyFile, add_sender_key, revoke_sender_key, set_signed_only};
use tributary_collector::Handled;
use tributary_model::{Kind, Report};

use crate::fixture::{Fixture, NOW, detail, post, project_id, report};

struct Sender {
    pair: Ed25519KeyPair,
    file: PublicKeyFile,
}

impl Sender {
    fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key())});
        let file = PublicKeyFile::read(jwk.to_string().as_bytes()).expect("a public key");
        Self { pair, file }
    }

    async fn register(&self, fixture: &Fixture, project: &str) {
        add_sender_key(fixture.objects.as_ref(), &project_id(project), &self.file, NOW).await.expect("added");
        fixture.refresh().await;
    }

    fn sign(&self, payload: &str) -> String {
        self.sign_with(&json!({"alg": "EdDSA", "kid": self.file.key_id}), payload)
    }

    fn sign_with(&self, header: &Value, payload: &str) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(input.as_bytes())))
    }
}

fn post_jose(token: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    post(&[("authorization", &format!("Bearer {token}")), ("content-type", "application/jose")], body)
}

fn outcome(handled: &Handled) -> (u16, &'static str, String) {
    (handled.facts.status, handled.facts.reason, detail(handled))
}

#[tokio::test]
async fn a_signed_report_is_kept_as_it_came() {
    let fixture = Fixture::new().await;
    let sender = Sender::new(1);
    sender.register(&fixture, "shop").await;
    let token = fixture.token().await;
    let jws = sender.sign(&report(""));
    for sent in [jws.clone(), format!("{jws}\n")] {
        let handled = fixture.send(post_jose(&token, sent)).await;
        assert_eq!(handled.response.status(), 200, "{:?}", handled.response.body());
        let [entry] = fixture.take_stored().try_into().expect("one record");
        let unpacked = tributary_pipeline::unpack::unpack(&entry.data).expect("readable");
        assert_eq!((unpacked.record.kind, &unpacked.report), (Kind::SignedReport, &report("").into()));
        assert_eq!(unpacked.record.payload_bytes as usize, jws.len());
    }
}

#[tokio::test]
async fn a_signed_and_a_plain_report_of_one_invocation_have_one_id() {
    let fixture = Fixture::new().await;
    let sender = Sender::new(1);
    sender.register(&fixture, "shop").await;
    let token = fixture.token().await;
    let signed = fixture.send(post_jose(&token, sender.sign(&report("")))).await;
    let plain = fixture.send(crate::fixture::post_as(&token, report(""))).await;
    assert_eq!(signed.response.body(), plain.response.body());
}

#[tokio::test]
async fn what_the_examples_send_is_taken() {
    let fixture = Fixture::new().await;
    let key =
        PublicKeyFile::read(include_bytes!("../../../../shared/access/testdata/signed/sender.pub.pem")).expect("a key");
    add_sender_key(fixture.objects.as_ref(), &project_id("shop"), &key, NOW).await.expect("added");
    fixture.refresh().await;
    for jws in [
        include_str!("../../../../shared/access/testdata/signed/python.jws"),
        include_str!("../../../../shared/access/testdata/signed/javascript.jws"),
    ] {
        let payload = URL_SAFE_NO_PAD.decode(jws.split('.').nth(1).expect("a payload")).expect("base64url");
        let sent_at = Report::parse(&payload).expect("a report").timestamp();
        let token = fixture.token_with(&json!({}), &json!({"exp": sent_at.0 / 1000 + 60})).await;
        fixture.refresh_at(sent_at).await;
        let handled = fixture.send_at(sent_at, post_jose(&token, jws)).await;
        assert_eq!(handled.response.status(), 200, "{:?}", handled.response.body());
        assert_eq!(fixture.take_record().report, payload);
    }
}

#[tokio::test]
async fn only_the_project_s_own_keys_count() {
    let fixture = Fixture::new().await;
    let (own, foreign) = (Sender::new(1), Sender::new(2));
    own.register(&fixture, "shop").await;
    foreign.register(&fixture, "other").await;
    let token = fixture.token().await;
    let unknown = "the signed report names a key (kid) that is not registered for its project";
    let wrong = "the signed report's signature is not that of a key of its project";
    let pretended = foreign.sign_with(&json!({"alg": "EdDSA", "kid": own.file.key_id}), &report(""));
    for (jws, expected) in [
        (foreign.sign(&report("")), unknown),
        (foreign.sign_with(&json!({"alg": "EdDSA"}), &report("")), wrong),
        (pretended, wrong),
        (own.sign_with(&json!({"alg": "ES256"}), &report("")), wrong),
    ] {
        let handled = fixture.send(post_jose(&token, jws)).await;
        assert_eq!(outcome(&handled), (401, "unauthorized", expected.to_owned()));
    }
    assert!(fixture.take_stored().is_empty());
}

#[tokio::test]
async fn a_revoked_key_signs_no_more() {
    let fixture = Fixture::new().await;
    let sender = Sender::new(1);
    sender.register(&fixture, "shop").await;
    let shop = project_id("shop");
    revoke_sender_key(fixture.objects.as_ref(), &shop, &sender.file.key_id, NOW).await.expect("revoked");
    fixture.refresh().await;
    let handled = fixture.send(post_jose(&fixture.token().await, sender.sign(&report("")))).await;
    let expected = format!("the signed report's key {} was revoked at {NOW}", sender.file.key_id);
    assert_eq!(outcome(&handled), (401, "unauthorized", expected));
}

#[tokio::test]
async fn a_signed_report_that_holds_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let sender = Sender::new(1);
    sender.register(&fixture, "shop").await;
    let token = fixture.token().await;
    let holding = "the signed report holds a token or client_id; what is signed is kept as it is, so leave it out";
    let escaped = token.replacen('e', "\\u0065", 1);
    let header = json!({"alg": "EdDSA", "kid": sender.file.key_id, "x": token});
    for jws in [
        sender.sign(&report(&format!(r#","client_id":"{token}""#))),
        sender.sign(&report(r#","client_id":"anything""#)),
        sender.sign(&report(&format!(r#","labels":["x {token}"]"#))),
        sender.sign(&report(&format!(r#","labels":["{escaped}"]"#))),
        sender.sign_with(&header, &report("")),
    ] {
        let handled = fixture.send(post_jose(&token, jws)).await;
        assert_eq!(outcome(&handled), (422, "invalid-field", holding.to_owned()));
    }
    assert!(fixture.take_stored().is_empty());
}

#[tokio::test]
async fn what_is_no_signed_report_says_why() {
    let fixture = Fixture::new().await;
    let sender = Sender::new(1);
    sender.register(&fixture, "shop").await;
    let token = fixture.token().await;
    let unencoded = sender.sign_with(&json!({"alg": "EdDSA", "b64": false, "crit": ["b64"]}), &report(""));
    for (body, status, reason, expected) in [
        (report(""), 400, "malformed", "the signed report is not three parts of base64url joined by dots"),
        (
            sender.sign_with(&json!({"alg": "none"}), &report("")),
            400,
            "malformed",
            "the signed report has an alg other than ES256, EdDSA and RS256",
        ),
        (unencoded, 400, "malformed", "the signed report has a header with crit or b64, which are not taken"),
        (sender.sign("no report"), 400, "malformed", "not JSON at byte 0: a JSON value was expected"),
        (sender.sign("{}"), 422, "missing-field", "processId is missing; it names the report"),
    ] {
        let handled = fixture.send(post_jose(&token, body)).await;
        assert_eq!(outcome(&handled), (status, reason, expected.to_owned()));
    }
    let handled = fixture.send(post_jose(&token, vec![0xff, 0xfe])).await;
    assert_eq!(outcome(&handled), (400, "malformed", "the signed report is not UTF-8".to_owned()));
}

#[tokio::test]
async fn a_project_that_takes_signed_reports_only_takes_those() {
    let fixture = Fixture::new().await;
    let sender = Sender::new(1);
    sender.register(&fixture, "shop").await;
    set_signed_only(fixture.objects.as_ref(), &project_id("shop"), true, NOW).await.expect("set");
    fixture.refresh().await;
    let token = fixture.token().await;
    let plain = fixture.send(crate::fixture::post_as(&token, report(""))).await;
    assert_eq!(plain.response.status(), 403);
    let signed = fixture.send(post_jose(&token, sender.sign(&report("")))).await;
    assert_eq!(signed.response.status(), 200);
}
