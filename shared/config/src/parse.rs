//! A variable's text as what it sets.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tributary_model::directory::DirectoryPlace;
use tributary_model::limits::SETTING_SHOWN_CHARACTERS_MAX;
use tributary_model::{Level, ProjectId, Region, Target, duration};

use crate::{Arn, Bucket, FunctionName, Problem, Problems, Variable};

/// Reads variables, and keeps what is wrong with them until all are read.
pub(crate) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    /// The variable's value; `default` if it is not set, and also if it is wrong, which [`Reader::finish`] reports.
    pub(crate) fn read<T>(
        &mut self,
        variable: &Variable,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(text) = (self.lookup)(variable.name).filter(|text| !text.is_empty()) else { return default };
        parse(&text).unwrap_or_else(|problem| {
            self.refuse(variable, format!("{problem}, not {}", shown(&text)));
            default
        })
    }

    /// The variable's value; none if it is not set or wrong, which [`Reader::finish_if_whole`] reports.
    pub(crate) fn require<T>(
        &mut self,
        variable: &Variable,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if (self.lookup)(variable.name).is_none_or(|text| text.is_empty()) {
            self.refuse(variable, "is not set".to_owned());
            return None;
        }
        self.read(variable, None, |text| parse(text).map(Some))
    }

    pub(crate) fn refuse(&mut self, variable: &Variable, problem: String) {
        self.problems.push(Problem { variable: variable.name, problem, example: variable.example });
    }

    /// Of `settings` nothing is missing unless there is a problem.
    pub(crate) fn finish_if_whole<T>(self, settings: Option<T>) -> Result<T, Problems> {
        match settings {
            Some(settings) => self.finish(settings),
            None => Err(Problems(self.problems)),
        }
    }

    pub(crate) fn finish<T>(self, settings: T) -> Result<T, Problems> {
        if self.problems.is_empty() { Ok(settings) } else { Err(Problems(self.problems)) }
    }
}

/// A wrong value, cut to what helps to see what is wrong with it, and without the user and password of an address.
fn shown(text: &str) -> String {
    let text = text.rsplit_once('@').map_or(text, |(_, behind)| behind);
    let start: String = text.chars().take(SETTING_SHOWN_CHARACTERS_MAX).collect();
    let more = if start.len() < text.len() { "..." } else { "" };
    format!("{start:?}{more}")
}

pub(crate) fn path(text: &str) -> Result<PathBuf, String> {
    if text.contains(['\0', char::REPLACEMENT_CHARACTER]) {
        return Err("must be a path in UTF-8".to_owned());
    }
    Ok(PathBuf::from(text))
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port, ADDRESS:PORT or [ADDRESS]:PORT".to_owned())
}

pub(crate) fn functions(text: &str) -> Result<BTreeSet<FunctionName>, String> {
    let function = |name: &str| FunctionName::ALL.into_iter().find(|function| function.as_str() == name.trim());
    let all: Option<BTreeSet<FunctionName>> = text.split(',').map(function).collect();
    let names = FunctionName::ALL.map(FunctionName::as_str).join(", ");
    all.ok_or_else(|| format!("must be some of {names}, joined by commas"))
}

pub(crate) fn region(text: &str) -> Result<Region, String> {
    Region::new(text).map_err(|error| format!("must be a region's name ({error})"))
}

pub(crate) fn level(text: &str) -> Result<Option<Level>, String> {
    match text {
        "off" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| "must be info, warn, error or off".to_owned()),
    }
}

/// A whole number within `range`.
pub(crate) fn size<T: FromStr + PartialOrd + Display>(
    range: RangeInclusive<T>,
) -> impl FnOnce(&str) -> Result<T, String> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
    }
}

/// A duration within `range`.
pub(crate) fn span(range: RangeInclusive<Duration>) -> impl FnOnce(&str) -> Result<Duration, String> {
    move |text| {
        let duration = duration::parse(text).map_err(|error| error.to_string())?;
        let (shortest, longest) = (duration::format(*range.start()), duration::format(*range.end()));
        if range.contains(&duration) { Ok(duration) } else { Err(format!("must be from {shortest} to {longest}")) }
    }
}

pub(crate) fn target(text: &str) -> Result<Target, String> {
    let target = Target::ALL.into_iter().find(|target| target.as_str() == text);
    target.ok_or_else(|| "must be search or ledger".to_owned())
}

