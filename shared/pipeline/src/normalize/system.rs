//! Memory, processor time, disk and host: units and fields differ by agent.

use tributary_model::invocation::{CpuInfo, DiskInfo, HostInfo, MemoryInfo, Named, RuntimeInfo};
use tributary_model::json::Value;

use super::Language;
use super::reading::Reading;

const MIB: f64 = 1024.0 * 1024.0;
const KIB_PER_MIB: f64 = 1024.0;
/// Bytes of a page of memory on Lambda's x86-64 and arm64.
const PAGE_BYTES: f64 = 4096.0;
/// Milliseconds of a tick of Linux's clock for processes (USER_HZ is 100).
const TICK_MS: f64 = 10.0;

/// What the report's `environment` says.
#[derive(Default)]
pub(super) struct System {
    pub(super) agent: Named,
    pub(super) runtime: RuntimeInfo,
    pub(super) memory: MemoryInfo,
    pub(super) cpu: CpuInfo,
    pub(super) host: HostInfo,
}

pub(super) fn system(
    reading: &mut Reading,
    environment: Option<Value<'_, '_>>,
    limit_mib: Option<f64>,
    coldstart: bool,
) -> System {
    // What `python` holds is in `runtime` too; of `nodejs` only the memory is not.
    const KEYS: [&str; 6] = ["agent", "runtime", "host", "os", "nodejs", "python"];
    let unknown = |key: Value<'_, '_>, value: Value<'_, '_>| reading.keep_unknown("environment", key, value);
    let [agent, runtime, host, os, nodejs, ..] =
        environment.map_or([None; 6], |environment| environment.pick_or(KEYS, unknown));
    let [hostname, total, free, cpus, linux] =
        os.map_or([None; 5], |os| os.pick(["hostname", "totalmem", "freemem", "cpus", "linux"]));
    let [stat, stat_start, status] = linux
        .and_then(|linux| linux.path(&["pid", "self"]))
        .map_or([None; 3], |process| process.pick(["stat", "stat_start", "status"]));
    let status = status.map_or([None; 3], |status| status.pick(["VmRSS", "Threads", "FDSize"]));
    let agent = self::agent(reading, agent);
    let resident = Resident {
        status_kib: status[0],
        node_bytes: nodejs.and_then(|nodejs| nodejs.path(&["memoryUsage", "rss"])),
        stat_pages: stat.and_then(|stat| stat.get("rss")),
    };
    let [_, threads, file_descriptors] = status;
    let used_mib = resident.mib(reading);
    System {
        runtime: self::runtime(reading, runtime),
        memory: memory(reading, limit_mib, used_mib, total, free),
        cpu: CpuInfo {
            count: cpus.map_or(0, |cpus| u32::try_from(cpus.items().count()).unwrap_or(u32::MAX)),
            ..cpu(reading, Language::of(&agent.runtime), coldstart, stat_start, stat)
        },
        host: HostInfo {
            name: reading.text("environment.os.hostname", hostname),
            boot_id: boot_id(reading, host),
            threads: reading.count("environment.os.linux.pid.self.status.Threads", threads),
            file_descriptors: reading.count("environment.os.linux.pid.self.status.FDSize", file_descriptors),
        },
        agent,
    }
}

fn agent(reading: &mut Reading, agent: Option<Value<'_, '_>>) -> Named {
    let [runtime, version] = agent.map_or([None; 2], |agent| agent.pick(["runtime", "version"]));
    Named {
        runtime: reading.text("environment.agent.runtime", runtime),
        version: reading.text("environment.agent.version", version),
    }
}

fn runtime(reading: &mut Reading, runtime: Option<Value<'_, '_>>) -> RuntimeInfo {
    let [name, version, vendor] = runtime.map_or([None; 3], |runtime| runtime.pick(["name", "version", "vendor"]));
    RuntimeInfo {
        name: reading.text("environment.runtime.name", name),
        version: reading.text("environment.runtime.version", version),
        vendor: reading.text("environment.runtime.vendor", vendor),
    }
}

/// JavaScript and Python leave a newline at its end.
fn boot_id(reading: &mut Reading, host: Option<Value<'_, '_>>) -> String {
    let text = reading.text("environment.host.boot_id", host.and_then(|host| host.get("boot_id")));
    if text.trim().len() == text.len() { text } else { text.trim().to_owned() }
}

/// The process's resident memory, wherever the agent puts it.
struct Resident<'d, 'a> {
    /// All agents on Linux.
    status_kib: Option<Value<'d, 'a>>,
    /// JavaScript anywhere.
    node_bytes: Option<Value<'d, 'a>>,
    /// JavaScript on Linux.
    stat_pages: Option<Value<'d, 'a>>,
}

impl Resident<'_, '_> {
    fn mib(&self, reading: &mut Reading) -> Option<f64> {
        let places = [
            ("environment.os.linux.pid.self.status.VmRSS", self.status_kib, 1.0 / KIB_PER_MIB),
            ("environment.nodejs.memoryUsage.rss", self.node_bytes, 1.0 / MIB),
            ("environment.os.linux.pid.self.stat.rss", self.stat_pages, PAGE_BYTES / MIB),
        ];
        let mut known = places.into_iter().filter_map(|(field, value, mib)| Some(reading.amount(field, value)? * mib));
        known.find(|mib| *mib > 0.0)
    }
}

/// Java 1.12 can't read `/proc/meminfo` and sends 0 for a host's memory: that is no value.
fn memory(
    reading: &mut Reading,
    limit_mib: Option<f64>,
    used_mib: Option<f64>,
    total: Option<Value<'_, '_>>,
    free: Option<Value<'_, '_>>,
) -> MemoryInfo {
    let total = reading.amount("environment.os.totalmem", total).filter(|bytes| *bytes > 0.0);
    let free = reading.amount("environment.os.freemem", free).filter(|_| total.is_some());
    MemoryInfo {
        limit_mib,
        used_mib,
        used_percent: used_mib.zip(limit_mib).map(|(used, limit)| used / limit * 100.0),
        host_total_mib: total.map(|bytes| bytes / MIB),
        host_free_mib: free.map(|bytes| bytes / MIB),
    }
}

