//! What went wrong, and its fingerprint.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use tributary_model::invocation::ErrorInfo;
use tributary_model::json::{Type, Value};
use tributary_model::limits::{ERROR_MESSAGE_BYTES_MAX, ERROR_NAME_BYTES_MAX, ERROR_STACK_BYTES_MAX};

use super::reading::Reading;

/// The error of a report; none if `errors` is missing, null, or an object without name, message and stack.
pub(super) fn error(reading: &mut Reading, errors: Option<Value<'_, '_>>) -> Option<ErrorInfo> {
    // The last three are V8's own and never seen; what they say is in the stack.
    const KEYS: [&str; 6] = ["name", "message", "stack", "lineNumber", "columnNumber", "fileName"];
    let errors = errors.filter(|errors| !errors.is_null())?;
    if errors.type_of() != Type::Object {
        reading.remove("errors", format!("is {}; an object is needed", errors.type_of().name()));
        return None;
    }
    let unknown = |key: Value<'_, '_>, value: Value<'_, '_>| reading.keep_unknown("errors", key, value);
    let [name, message, stack, ..] = errors.pick_or(KEYS, unknown);
    let name = reading.cut_text("errors.name", name, ERROR_NAME_BYTES_MAX);
    let message = reading.cut_text("errors.message", message, ERROR_MESSAGE_BYTES_MAX);
    let stack = stack.map_or(Cow::Borrowed(""), |stack| match stack.type_of() {
        Type::Array | Type::Object => Cow::Borrowed(stack.raw()),
        _ => reading.any_text("errors.stack", Some(stack)),
    });
    if name.is_empty() && message.is_empty() && stack.is_empty() {
        return None;
    }
    let stack = reading.cut("errors.stack", stack, ERROR_STACK_BYTES_MAX);
    let fingerprint = fingerprint(&name, &message, &stack);
    Some(ErrorInfo { name, message, stack, fingerprint })
}

/// Whether the agent made this error because the deadline was near.
pub(super) fn is_timeout(error: &ErrorInfo) -> bool {
    matches!(
        (error.name.as_str(), error.message.as_str()),
        ("Error" | "TimeoutError", "Timeout Exceeded.") | ("errorString" | "wrapError", "Timeout Exceeded")
    ) || matches!(error.name.as_str(), "com.iopipe.IOpipeTimeOutException" | "com.iopipe.IOPipeTimeOutException")
}

/// 64 bits of SHA-256 over the error's name and the places in its stack, as 16 hexadecimal digits.
fn fingerprint(name: &str, message: &str, stack: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    for place in places(name, message, stack) {
        hasher.update(b"\n");
        hasher.update(place.as_bytes());
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The places of a stack, from line to line, without what differs between two errors of one origin: the message, line
/// numbers, columns and addresses. A stack of an unknown form counts as a whole, without its message and numbers.
fn places(name: &str, message: &str, stack: &str) -> Vec<String> {
    let frames = without_head(name, message, stack);
    let mut lines = frames.lines().peekable();
    let mut places = Vec::new();
    while let Some(line) = lines.next() {
        let followed_by_go_file = lines.peek().is_some_and(|next| is_go_file(next));
        places.extend(place(line, followed_by_go_file));
    }
    if places.is_empty() {
        places.extend(frames.lines().map(without_numbers).filter(|line| !line.is_empty()));
    }
    places
}

/// A stack without the line that repeats name and message (which may be many lines).
fn without_head<'a>(name: &str, message: &str, stack: &'a str) -> &'a str {
    let stack = stack.strip_prefix(name).unwrap_or(stack);
    let stack = stack.strip_prefix(": ").unwrap_or(stack);
    if message.is_empty() { stack } else { stack.strip_prefix(message).unwrap_or(stack) }
}

fn place(line: &str, followed_by_go_file: bool) -> Option<String> {
    let trimmed = line.trim();
    if let Some(frame) = trimmed.strip_prefix("at ") {
        return Some(without_addresses(&without_positions(frame))); // JavaScript, Java
    }
    if let Some((file, rest)) = trimmed.strip_prefix("File \"").and_then(|frame| frame.split_once("\", line ")) {
        return Some(format!("{file} {}", rest.trim_start_matches(|digit: char| digit.is_ascii_digit()))); // Python
    }
    if let Some(cause) = trimmed.strip_prefix("Caused by: ").or_else(|| trimmed.strip_prefix("Suppressed: ")) {
        return Some(cause.split(':').next().unwrap_or_default().to_owned()); // Java: the class without its message
    }
    if is_go_file(line) {
        return trimmed.split(".go:").next().map(ToOwned::to_owned);
    }
    followed_by_go_file.then(|| go_function(trimmed).to_owned())
}

/// `/var/task/main.go:12 +0x1d`, behind a tab.
fn is_go_file(line: &str) -> bool {
    line.starts_with('\t') && line.contains(".go:")
}

