//! Limits of an invocation: normalize removes what is beyond them and says so.

use std::time::Duration;

/// Bytes of an ordinary text field (function name, ARN, log stream ...).
pub const TEXT_BYTES_MAX: usize = 1024;
/// Bytes of the URL of an HTTP trace; a longer one is cut.
pub const URL_BYTES_MAX: usize = 4 * 1024;
/// Bytes of an error's name; a longer one is cut.
pub const ERROR_NAME_BYTES_MAX: usize = 512;
/// Bytes of an error's message; a longer one is cut.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an error's stack; a longer one is cut.
pub const ERROR_STACK_BYTES_MAX: usize = 64 * 1024;
/// Custom metrics of an invocation.
pub const METRICS_MAX: usize = 1000;
/// Bytes of a metric's name. The agents' documents say 128 characters; event-info paths are longer.
pub const METRIC_NAME_BYTES_MAX: usize = 512;
/// Bytes of a metric's text; a longer one is cut. The agents' documents say 1,024 characters and do not hold to it.
pub const METRIC_TEXT_BYTES_MAX: usize = 8 * 1024;
/// Labels that a report may bring; the automatic ones that normalize adds come on top.
pub const LABELS_MAX: usize = 200;
/// Bytes of a label. The agents enforce 128 characters.
pub const LABEL_BYTES_MAX: usize = 512;
/// Marks and measures of an invocation, and of HTTP and database traces each.
pub const TRACE_ENTRIES_MAX: usize = 1000;
/// Plugins of an invocation.
pub const PLUGINS_MAX: usize = 64;
/// Bytes of all unknown keys of a report together, as JSON.
pub const UNKNOWN_BYTES_MAX: usize = 64 * 1024;
/// Time that Lambda can leave to an invocation, and that one can be late: beyond a day it is no deadline. The Go agent
/// sends -292 years if there is none.
pub const REMAINING_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A trace entry may begin this long before or after its invocation, since clocks and rounding differ.
pub const TRACE_SLACK: Duration = Duration::from_secs(1);
/// Removed fields listed with an invocation; more are counted only.
pub const REMOVED_MAX: usize = 50;