/// Processor time between the invocation's start and its end.
///
/// The Java agent's start is that of its own loading, so that it says something of a cold start only. The Go agent counts
/// in whole seconds.
fn cpu(
    reading: &mut Reading,
    language: Language,
    coldstart: bool,
    start: Option<Value<'_, '_>>,
    end: Option<Value<'_, '_>>,
) -> CpuInfo {
    let (Some(start), Some(end)) = (start, end) else { return CpuInfo::default() };
    if language == Language::Java && !coldstart {
        return CpuInfo::default();
    }
    // The Java agent writes the four times in the wrong order: `cstime` holds utime, and `cutime` holds stime.
    let keys = if language == Language::Java { ["cstime", "cutime"] } else { ["utime", "stime"] };
    let unit_ms = if language == Language::Go { 1000.0 } else { TICK_MS };
    let [user_start, system_start] = times(reading, "stat_start", start, keys);
    let [user_end, system_end] = times(reading, "stat", end, keys);
    let spent = |start: Option<f64>, end: Option<f64>| Some((end? - start?) * unit_ms).filter(|ms| *ms >= 0.0);
    CpuInfo { user_ms: spent(user_start, user_end), system_ms: spent(system_start, system_end), count: 0 }
}

fn times(reading: &mut Reading, what: &str, stat: Value<'_, '_>, keys: [&str; 2]) -> [Option<f64>; 2] {
    let [user, system] = stat.pick(keys);
    let [user_key, system_key] = keys;
    [
        reading.amount(format_args!("environment.os.linux.pid.self.{what}.{user_key}"), user),
        reading.amount(format_args!("environment.os.linux.pid.self.{what}.{system_key}"), system),
    ]
}

/// `/tmp`; the JavaScript agent doesn't look.
pub(super) fn disk(reading: &mut Reading, disk: Option<Value<'_, '_>>) -> Option<DiskInfo> {
    let [total, used, percent] = disk?.pick(["totalMiB", "usedMiB", "usedPercentage"]);
    let disk = DiskInfo {
        total_mib: reading.amount("disk.totalMiB", total),
        used_mib: reading.amount("disk.usedMiB", used),
        used_percent: reading.amount("disk.usedPercentage", percent),
    };
    let says = disk.total_mib.or(disk.used_mib).or(disk.used_percent).is_some();
    says.then_some(disk)
}

#[cfg(test)]
mod tests {
    use tributary_model::json::Document;

    use super::*;

    fn read(json: &str, limit_mib: f64, coldstart: bool) -> System {
        let document = Document::parse(json.as_bytes()).expect("JSON");
        let mut reading = Reading::default();
        let system = system(&mut reading, Some(document.root()), Some(limit_mib), coldstart);
        assert_eq!(reading.removed, []);
        system
    }

    fn times(agent: &str, start: &str, end: &str, coldstart: bool) -> (Option<f64>, Option<f64>) {
        let json = format!(
            r#"{{"agent":{{"runtime":"{agent}"}},"os":{{"linux":{{"pid":{{"self":{{"stat_start":{start},"stat":{end}}}}}}}}}}}"#
        );
        let cpu = read(&json, 128.0, coldstart).cpu;
        (cpu.user_ms, cpu.system_ms)
    }

    #[test]
    fn processor_time_is_in_each_agents_own_unit_and_order() {
        let ticks = (r#"{"utime":"19","stime":"3"}"#, r#"{"utime":"24","stime":"4"}"#);
        assert_eq!(times("nodejs", ticks.0, ticks.1, false), (Some(50.0), Some(10.0)));
        let seconds = (r#"{"utime":1,"stime":0}"#, r#"{"utime":3,"stime":1}"#);
        assert_eq!(times("go", seconds.0, seconds.1, false), (Some(2000.0), Some(1000.0)));
        let swapped =
            (r#"{"utime":0,"stime":0,"cutime":5,"cstime":90}"#, r#"{"utime":0,"stime":0,"cutime":7,"cstime":120}"#);
        assert_eq!(times("java", swapped.0, swapped.1, true), (Some(300.0), Some(20.0)));
        assert_eq!(times("java", swapped.0, swapped.1, false), (None, None), "the start is that of the process");
        assert_eq!(times("python", ticks.1, ticks.0, false), (None, None), "time doesn't run backwards");
    }

    #[test]
    fn memory_is_taken_from_where_the_agent_puts_it() {
        for json in [
            r#"{"os":{"linux":{"pid":{"self":{"status":{"VmRSS":65536}}}}}}"#,
            r#"{"nodejs":{"memoryUsage":{"rss":67108864}}}"#,
            r#"{"os":{"linux":{"pid":{"self":{"stat":{"rss":"16384"}}}}}}"#,
        ] {
            let memory = read(json, 128.0, false).memory;
            assert_eq!((memory.used_mib, memory.used_percent), (Some(64.0), Some(50.0)), "{json}");
        }
        let unread = read(r#"{"os":{"totalmem":0,"freemem":0}}"#, 128.0, false).memory;
        assert_eq!((unread.host_total_mib, unread.host_free_mib, unread.used_percent), (None, None, None));
    }

    #[test]
    fn a_boot_id_has_no_newline() {
        assert_eq!(read(r#"{"host":{"boot_id":"4c58\n"}}"#, 128.0, false).host.boot_id, "4c58");
    }
}
