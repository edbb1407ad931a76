//! The processor time of what no collector can do without: three requests and their answers over loopback, here on bare
//! sockets, by blocking calls.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// Bytes of a request and its answer, and how long the answer takes: `next` and an event of 1 kB; PutRecords with its record
/// (a millisecond, as the null Kinesis of the collector's row); the response.
const ROUND_TRIPS: [(usize, usize, Duration); 3] =
    [(150, 2500, Duration::ZERO), (1700, 350, Duration::from_millis(1)), (450, 150, Duration::ZERO)];

/// Seconds of this thread's processor time that one invocation's round trips take.
pub(super) fn cpu_seconds(run: Duration) -> Result<f64> {
    let mut peers = ROUND_TRIPS.iter().map(|trip| peer(*trip)).collect::<Result<Vec<_>>>()?;
    let (begun, cpu, mut invocations) = (Instant::now(), thread_seconds(), 0.0);
    while begun.elapsed() < run {
        for (stream, request, answer) in &mut peers {
            stream.write_all(request)?;
            stream.read_exact(answer)?;
        }
        invocations += 1.0;
    }
    Ok((thread_seconds() - cpu) / invocations)
}

type Peer = (TcpStream, Vec<u8>, Vec<u8>);

/// A server in a thread of its own, which ends with its connection.
fn peer((request, answer, delay): (usize, usize, Duration)) -> Result<Peer> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    stream.set_nodelay(true)?;
    let (mut served, _) = listener.accept()?;
    served.set_nodelay(true)?;
    thread::spawn(move || {
        let (mut request, answer) = (vec![0; request], vec![0; answer]);
        while served.read_exact(&mut request).is_ok() {
            #[expect(clippy::disallowed_methods, reason = "a server that takes its time")]
            thread::sleep(delay);
            if served.write_all(&answer).is_err() {
                return;
            }
        }
    });
    Ok((stream, vec![0; request], vec![0; answer]))
}

fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0)).as_secs_f64()
}
