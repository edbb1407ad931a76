//! A request's target out of an event.

use std::fmt::Write;

/// Appends `text` so that a URI may hold it. What is encoded already stays as it is: an HTTP API decodes the path that it
/// hands on, a Function URL and a load balancer do not.
pub(super) fn push_encoded(target: &mut String, text: &str, also: &[u8]) {
    for byte in text.bytes() {
        let plain = byte.is_ascii_graphic() && !br#""<>\^`{|}#"#.contains(&byte) && !also.contains(&byte);
        if plain {
            target.push(char::from(byte));
        } else {
            let _ = write!(target, "%{byte:02X}"); // writing to a string does not fail
        }
    }
}

/// The path without the stage of an HTTP API, which stands in front of it unless it is `$default`.
pub(super) fn without_stage<'a>(path: &'a str, stage: &str) -> &'a str {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
    match rest {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_uri_may_not_hold_is_encoded_and_the_rest_stays() {
        let mut target = String::new();
        push_encoded(&mut target, "/a b/%20/ü?\"", b"?");
        assert_eq!(target, "/a%20b/%20/%C3%BC%3F%22");
        let mut query = String::new();
        push_encoded(&mut query, "query=error%3Ax&sort=-duration ?", b"");
        assert_eq!(query, "query=error%3Ax&sort=-duration%20?");
    }

    #[test]
    fn a_stage_is_taken_off_where_it_stands() {
        assert_eq!(without_stage("/prod/v0/event", "prod"), "/v0/event");
        assert_eq!(without_stage("/prod", "prod"), "/");
        assert_eq!(without_stage("/v0/event", "$default"), "/v0/event");
        assert_eq!(without_stage("/production/x", "prod"), "/production/x");
    }
}
