//! Everything in one process, on embedded stores: what `tributary up` runs, and what tests and benches start.

mod chores;
mod consumers;
mod replays;
mod router;
pub mod samples;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tributary_access::{Authority, DirectoryCache};
use tributary_collector::Collector;
use tributary_config::{FunctionName, LocalSettings};
use tributary_embedded::search::{SearchSettings, TantivySearch};
use tributary_embedded::stream::{Clock, FileStream, StreamSettings};
use tributary_model::ProjectId;
use tributary_model::directory::OBJECT_KEY;
use tributary_ports::{Keys, Ledger, LiveSettings, Objects, Overflow, Search, Stream};
use tributary_query::Query;
use tributary_replay::Replays;
use tributary_telemetry::Telemetry;

use crate::clock;
use crate::failure::{Context, Failure};
pub use crate::folder::UpFile;
use crate::folder::{DEFAULT_PROJECT, Folder, Lock, SavedToken, Stores};
use crate::http::tls::{self, Authority as CertificateAuthority};
use crate::http::{self, Listener, Server};
use chores::Chores;
use consumers::Consumers;
use replays::Runners;
use router::Router;

/// What to run, and where.
pub struct Settings {
    /// What variables and flags say.
    pub config: LocalSettings,
    /// Further names for the certificate.
    pub tls_names: Vec<String>,
    /// Where log lines go.
    pub log: Box<dyn Write + Send>,
    /// Threads that serve HTTP.
    pub http_threads: usize,
    /// The server's limits.
    pub server: http::Settings,
    /// Another stream than the one in the data folder, for tests and benches.
    pub stream: Option<Arc<dyn Stream>>,
}

impl Settings {
    /// What `config` says, with the defaults of all else, and the log thrown away.
    #[must_use]
    pub fn new(config: LocalSettings) -> Self {
        Self {
            config,
            tls_names: Vec::new(),
            log: Box::new(io::sink()),
            http_threads: default_http_threads(),
            server: http::Settings::default(),
            stream: None,
        }
    }

    /// Everything with its default on the data folder `data`, HTTP on any free port, no log: for tests and benches.
    ///
    /// # Errors
    /// Never: the defaults are settings.
    pub fn on(data: &Path) -> Result<Self, Failure> {
        let config = LocalSettings::read(|_| None).context("settings")?;
        let http = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Ok(Self::new(LocalSettings { data: data.to_owned(), http, log: None, ..config }))
    }
}

/// One thread per two processors: the others commit the stream and bring records into the stores, and the fewer threads
/// serve, the more requests share one wake-up.
#[must_use]
pub fn default_http_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// A running Tributary. Dropped, it ends like a killed process; [`Local::stop`] ends it cleanly.
pub struct Local {
    up: UpFile,
    token: String,
    folder: Folder,
    telemetry: Arc<Telemetry>,
    server: Server,
    consumers: Consumers,
    runners: Runners,
    chores: Chores,
    opened: Opened,
    _lock: Lock,
}