/// A function without what differs from call to call: `main.handle` of `main.handle(0xc000012345, ...)`, `created by
/// main.run` of `created by main.run in goroutine 7`.
fn go_function(line: &str) -> &str {
    let line = line.split(" in goroutine ").next().unwrap_or(line);
    match line.rsplit_once('(') {
        Some((function, arguments)) if arguments.ends_with(')') => function,
        _ => line,
    }
}

/// A frame without the `:12` or `:12:34` that stands at its end or before a closing bracket.
fn without_positions(frame: &str) -> String {
    let (rest, bracket) = frame.strip_suffix(')').map_or((frame, ""), |rest| (rest, ")"));
    let mut rest = rest;
    while let Some((before, digits)) = rest.rsplit_once(':') {
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            break;
        }
        rest = before;
    }
    format!("{rest}{bracket}")
}

/// A text without hexadecimal addresses (`0x7f..`, `@1b2c3d`) and the numbers that Java gives to the classes of lambdas.
fn without_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let marker = ["0x", "@", "$$Lambda$", "$$Lambda/", "GeneratedMethodAccessor", "$Proxy"];
        let found = marker.into_iter().find(|marker| rest.starts_with(marker));
        let kept = found.map_or(first.len_utf8(), str::len);
        let (keep, after) = rest.split_at_checked(kept).unwrap_or((rest, ""));
        out.push_str(keep);
        rest = match found {
            Some("0x" | "@" | "$$Lambda/") => after.trim_start_matches(|digit: char| digit.is_ascii_hexdigit()),
            Some(_) => after.trim_start_matches(|digit: char| digit.is_ascii_digit()),
            None => after,
        };
    }
    out
}

fn without_numbers(line: &str) -> String {
    without_addresses(line).chars().filter(|character| !character.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javascript_errors_of_one_origin_are_alike() {
        let stack = |message: &str, line: u32| {
            format!(
                "TypeError: {message}\n    at /var/task/run.js:{line}:64\n    at Object.main (/var/task/run.js:{line}:11)\n    \
                 at new Promise (<anonymous>)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"
            )
        };
        let print = |message: &str, line| fingerprint("TypeError", message, &stack(message, line));
        assert_eq!(print("boom", 17), print("order 4711 is\nat the wrong place", 99));
        assert_eq!(
            places("TypeError", "boom", &stack("boom", 17)),
            [
                "/var/task/run.js",
                "Object.main (/var/task/run.js)",
                "new Promise (<anonymous>)",
                "process.processTicksAndRejections (node:internal/process/task_queues)"
            ]
        );
        assert_ne!(print("boom", 17), fingerprint("RangeError", "boom", &stack("boom", 17)));
        assert_ne!(print("boom", 17), fingerprint("TypeError", "boom", &stack("boom", 17).replace("main", "other")));
    }

    #[test]
    fn python_places_are_files_and_functions() {
        let stack = "Traceback (most recent call last):\n  File \"/var/task/run.py\", line 46, in boom\n    \
                     raise ValueError(\"boom\")\n    ^^^^\nValueError: boom\n";
        assert_eq!(places("ValueError", "boom", stack), ["/var/task/run.py , in boom"]);
    }

    #[test]
    fn java_places_name_causes_without_their_messages() {
        let stack = "java.lang.IllegalStateException: boom 17\n\
                     \tat app.Main$$Lambda$14/0x0000000800066840.run(Unknown Source)\n\
                     \tat app.Main.handle(Main.java:12)\n\
                     Caused by: java.io.IOException: id 42\n\
                     \tat app.Store.read(Store.java:99)\n\t... 12 more\n";
        assert_eq!(
            places("java.lang.IllegalStateException", "boom 17", stack),
            [
                "app.Main$$Lambda$/0x.run(Unknown Source)",
                "app.Main.handle(Main.java)",
                "java.io.IOException",
                "app.Store.read(Store.java)"
            ]
        );
    }

    #[test]
    fn go_places_are_functions_and_files() {
        let stack = "goroutine 6 [running]:\nmain.(*Shop).handle(0xc000010018, {0x1, 0x2})\n\
                     \t/src/main.go:12 +0x1d\ncreated by main.run in goroutine 1\n\t/src/main.go:40 +0x99\n";
        assert_eq!(
            places("errorString", "x", stack),
            ["main.(*Shop).handle", "/src/main", "created by main.run", "/src/main"]
        );
    }

    #[test]
    fn an_unknown_form_counts_without_its_numbers() {
        let print = |stack: &str| fingerprint("E", "m 1", stack);
        assert_eq!(print("m 1\nfoo.rb:12:in `bar'"), print("foo.rb:13:in `bar'"));
        assert_ne!(print("foo.rb:12:in `bar'"), print("foo.rb:12:in `baz'"));
        assert_eq!(fingerprint("errorString", "a", "").len(), 16);
        assert_eq!(fingerprint("errorString", "a", ""), fingerprint("errorString", "b", ""));
    }
}
