//! Attacks with tokens, through the front door. What is verified and how is tested in the access crate.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::fixture::{Fixture, NOW, detail, post_as, report};

async fn refused(fixture: &Fixture, token: &str) -> String {
    let handled = fixture.send(post_as(token, report(""))).await;
    assert_eq!((handled.facts.status, handled.facts.reason), (401, "unauthorized"), "{token:.80}");
    assert_eq!(handled.response.headers()["www-authenticate"], r#"Bearer realm="tributary", error="invalid_token""#);
    assert_eq!(handled.facts.project, None);
    assert!(fixture.take_stored().is_empty());
    detail(&handled)
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// S2: alg none.
#[tokio::test]
async fn an_unsigned_token_is_refused_however_it_spells_none() {
    let fixture = Fixture::new().await;
    let claims = json!({"iss": crate::fixture::ISSUER, "jti": "t", "project": "shop", "scope": "ingest"});
    for name in ["none", "None", "NONE", "nOnE", "none ", ""] {
        for signature in ["", "AAAA"] {
            let token = format!("{}.{signature}", unsigned(&json!({"alg": name}), &claims));
            assert_eq!(refused(&fixture, &token).await, "the token has an alg other than ES256, EdDSA and RS256");
        }
    }
    let bare = unsigned(&json!({"alg": "none"}), &claims);
    assert_eq!(refused(&fixture, &bare).await, "the token is not three parts of base64url joined by dots");
}

/// S2: HS256 with the public key for its secret, under its own name and under the key's.
#[tokio::test]
async fn a_public_key_used_as_a_shared_secret_opens_nothing() {
    let fixture = Fixture::new().await;
    let keys = fixture.send(crate::fixture::request(http::Method::GET, "/.well-known/jwks.json", &[], "")).await;
    let set: Value = serde_json::from_slice(keys.response.body()).expect("JSON");
    let key = &set["keys"][0];
    let claims = json!({"iss": crate::fixture::ISSUER, "jti": "t", "project": "shop", "scope": "ingest"});
    for alg in ["HS256", "ES256"] {
        let input = unsigned(&json!({"alg": alg, "kid": key["kid"]}), &claims);
        let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.to_string().as_bytes());
        let tag = aws_lc_rs::hmac::sign(&secret, input.as_bytes());
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
        let expected = match alg {
            "HS256" => "the token has an alg other than ES256, EdDSA and RS256",
            _ => "the token's signature is not that of its key (kid)",
        };
        assert_eq!(refused(&fixture, &token).await, expected);
    }
}

/// S2: exp and nbf of every wrong type or size.
#[tokio::test]
async fn times_of_the_wrong_type_do_not_switch_the_check_off() {
    let fixture = Fixture::new().await;
    for claim in ["exp", "nbf"] {
        for value in [json!("0"), json!("9999999999"), json!(null), json!(-1), json!(1e300), json!(false), json!([0])] {
            let token = fixture.token_with(&json!({}), &json!({ claim: value })).await;
            let expected = format!("the token's claim {claim} is not a number of seconds since 1970");
            assert_eq!(refused(&fixture, &token).await, expected, "{value}");
        }
    }
    let now_s = NOW.0 / 1000;
    let over = fixture.token_with(&json!({}), &json!({"exp": now_s - 60})).await;
    assert_eq!(refused(&fixture, &over).await, "the token expired at 2026-11-21T18:04:00.000Z");
    let early = fixture.token_with(&json!({}), &json!({"nbf": now_s + 61})).await;
    assert_eq!(refused(&fixture, &early).await, "the token is not valid before 2026-11-21T18:06:01.000Z");
}

/// L7: who is not known here hears so, and never 200.
#[tokio::test]
async fn tokens_of_others_are_refused() {
    let (fixture, other) = (Fixture::new().await, Fixture::new().await);
    let foreign = other.token().await;
    assert_eq!(refused(&fixture, &foreign).await, "the token's key (kid) is not known here");
    for (claims, expected) in [
        (json!({"iss": "https://other.test"}), "the token's issuer (iss) is another"),
        (json!({"project": "gone"}), "the token's project does not exist"),
        (json!({"jti": ""}), "the token's claim jti is no id: a token's id must have 1 to 64 bytes, this one has 0"),
        (json!({"aud": "other"}), "the token names an audience (aud); it was not made for this service"),
    ] {
        let token = fixture.token_with(&json!({}), &claims).await;
        assert_eq!(refused(&fixture, &token).await, expected);
    }
}

/// S2: a flood of kids.
#[tokio::test]
async fn a_flood_of_unknown_keys_is_refused_one_by_one() {
    let fixture = Fixture::new().await;
    let claims = json!({"iss": crate::fixture::ISSUER, "jti": "t", "project": "shop", "scope": "ingest"});
    for number in 0..500 {
        let input = unsigned(&json!({"alg": "ES256", "kid": format!("unknown-{number}")}), &claims);
        let token = format!("{input}.{}", "A".repeat(86));
        assert_eq!(refused(&fixture, &token).await, "the token's key (kid) is not known here");
    }
    let good = fixture.send(post_as(&fixture.token().await, report(""))).await;
    assert_eq!(good.response.status(), 200);
}

#[tokio::test]
async fn a_huge_header_is_refused_unread() {
    let fixture = Fixture::new().await;
    let token = fixture.token_with(&json!({"x5c": "A".repeat(10_000)}), &json!({})).await;
    assert_eq!(refused(&fixture, &token).await, format!("the token has {} bytes; the limit is 4096", token.len()));
    let in_body = report(&format!(r#","client_id":"{}""#, "x".repeat(100_000)));
    let handled = fixture.send(crate::fixture::post(&[], in_body)).await;
    assert_eq!(detail(&handled), "the token has 100000 bytes; the limit is 4096");
}

#[tokio::test]
async fn a_revocation_ends_a_token_that_was_taken_before() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    assert_eq!(fixture.send(post_as(&token, report(""))).await.response.status(), 200);
    fixture.take_stored();
    fixture
        .change(|directory| {
            directory.revoked.insert("token-1".parse().expect("an id"), NOW.plus_ms(1));
        })
        .await;
    assert_eq!(refused(&fixture, &token).await, "the token was revoked");
}
