//! Listening, accepting, and the threads that serve connections.
//!
//! Each thread drives a runtime of its own, and a connection stays on one thread: a request then costs no wake-up of
//! another thread but the stream's. Connections are dealt out in turn, which `SO_REUSEPORT` would not do evenly; it would
//! also let a second process take the same port unseen.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Handle};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tributary_model::limits::ACCEPT_RETRY_PAUSE;

use super::connection::{self, Shared};
use super::progress::Crowd;
use super::{Answer, Settings};

/// An address that is listened on, with or without TLS.
pub struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Listens on `address`; port 0 takes any free one. Nothing is accepted before [`Server::start`].
    ///
    /// # Errors
    /// If the address is taken, or is not one of this machine.
    pub fn bind(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, tls: tls.map(TlsAcceptor::from) })
    }

    /// The address, with its real port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A running server. Dropping it stops it at once, requests under way included; [`Server::stop`] lets them finish.
pub struct Server {
    stopping: watch::Sender<bool>,
    ended: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    settings: Settings,
}

impl Server {
    /// Serves all listeners with `threads` threads (at least one).
    ///
    /// # Errors
    /// If the system refuses a thread or a runtime.
    pub fn start<A: Answer>(
        listeners: Vec<Listener>,
        threads: usize,
        settings: Settings,
        answer: A,
    ) -> io::Result<Self> {
        let (stopping, stop) = watch::channel(false);
        let (ended, end) = watch::channel(false);
        let crowd = Crowd::new(settings.connections_max);
        let shared = Arc::new(Shared { answer, settings: settings.clone(), crowd });
        let mut server = Self { stopping, ended, threads: Vec::new(), settings };
        let mut handles = Vec::new();
        for index in 0..threads.max(1) {
            handles.push(server.start_thread(index, end.clone())?);
        }
        for listener in listeners {
            let accepting = Accepting {
                tls: listener.tls,
                shared: Arc::clone(&shared),
                handles: handles.clone(),
                stop: stop.clone(),
            };
            if let Some(first) = handles.first() {
                first.spawn(accepting.run(listener.socket));
            }
        }
        Ok(server)
    }

    fn start_thread(&mut self, index: usize, mut end: watch::Receiver<bool>) -> io::Result<Handle> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let serve = move || {
            runtime.block_on(async move {
                let _ = end.wait_for(|ended| *ended).await; // an error means that the server was dropped: the end as well
            });
            runtime.shutdown_background();
        };
        self.threads.push(thread::Builder::new().name(format!("http-{index}")).spawn(serve)?);
        Ok(handle)
    }

    /// Accepts no more, lets requests under way finish within the grace time, and ends.
    pub async fn stop(mut self) {
        let _ = self.stopping.send(true); // an error means that nobody is left to be told
        let _ = timeout(self.settings.shutdown_grace, self.stopping.closed()).await; // what is left is ended now
        let _ = self.ended.send(true); // as above
        let threads = std::mem::take(&mut self.threads);
        let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        let _ = tokio::task::spawn_blocking(join).await; // a thread that panicked has ended, too
    }
}

struct Accepting<A> {
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared<A>>,
    handles: Vec<Handle>,
    stop: watch::Receiver<bool>,
}

impl<A: Answer> Accepting<A> {
    async fn run(self, socket: std::net::TcpListener) {
        let Ok(listener) = TcpListener::from_std(socket) else { return };
        let mut stop = self.stop.clone();
        let mut turn = 0;
        loop {
            let place = tokio::select! {
                place = self.shared.crowd.enter() => place,
                _ = stop.wait_for(|stopping| *stopping) => return,
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stopping| *stopping) => return,
            };
            match accepted {
                Ok((stream, _peer)) => {
                    self.deal(stream, place, turn);
                    turn = (turn + 1) % self.handles.len();
                }
                Err(_refused) => tokio::time::sleep(ACCEPT_RETRY_PAUSE).await,
            }
        }
    }

    /// Gives the connection to the thread whose turn it is; this one is the first.
    fn deal(&self, stream: TcpStream, place: Option<tokio::sync::OwnedSemaphorePermit>, turn: usize) {
        let (tls, shared, stop) = (self.tls.clone(), Arc::clone(&self.shared), self.stop.clone());
        let serve = move |stream| async move {
            serve(stream, tls, shared, stop).await;
            drop(place);
        };
        match self.handles.get(turn) {
            Some(other) if turn > 0 => {
                let Ok(stream) = stream.into_std() else { return };
                other.spawn(async move {
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        serve(stream).await;
                    }
                });
            }
            _ => drop(tokio::spawn(serve(stream))),
        }
    }
}

async fn serve<A: Answer>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared<A>>,
    stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true); // without it answers are only later
    let Some(tls) = tls else { return connection::serve(stream, shared, stop).await };
    if let Ok(Ok(stream)) = timeout(shared.settings.handshake_timeout, tls.accept(stream)).await {
        connection::serve(stream, shared, stop).await;
    }
}