pub(crate) fn project(text: &str) -> Result<ProjectId, String> {
    ProjectId::new(text).map_err(|error| format!("must be a project's name ({error})"))
}

/// A text without spaces and control characters.
pub(crate) fn name(text: &str) -> Result<String, String> {
    if text.chars().all(|letter| letter.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err("must be a name in ASCII without spaces".to_owned())
}

/// `https://...`; `http://...` only on this machine, for a server that stands for the real one.
pub(crate) fn url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").map(|rest| rest.rsplit_once('@').map_or(rest, |(_, host)| host));
    let local = host.is_some_and(|host| ["127.0.0.1:", "localhost:"].iter().any(|start| host.starts_with(start)));
    let secure = text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
    if secure || local { name(text) } else { Err("must be an address that begins with https://".to_owned()) }
}

/// As S3 names buckets: 3 to 63 lower-case letters, digits, dots and hyphens.
pub(crate) fn bucket(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    if (3..=63).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("must be a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens".to_owned())
}

/// `arn:PARTITION:service:REGION:ACCOUNT:resource...`
pub(crate) fn arn(service: &'static str, resource: &'static str) -> impl FnOnce(&str) -> Result<Arn, String> {
    move |text| {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let region = match parts.as_slice() {
            ["arn", partition, named, region, account, rest]
                if partition.starts_with("aws")
                    && *named == service
                    && !account.is_empty()
                    && rest.strip_prefix(resource).is_some_and(|rest| !rest.is_empty()) =>
            {
                Region::new(region).ok()
            }
            _ => None,
        };
        let wrong = || format!("must be an ARN, arn:aws:{service}:REGION:ACCOUNT:{resource}...");
        Ok(Arn { text: name(text)?, region: region.ok_or_else(wrong)? })
    }
}

/// `arn:PARTITION:iam::ACCOUNT:role/...`, which names no region, up to where the names of roles differ.
pub(crate) fn role_prefix(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, "iam", "", account, rest]
            if partition.starts_with("aws") && !account.is_empty() && rest.starts_with("role/") =>
        {
            name(text)
        }
        _ => Err("must be what an ARN begins with, arn:aws:iam::ACCOUNT:role/...".to_owned()),
    }
}

/// `1a2b3c4d-1234-5678-9abc-1234567890ab`
pub(crate) fn uuid(text: &str) -> Result<String, String> {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    if lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
        return Ok(text.to_owned());
    }
    Err("must be a UUID".to_owned())
}

/// ARNs of streams, one for each region, joined by commas; none if it is empty.
pub(crate) fn streams(text: &str) -> Result<Vec<Arn>, String> {
    let mut streams: Vec<Arn> = Vec::new();
    for text in text.split(',').filter(|text| !text.is_empty()) {
        let stream = arn("kinesis", "stream/")(text)?;
        if streams.iter().any(|other| other.region == stream.region) {
            return Err(format!("names two streams of {}", stream.region));
        }
        streams.push(stream);
    }
    Ok(streams)
}

/// A stream's name, or its ARN.
pub(crate) fn stream(text: &str) -> Result<String, String> {
    if text.starts_with("arn:") {
        return arn("kinesis", "stream/")(text).map(|arn| arn.text);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.len() <= 128 && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("must be a stream's ARN or name: at most 128 letters, digits, dots, hyphens and underscores".to_owned())
}

/// `s3://BUCKET/KEY`, an address, or a path.
pub(crate) fn directory(text: &str) -> Result<DirectoryPlace, String> {
    if let Some(object) = text.strip_prefix("s3://") {
        let place = object.split_once('/').filter(|(_, key)| !key.is_empty());
        let (name, key) = place.ok_or_else(|| "must be s3://BUCKET/KEY".to_owned())?;
        return Ok(DirectoryPlace::Object { bucket: bucket(name)?, key: key.to_owned() });
    }
    if text.contains("://") { url(text).map(DirectoryPlace::Url) } else { path(text).map(DirectoryPlace::File) }
}

/// `BUCKET=KEY-ARN`, joined by commas.
pub(crate) fn copies(text: &str) -> Result<Vec<Bucket>, String> {
    let copy = |text: &str| {
        let (name, key) = text.split_once('=').ok_or_else(|| "must be pairs BUCKET=KEY-ARN".to_owned())?;
        Ok(Bucket { name: bucket(name)?, key: arn("kms", "key/")(key)? })
    };
    text.split(',').map(copy).collect()
}
