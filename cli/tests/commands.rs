//! The program itself: its commands against a running `tributary up`, and what they print.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test's own words for what went wrong")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tributary_model::TimestampMs;

/// Longest time for what must happen; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// A data folder and the `up` on it, which is killed when this is dropped.
struct Up {
    data: TempDir,
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Up {
    fn start(more: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut command = program(data.path(), &["up", "--http", "127.0.0.1:0"]);
        let mut child =
            command.args(more).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains("Ctrl-C stops it.") && !line.contains("captured reports") {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).expect("text"), 0, "it ended: {:?}", child.wait());
        }
        Self { data, child, stdout }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        program(self.data.path(), arguments).output().expect("the program starts")
    }

    /// What a command that must succeed prints.
    fn say(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments);
        assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("text")
    }

    /// What a command that must fail says.
    fn complain(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments);
        assert_eq!(status.code(), Some(1), "{arguments:?}");
        format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        serde_json::from_str(&self.say(&arguments)).expect("JSON")
    }

    /// Asks until `count` invocations are found.
    fn find(&self, query: &str, more: &[&str], count: usize) -> Vec<Value> {
        let arguments = [&["query", query, "--all"], more].concat();
        until(&format!("{count} of {query:?}"), || {
            let items = self.json(&arguments)["items"].as_array().expect("items").clone();
            (items.len() >= count).then_some(items)
        })
    }

    /// Ends it as a service manager does.
    fn stop(mut self) -> (String, TempDir) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        let status = self.child.wait().expect("it ran");
        assert!(status.success(), "{status}");
        let data = std::mem::replace(&mut self.data, tempfile::tempdir().expect("a folder"));
        (rest, data)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait(); // likewise
    }
}

fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(arguments).arg("--data").arg(data).env_clear().stdin(Stdio::null());
    command
}

fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(PAUSE);
    }
}

#[expect(clippy::disallowed_methods, reason = "a report's time is compared with the real clock")]
fn now() -> i64 {
    TimestampMs::from_system(std::time::SystemTime::now()).0
}

