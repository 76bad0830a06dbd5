//! A primary, two replicas, and three nodes of the application as processes.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use burgeon_services::Postgres;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::Failure;
use crate::client::Client;

pub const NODES: usize = 3;
/// How many reads may fall back to the primary at once, for each node.
pub const FALLBACK: usize = 4;
const START: Duration = Duration::from_secs(90);

pub struct Site {
    pub primary: Postgres,
    pub replicas: Vec<Postgres>,
    pub nodes: Vec<Node>,
    pub database: String,
    directory: TempDir,
}

pub struct Node {
    // Killed when it is dropped.
    _child: Child,
    pub port: u16,
    pub admin: u16,
}

/// Where reads went, over all nodes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reads {
    pub replica: u64,
    pub fallback: u64,
}

impl Site {
    pub async fn open() -> Result<Site, Failure> {
        let primary = Postgres::options().fsync(false).start().await?;
        let url = primary.create_database().await?;
        let database = url.rsplit('/').next().unwrap_or_default().to_owned();
        let replicas = vec![primary.replica().await?, primary.replica().await?];
        for replica in &replicas {
            replica.catch_up(&primary).await?;
        }
        let directory = TempDir::new()?;
        let mut site = Site { primary, replicas, nodes: Vec::new(), database, directory };
        for number in 0..NODES {
            let node = site.start(number)?;
            site.nodes.push(node);
        }
        let started = Instant::now();
        for node in &site.nodes {
            while !node.is_whole().await {
                if started.elapsed() > START {
                    return Err(format!("the nodes were not ready within {START:?}:\n{}", site.said()).into());
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(site)
    }

    fn start(&self, number: usize) -> Result<Node, Failure> {
        let free = || -> Result<u16, Failure> {
            Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
        };
        let (port, admin) = (free()?, free()?);
        let log = std::fs::File::create(self.log(number))?;
        let replicas: Vec<_> = self.replicas.iter().map(|replica| replica.url_of(&self.database)).collect();
        let child = Command::new(std::env::current_exe()?)
            .current_dir(self.directory.path())
            .env("CHAOS_NODE", "1")
            .env("DATABASE_URL", self.primary.url_of(&self.database))
            .env("BURGEON__DATABASE__REPLICAS", replicas.join(","))
            .env("BURGEON__DATABASE__ROUTING__FALLBACK", FALLBACK.to_string())
            .env("BURGEON__DATABASE__POSTGRES__MAX_CONNECTIONS", "6")
            .env("BURGEON__HTTP__WORKERS", "1")
            .env("BURGEON__TELEMETRY__LEVEL", "warn")
            .env("BURGEON__ADMIN__PORT", admin.to_string())
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Node { _child: child, port, admin })
    }

    /// What the nodes have logged, the end of it.
    pub fn said(&self) -> String {
        let tail = |number| {
            let log = std::fs::read_to_string(self.log(number)).unwrap_or_default();
            // Refused requests are counted elsewhere, and would drown the rest.
            let lines: Vec<_> =
                log.lines().rev().filter(|line| !line.contains("request failed")).take(12).collect();
            lines.into_iter().rev().map(|line| format!("node {number}: {line}\n")).collect::<String>()
        };
        (0..NODES).map(tail).collect()
    }

    fn log(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("node-{number}.log"))
    }

    /// Where reads went since the nodes started.
    pub async fn reads(&self) -> Result<Reads, Failure> {
        let mut reads = Reads::default();
        for node in &self.nodes {
            let metrics = node.metrics().await?;
            for line in metrics.lines().filter(|line| line.starts_with("db_reads_total")) {
                let count: f64 = line.rsplit(' ').next().unwrap_or("0").parse()?;
                match line.contains("target=\"replica\"") {
                    true => reads.replica += count as u64,
                    false if line.contains("fallback") => reads.fallback += count as u64,
                    false => {}
                }
            }
        }
        Ok(reads)
    }
}

impl Node {
    pub async fn metrics(&self) -> Result<String, Failure> {
        let answer = Client::default().ask(self.admin, "GET", "/metrics").await?;
        Ok(answer.body)
    }

    /// Ready, and with nothing missing.
    pub async fn is_whole(&self) -> bool {
        match Client::default().ask(self.admin, "GET", "/readyz").await {
            Ok(answer) => answer.status == 200 && !answer.body.contains("degraded"),
            Err(_) => false,
        }
    }
}

impl Reads {
    pub fn since(self, before: Reads) -> Reads {
        Reads { replica: self.replica - before.replica, fallback: self.fallback - before.fallback }
    }

    pub fn on_the_primary(self) -> f64 {
        self.fallback as f64 / (self.replica + self.fallback).max(1) as f64 * 100.0
    }
}
