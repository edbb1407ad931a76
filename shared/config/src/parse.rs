//! A variable's text as what it sets.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tributary_model::limits::SETTING_SHOWN_CHARACTERS_MAX;
use tributary_model::{Level, Region, duration};

use crate::{FunctionName, Problem, Problems, Variable};

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

    pub(crate) fn refuse(&mut self, variable: &Variable, problem: String) {
        self.problems.push(Problem { variable: variable.name, problem, example: variable.example });
    }

    pub(crate) fn finish<T>(self, settings: T) -> Result<T, Problems> {
        if self.problems.is_empty() { Ok(settings) } else { Err(Problems(self.problems)) }
    }
}

/// A wrong value, cut to what helps to see what is wrong with it.
fn shown(text: &str) -> String {
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