/// Posts a body with plain means; answers status and body.
fn post(up: &Up, token: &str, content_type: &str, body: &str) -> (u16, String) {
    let file: Value =
        serde_json::from_slice(&fs::read(up.data.path().join("up.json")).expect("up.json")).expect("JSON");
    let address = file["http"].as_str().expect("an address").trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).expect("connected");
    let request = format!(
        "POST /v0/event HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\ncontent-type: {content_type}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

fn report(request_id: &str) -> Value {
    json!({"processId": "p", "timestamp": now(), "aws": {"awsRequestId": request_id, "functionName": "checkout"}})
}

#[test]
fn settings_of_the_stores_are_chosen_while_it_runs_and_taken_back() {
    let up = Up::start(&[]);
    assert_eq!(up.say(&["setting", "set", "search.concurrency", "4"]), "search.concurrency is 4\n");
    assert_eq!(up.say(&["setting", "set", "ledger.page_rows", "10"]), "ledger.page_rows is 10\n");
    let complaint = up.complain(&["setting", "set", "search.concurrency", "11"]);
    assert!(complaint.contains("search.concurrency is a whole number from 1 to 10, not 11"), "{complaint}");
    let complaint = up.complain(&["setting", "unset", "search.speed"]);
    assert!(
        complaint.contains("there is no setting \"search.speed\"") && complaint.contains("setting list"),
        "{complaint}"
    );
    assert_eq!(up.say(&["setting", "unset", "ledger.page_rows"]), "ledger.page_rows is 10000, the default\n");
    let list: Value = serde_json::from_str(&up.say(&["setting", "list", "--output", "json"])).expect("JSON");
    let changed: Vec<&Value> =
        list["items"].as_array().expect("items").iter().filter(|item| item["value"] != item["default"]).collect();
    assert_eq!(
        (changed.len(), &changed[0]["name"], &changed[0]["value"]),
        (1, &json!("search.concurrency"), &json!(4))
    );
    let table = up.say(&["setting", "list"]);
    assert!(table.lines().any(|line| line.trim_start().starts_with("search.concurrency")), "{table}");
}

#[test]
fn a_newcomer_finds_the_samples_with_every_command() {
    let up = Up::start(&["--sample"]);
    let found = up.find("", &[], 48);
    let table = up.say(&["query", "error:*", "--limit", "3"]);
    assert!(table.starts_with(" ID ") && table.contains("3 shown, there are more"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colour without a terminal: {table}");
    let id = found[0]["id"].as_str().expect("an id");
    assert!(up.say(&["show", id]).contains(id));
    assert_eq!(up.json(&["show", id])["original"]["client_id"], found[0]["token"], "the token's id in its place");
    assert!(up.say(&["functions"]).contains("js-01-cold-start"));
    assert_eq!(up.say(&["dead-letter", "list"]), "there are no dead letters\n");
    assert!(up.complain(&["query", "duration:>fast"]).contains('^'));
    assert!(up.complain(&["show", "20260101-aaaaaaaaaaaaaaaaaaaaaaaaaa"]).contains("404 Not Found"));
    assert!(up.complain(&["query", "", "--token", "x"]).contains("401 Unauthorized"));
    let summary = up.json(&["load", "--count", "20", "--connections", "2"]);
    assert_eq!((&summary["sent"], &summary["acknowledged"]), (&20.into(), &20.into()));
    up.find("", &[], 68);
}

#[test]
fn a_token_is_printed_alone_and_revoked_at_once() {
    let up = Up::start(&[]);
    up.say(&["project", "add", "shop", "--retention", "90d"]);
    let token = up.say(&["token", "issue", "--project", "shop", "--scope", "ingest,read", "--expires", "1d"]);
    let token = token.strip_suffix('\n').expect("a line");
    assert!(token.split('.').count() == 3 && !token.contains(char::is_whitespace), "{token}");
    let send = |id: &str| post(&up, token, "application/json", &report(id).to_string()).0;
    until("the new project is known", || (send("r-1") == 200).then_some(()));
    assert_eq!(up.find("request_id:r-1", &["--token", token], 1)[0]["project"], "shop");
    let tokens = up.json(&["token", "list", "--project", "shop"]);
    let row = &tokens["items"][0];
    assert_eq!((&row["state"], &row["scopes"]), (&"valid".into(), &json!(["ingest", "read"])));
    up.say(&["token", "revoke", row["id"].as_str().expect("an id")]);
    until("it is refused", || (send("r-2") == 401).then_some(()));
    assert_eq!(up.json(&["token", "list", "--project", "shop"])["items"][0]["state"], "revoked");
    assert!(up.complain(&["token", "issue", "--project", "none"]).contains("there is no project none"));
}

#[test]
fn a_signed_report_is_proved_to_be_genuine() {
    let up = Up::start(&[]);
    let key = Ed25519KeyPair::generate().expect("a key");
    let jwk = |key: &Ed25519KeyPair| {
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x}).to_string()
    };
    let (file, other) = (up.data.path().join("sender.jwk"), up.data.path().join("other.jwk"));
    fs::File::create(&file)
        .and_then(|mut file| std::io::Write::write_all(&mut file, jwk(&key).as_bytes()))
        .expect("written");
    let stranger = jwk(&Ed25519KeyPair::generate().expect("a key"));
    fs::File::create(&other)
        .and_then(|mut file| std::io::Write::write_all(&mut file, stranger.as_bytes()))
        .expect("written");
    let (file, other) = (file.to_str().expect("a path"), other.to_str().expect("a path"));
    let kid = up.say(&["key", "add", "--public-key", file]).trim().to_owned();
    up.say(&["project", "set", "default", "--signed-only", "true"]);

    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": kid})), part(&report("r-1")));
    let jws = format!("{input}.{}", URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes())));
    let token = up.say(&["token", "issue"]).trim().to_owned();
    let send = |body: &str, content_type: &str| post(&up, &token, content_type, body);
    until("the project takes signed reports only", || {
        (send(&report("r-0").to_string(), "application/json").0 == 403).then_some(())
    });
    assert_eq!(send(&jws, "application/jose").0, 200);
    let item = &up.find("signed:true", &[], 1)[0];
    let id = item["id"].as_str().expect("an id");
    assert_eq!(up.say(&["show", id, "--verify"]), format!("{id} is genuine: signed with {kid} and unchanged since\n"));
    up.say(&["show", id, "--verify", "--public-key", file]);
    assert!(up.complain(&["show", id, "--verify", "--public-key", other]).contains("is NOT genuine"));
    up.say(&["key", "revoke", &kid]);
    assert!(!up.json(&["key", "list", "--project", "default"])["items"][0]["ended_at"].is_null());
    until("the key is refused", || (send(&jws, "application/jose").0 == 401).then_some(()));
    up.say(&["show", id, "--verify"]);
}