impl Local {
    /// Opens the data folder and starts; when it returns, it listens.
    ///
    /// # Errors
    /// If the folder is in use, a store can't be opened, or an address can't be listened on.
    pub async fn start(settings: Settings) -> Result<Self, Failure> {
        let folder = Folder::new(&settings.config.data);
        let config = settings.config.clone();
        let lock = folder.lock()?;
        let listeners = Listeners::bind(&folder, &settings)?;
        let opened = Opened::open(&folder, &settings).await?;
        let telemetry = Arc::new(Telemetry::new(config.log, settings.log));
        let consumers = Consumers::start(&folder, &opened, &telemetry, &config)?;
        let replays = replays::replays(&opened, &config);
        let runners = Runners::start(&opened, replays.as_ref(), &telemetry, &config);
        let chores = Chores::start(&opened, &consumers, &telemetry, &config);
        let router = Router {
            collector: opened.collector(&config),
            query: opened.query(&config, replays)?,
            directories: Arc::clone(&opened.directories),
            stream: Arc::clone(&opened.stream),
            consumers: consumers.clone(),
            telemetry: Arc::clone(&telemetry),
        };
        let up = listeners.up_file();
        let server = Server::start(listeners.all(), settings.http_threads, settings.server, router);
        let server = server.context("HTTP server")?;
        folder.write_up_file(&up)?;
        Ok(Self {
            up,
            token: opened.token.clone(),
            folder,
            telemetry,
            server,
            consumers,
            runners,
            chores,
            opened,
            _lock: lock,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn up(&self) -> &UpFile {
        &self.up
    }

    /// A token that sends to the default project and reads it.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Ends cleanly: no new requests, those under way finished, consumers between two batches, all logs written.
    pub async fn stop(self) {
        self.server.stop().await;
        self.consumers.stop().await;
        self.runners.stop().await;
        self.chores.stop().await;
        self.folder.remove_up_file();
        let (telemetry, opened) = (self.telemetry, self.opened);
        let close = move || {
            telemetry.flush();
            drop(opened); // stores and stream write what waits
        };
        let _ = tokio::task::spawn_blocking(close).await; // a panic in it was logged, and all else is closed
    }
}

/// What was opened in the data folder.
struct Opened {
    stores: Stores,
    token: String,
    directories: Arc<DirectoryCache>,
    /// The stream in the folder, unless another was given.
    own_stream: Option<Arc<FileStream>>,
    stream: Arc<dyn Stream>,
    search: Option<Arc<TantivySearch>>,
    settings: Arc<LiveSettings>,
}

impl Opened {
    async fn open(folder: &Folder, settings: &Settings) -> Result<Self, Failure> {
        let now = clock::now();
        let stores = folder.open(now).await?;
        let token = folder.ensure_token(SavedToken::Local, &stores, now).await?;
        folder.ensure_token(SavedToken::Operator, &stores, now).await?;
        let directories = DirectoryCache::new(Arc::clone(&stores.objects) as Arc<dyn Objects>, OBJECT_KEY);
        directories.refresh(now).await.context("directory")?;
        let (own_stream, stream) = match &settings.stream {
            Some(other) => (None, Arc::clone(other)),
            None => {
                let own = FileStream::open(&folder.path("stream"), stream_settings(&settings.config));
                let own = own.context("stream")?;
                (Some(Arc::clone(&own)), own as Arc<dyn Stream>)
            }
        };
        let live = Arc::<LiveSettings>::default();
        live.refresh(&*stores.objects, now).await.context("settings of the stores")?;
        let only = &settings.config.only;
        let searches = only.iter().any(|function| *function != FunctionName::Collector);
        let search_settings = SearchSettings { commit_interval: settings.config.search_commit_interval };
        let search = searches.then(|| TantivySearch::open(&folder.path("search"), search_settings));
        let search = search.transpose().context("search")?.map(Arc::new);
        Ok(Self { stores, token, directories, own_stream, stream, search, settings: live })
    }

    fn collector(&self, config: &LocalSettings) -> Option<Collector> {
        let authority = Authority::new(Arc::clone(&self.directories));
        let collector = Collector::new(authority, Arc::clone(&self.stream), self.overflow(), config.region.clone());
        config.only.contains(&FunctionName::Collector).then_some(collector)
    }

    /// What the stream refuses, beside the other objects.
    fn overflow(&self) -> Overflow {
        let objects = Arc::clone(&self.stores.objects) as Arc<dyn Objects>;
        Overflow { objects, keys: Arc::clone(&self.stores.keys) as Arc<dyn Keys> }
    }

    fn query(&self, config: &LocalSettings, replays: Option<Arc<Replays>>) -> Result<Option<Query>, Failure> {
        let Some(search) = self.search.as_ref().filter(|_| config.only.contains(&FunctionName::Query)) else {
            return Ok(None);
        };
        Ok(Some(Query {
            authority: Arc::new(Authority::new(Arc::clone(&self.directories))),
            search: Arc::clone(search) as Arc<dyn Search>,
            ledger: Arc::clone(&self.stores.ledger) as Arc<dyn Ledger>,
            objects: Arc::clone(&self.stores.objects) as Arc<dyn Objects>,
            keys: Arc::clone(&self.stores.keys) as Arc<dyn Keys>,
            operators: Some(ProjectId::new(DEFAULT_PROJECT).context("project")?),
            replays,
        }))
    }
}

fn stream_settings(config: &LocalSettings) -> StreamSettings {
    let settings = StreamSettings::new(Clock::new(clock::now));
    StreamSettings { shards: config.stream_shards, retention: config.stream_retention, ..settings }
}

/// The addresses, taken before anything else, so that a second program on a port is noticed at once.
struct Listeners {
    http: Listener,
    https: Option<Listener>,
    ca: Option<PathBuf>,
}

impl Listeners {
    fn bind(folder: &Folder, settings: &Settings) -> Result<Self, Failure> {
        let http = bind(settings.config.http, None)?;
        let Some(address) = settings.config.https else { return Ok(Self { http, https: None, ca: None }) };
        let now = clock::now();
        let authority = CertificateAuthority::open(folder.root(), now).context("certificate")?;
        let names = tls::names(address.ip(), &settings.tls_names);
        let config = authority.server_config(&names, now).context("certificate")?;
        let https = Some(bind(address, Some(config))?);
        let ca = std::path::absolute(authority.path()).map_err(|error| Failure::file(authority.path(), &error))?;
        Ok(Self { http, https, ca: Some(ca) })
    }

    fn up_file(&self) -> UpFile {
        let https = self.https.as_ref().map(|listener| format!("https://{}", reachable(listener.address())));
        let http = format!("http://{}", reachable(self.http.address()));
        UpFile { http, https, ca: self.ca.clone(), pid: std::process::id() }
    }

    fn all(self) -> Vec<Listener> {
        [Some(self.http), self.https].into_iter().flatten().collect()
    }
}

/// The address at which this machine reaches one that is listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    SocketAddr::new(ip, address.port())
}

fn bind(address: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>) -> Result<Listener, Failure> {
    Listener::bind(address, tls).map_err(|error| {
        let failure = Failure::new(format!("{address}: {error}"));
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                failure.hint("another program listens there; take another with --http or --https")
            }
            io::ErrorKind::PermissionDenied => failure
                .hint("ports below 1024 need leave: `sudo sysctl net.ipv4.ip_unprivileged_port_start=443`, or root"),
            _ => failure,
        }
    })
}
