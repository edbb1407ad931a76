//! OpenSearch itself: one node, or three in the zones a, b and c with forced awareness, as Amazon's domains have it.
//!
//! Maven has its parts; a home of the ordinary form is put together from them once, beside them, and serves all clusters.

mod home;
mod node;

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use self::home::Home;
use self::node::{Form, Node};
use crate::http;
use crate::process::until;

/// The user whom a secured cluster knows, and the password.
const USER: (&str, &str) = ("admin", "admin");

/// Longest time for one request of the rig's own: a node that is stopped takes connections and never answers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A cluster of this machine; its processes and files are gone when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    secured: bool,
}

impl Cluster {
    /// One node that lets anyone in.
    ///
    /// # Panics
    /// If it does not become green; with the end of its log.
    pub async fn one() -> Self {
        Self::start(1, false, Form::Tested).await
    }

    /// One node that lets anyone in, for measurements: with both of its compilers, on the processors that the calling thread
    /// may use.
    ///
    /// # Panics
    /// If it does not become green; with the end of its log.
    pub async fn measured() -> Self {
        Self::start(1, false, Form::Measured).await
    }

    /// One node that knows one user, with the security plug-in.
    ///
    /// # Panics
    /// If it does not become green; with the end of its log.
    pub async fn secured() -> Self {
        Self::start(1, true, Form::Tested).await
    }

    /// Three nodes in three zones.
    ///
    /// # Panics
    /// If they do not become green; with the end of the first one's log.
    pub async fn zones() -> Self {
        Self::start(3, false, Form::Tested).await
    }

    async fn start(nodes: usize, secured: bool, form: Form) -> Self {
        let home = Home::open(secured);
        let mut cluster = Self { nodes: Node::start_all(&home, nodes, form), secured };
        cluster.recovers().await;
        cluster
    }

    /// Where a node answers, for a client that the cluster lets in.
    #[must_use]
    pub fn url(&self, node: usize) -> String {
        let (user, password) = USER;
        self.url_as(node, if self.secured { Some((user, password)) } else { None })
    }

    /// The same for anyone.
    #[must_use]
    pub fn url_as(&self, node: usize, user: Option<(&str, &str)>) -> String {
        let user = user.map(|(user, password)| format!("{user}:{password}@")).unwrap_or_default();
        format!("http://{user}127.0.0.1:{}", self.nodes[node].port)
    }

    /// Waits until all nodes are there and every copy of every index is in service.
    ///
    /// # Panics
    /// If that does not happen, with the end of the first node's log.
    pub async fn recovers(&mut self) {
        self.becomes("green", &["green"]).await;
    }

    /// Waits until all nodes are there and every index has a copy in service: all that a cluster comes to whose indices want
    /// more copies than it has nodes.
    ///
    /// # Panics
    /// As [`Cluster::recovers`].
    pub async fn serves(&mut self) {
        self.becomes("yellow", &["yellow", "green"]).await;
    }

    async fn becomes(&mut self, wanted: &str, enough: &[&str]) {
        let nodes = self.nodes.len();
        let (port, user) = (self.nodes[0].port, self.user());
        let path = format!("/_cluster/health?wait_for_status={wanted}&wait_for_nodes={nodes}&timeout=1s");
        let is_enough = |health: &Value| health["status"].as_str().is_some_and(|status| enough.contains(&status));
        let healthy = async || get(port, user, &path).await.filter(is_enough).map(drop);
        self.nodes[0].process().until(&format!("the cluster is {wanted}"), healthy).await;
    }

    /// Sends a signal to a node: `KILL` is a crash, `STOP` a machine that hangs, `CONT` its return.
    pub fn signal(&self, node: usize, signal: Signal) {
        self.nodes[node].signal(signal);
    }

    /// Starts a node again with what it had.
    pub fn restart(&mut self, node: usize) {
        self.nodes[node].restart();
    }

    /// Waits until `node` sees this many nodes.
    ///
    /// # Panics
    /// If that does not happen.
    pub async fn has_nodes(&self, node: usize, nodes: u64) {
        let (port, user) = (self.nodes[node].port, self.user());
        let path = "/_cluster/health";
        until("the cluster's nodes are counted", async || {
            get(port, user, path).await.filter(|health| health["number_of_nodes"] == nodes).map(drop)
        })
        .await;
    }

    /// A node's answer to a request, if it gives one.
    pub async fn ask(&self, node: usize, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        ask(self.nodes[node].port, self.user(), method, path, body).await
    }

    fn user(&self) -> Option<(&'static str, &'static str)> {
        self.secured.then_some(USER)
    }
}

async fn get(port: u16, user: Option<(&str, &str)>, path: &str) -> Option<Value> {
    ask(port, user, "GET", path, &Value::Null).await.filter(|(status, _)| *status == 200).map(|(_, body)| body)
}

async fn ask(port: u16, user: Option<(&str, &str)>, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    tokio::time::timeout(REQUEST_TIMEOUT, http::ask(port, user, method, path, body)).await.ok().flatten()
}