#[test]
fn a_rotated_key_leaves_older_tokens_valid() {
    let up = Up::start(&[]);
    let before = up.say(&["token", "issue"]).trim().to_owned();
    up.say(&["key", "rotate"]);
    let after = up.say(&["token", "issue"]).trim().to_owned();
    let send = |token: &str| post(&up, token, "application/json", &report("r-1").to_string()).0;
    until("the new key is known", || (send(&after) == 200).then_some(()));
    assert_eq!(send(&before), 200);
    let keys = up.json(&["key", "list"]);
    assert_eq!(keys["items"].as_array().expect("items").len(), 2);
}

#[test]
fn a_second_up_is_refused_and_sigterm_ends_the_first_cleanly() {
    let up = Up::start(&[]);
    let pid = up.child.id().to_string();
    let message = up.complain(&["up", "--http", "127.0.0.1:0"]);
    assert!(message.contains(&format!("is in use by process {pid}")), "{message}");
    let (rest, data) = up.stop();
    assert_eq!(rest, "");
    assert!(!data.path().join("up.json").exists());
}

#[test]
fn doctor_says_what_is_wrong_and_fails() {
    let up = Up::start(&[]);
    let said = up.say(&["doctor"]);
    assert!(said.contains("note   running      process"), "{said}");
    let (_, data) = up.stop();
    let doctor = |variables: &[(&str, &str)]| {
        let output = program(data.path(), &["doctor"]).envs(variables.iter().copied()).output().expect("it starts");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let free = ("TRIBUTARY_HTTP", "127.0.0.1:0");
    let (code, said) = doctor(&[free]);
    assert_eq!((code, said.contains("WRONG")), (Some(0), false), "{said}");
    for thing in ["settings", "address", "disk", "directory", "keys", "secrets", "ledger", "stream", "search"] {
        assert!(said.contains(&format!("ok     {thing} ")), "{thing}: {said}");
    }
    let (code, said) = doctor(&[free, ("TRIBUTARY_LOG", "loud"), ("TRIBUTARY_ONLY", "everything")]);
    assert_eq!((code, said.matches("WRONG  settings").count()), (Some(1), 2), "{said}");
    let token = data.path().join("keys/local.token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).expect("changed");
    let (code, said) = doctor(&[free]);
    assert_eq!(code, Some(1));
    assert!(said.contains("WRONG  secrets") && said.contains("mend it: chmod 600"), "{said}");
}

#[test]
fn a_damaged_store_is_named() {
    let (_, data) = Up::start(&["--sample"]).stop();
    let stream = data.path().join("stream");
    let segment = fs::read_dir(&stream).expect("a folder").flatten().map(|entry| entry.path());
    let segment = segment.filter(|path| path.extension().is_some_and(|end| end == "log")).min().expect("a segment");
    let mut bytes = fs::read(&segment).expect("read");
    bytes[200] ^= 0xff;
    fs::File::create(&segment).and_then(|mut file| std::io::Write::write_all(&mut file, &bytes)).expect("written");
    let output = program(data.path(), &["doctor"]).env("TRIBUTARY_HTTP", "127.0.0.1:0").output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("WRONG  stream") && said.contains(&segment.display().to_string()), "{said}");
}

#[test]
fn completions_are_printed_for_every_shell() {
    let data = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = program(data.path(), &["completions", shell]).output().expect("it starts");
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("dead-letter"), "{shell}");
    }
}

#[test]
fn without_a_token_or_a_server_a_command_says_what_to_do() {
    let data = tempfile::tempdir().expect("a folder");
    let output = program(data.path(), &["query", ""]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("there is no token") && said.contains("--token or TRIBUTARY_TOKEN"), "{said}");
    let nobody = ["query", "", "--token", "a.b.c", "--endpoint", "http://127.0.0.1:1"];
    let output = program(data.path(), &nobody).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("is `tributary up` running there?"), "{said}");
}
