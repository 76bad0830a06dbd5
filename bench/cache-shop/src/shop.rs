//! The shop's release binary as one process, and what its meters say.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::Failure;
use crate::load;

/// Where and on what it runs.
pub struct Site {
    pub binary: PathBuf,
    pub directory: PathBuf,
    pub database_url: String,
}

/// A running shop.
pub struct Shop {
    child: Child,
    port: u16,
    admin: u16,
}

/// What the meters said at one moment.
#[derive(Debug, Clone, Default)]
pub struct Meters {
    /// Statements run so far, by name.
    pub queries: BTreeMap<String, f64>,
    pub bytes: f64,
    pub entries: f64,
}

/// The first start fills the database.
const START: Duration = Duration::from_secs(180);
const END: Duration = Duration::from_secs(60);

impl Meters {
    /// Statements run between an earlier moment and this one, by name.
    pub fn queries_since(&self, earlier: &Meters) -> BTreeMap<String, f64> {
        let run = |(name, now): (&String, &f64)| {
            (name.clone(), now - earlier.queries.get(name).copied().unwrap_or(0.0))
        };
        self.queries.iter().map(run).filter(|(_, times)| *times > 0.0).collect()
    }
}

impl Shop {
    /// Starts it and waits until it is ready.
    pub async fn start(site: &Site, cached: bool) -> Result<Shop, Failure> {
        let mut child = Command::new(&site.binary)
            .current_dir(&site.directory)
            .env("DATABASE_URL", &site.database_url)
            .env("PORT", "0")
            .env("BURGEON__ADMIN__PORT", "0")
            .env("BURGEON__CACHE__ENABLED", cached.to_string())
            .env("BURGEON__TELEMETRY__LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("the shop has no output")?).lines();
        let mut ports = Vec::new();
        let ready = async {
            // It says where it listens when it is ready: the first is the application, the last the probes.
            while ports.len() < 3 {
                let line = lines.next_line().await?.ok_or("the shop ended while it started")?;
                let address = line.trim().strip_prefix("http://").and_then(|rest| rest.split('/').next());
                ports.extend(address.and_then(|address| address.rsplit(':').next()?.parse::<u16>().ok()));
            }
            Ok::<_, Failure>(())
        };
        timeout(START, ready).await.map_err(|_| "the shop did not start in time")??;
        // Ends with the process's output; unread, that would end the process.
        tokio::spawn(async move { while matches!(lines.next_line().await, Ok(Some(_))) {} });
        Ok(Shop { child, port: ports[0], admin: ports[2] })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The numbers of its products, the most popular first.
    pub async fn products(&self) -> Result<Vec<i64>, Failure> {
        let (mut products, mut after) = (Vec::new(), String::new());
        loop {
            let body = load::get(self.port, &format!("/api/products?limit=60{after}")).await?;
            let page: Value = serde_json::from_slice(&body)?;
            let listed = page["products"].as_array().ok_or("the shop lists no products")?;
            products.extend(listed.iter().filter_map(|product| product["id"].as_i64()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None if products.is_empty() => return Err("the shop has no products".into()),
                None => return Ok(products),
            }
        }
    }

    /// What its meters say now.
    pub async fn meters(&self) -> Result<Meters, Failure> {
        let text = String::from_utf8(load::get(self.admin, "/metrics").await?)?;
        let mut meters = Meters::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let value: f64 = value.parse().unwrap_or(0.0);
            if let Some((_, rest)) = name.split_once("db_statements_total{statement=\"") {
                let statement = rest.trim_end_matches("\"}");
                // What the nodes say to each other is no query of a visitor.
                if !["member", "lease", "limit", "health"].iter().any(|word| statement.contains(word)) {
                    *meters.queries.entry(statement.to_owned()).or_default() += value;
                }
            }
            let is = |caches: &[&str]| caches.iter().any(|cache| name.contains(&format!("\"{cache}\"")));
            if name.starts_with("cache_weight") && is(&crate::BY_BYTES) {
                meters.bytes += value;
            } else if name.starts_with("cache_weight") && is(&crate::BY_ENTRIES) {
                meters.entries += value;
            }
        }
        Ok(meters)
    }

    pub fn resident_mib(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// SIGTERM, and waits for its end.
    pub async fn stop(mut self) -> Result<(), Failure> {
        let status = Command::new("kill").args(["-TERM", &self.id()?]).status().await?;
        if !status.success() {
            return Err("the shop could not be told to stop".into());
        }
        match timeout(END, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(ended) => Err(format!("the shop ended badly: {:?}", ended?).into()),
            Err(_) => Err("the shop did not end".into()),
        }
    }

    fn id(&self) -> Result<String, Failure> {
        Ok(self.child.id().ok_or("the shop has ended")?.to_string())
    }
}
