//! Listening and accepting.
//!
//! The server has a runtime of its own, so that nothing else of the process stands in a request's way. By default it has
//! one thread per two processors: the fewer threads serve, the more requests share a wake-up. It is tokio's
//! multi-threaded runtime even with one thread: the stream's commit wakes all its senders from another thread, and here
//! they cost one write to the poller together, where the single-threaded runtime writes once for each (measured: 0.8
//! writes a request at 64 connections, against 0.03).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Runtime};
use tokio::sync::{OwnedSemaphorePermit, watch};
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
    runtime: Option<Runtime>,
    settings: Settings,
}

impl Server {
    /// Serves all listeners with `threads` threads (at least one).
    ///
    /// # Errors
    /// If the system refuses a thread, or what else a runtime needs.
    pub fn start<A: Answer>(
        listeners: Vec<Listener>,
        threads: usize,
        settings: Settings,
        answer: A,
    ) -> io::Result<Self> {
        let (stopping, stop) = watch::channel(false);
        let crowd = Crowd::new(settings.connections_max);
        let shared = Arc::new(Shared { answer, settings: settings.clone(), crowd });
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("http")
            .enable_all()
            .build()?;
        for Listener { socket, tls, .. } in listeners {
            let accepting = Accepting { tls, shared: Arc::clone(&shared), stop: stop.clone() };
            runtime.spawn(accepting.run(socket));
        }
        Ok(Self { stopping, runtime: Some(runtime), settings })
    }

    /// Accepts no more, lets requests under way finish within the grace time, and ends. Nothing of the server is left
    /// when this returns.
    pub async fn stop(mut self) {
        let _ = self.stopping.send(true); // an error means that nobody is left to be told
        let grace = self.settings.shutdown_grace;
        let _ = timeout(grace, self.stopping.closed()).await; // what is left is ended now
        if let Some(runtime) = self.runtime.take() {
            let _ = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(grace)).await; // it does not panic
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Accepting<A> {
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared<A>>,
    stop: watch::Receiver<bool>,
}

impl<A: Answer> Accepting<A> {
    async fn run(self, socket: std::net::TcpListener) {
        let Ok(listener) = TcpListener::from_std(socket) else { return };
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                () = self.accept(&listener) => {}
                _ = stop.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Waits for a place, then for a connection, and serves it in a task of its own.
    async fn accept(&self, listener: &TcpListener) {
        let Some(place) = self.shared.crowd.enter().await else { return };
        match listener.accept().await {
            Ok((stream, _peer)) => {
                let serving = serve(stream, self.tls.clone(), Arc::clone(&self.shared), self.stop.clone(), place);
                tokio::spawn(serving);
            }
            Err(_refused) => tokio::time::sleep(ACCEPT_RETRY_PAUSE).await,
        }
    }
}

async fn serve<A: Answer>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared<A>>,
    stop: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true); // without it answers are only later
    let Some(tls) = tls else { return connection::serve(stream, shared, stop).await };
    if let Ok(Ok(stream)) = timeout(shared.settings.handshake_timeout, tls.accept(stream)).await {
        connection::serve(stream, shared, stop).await;
    }
}
