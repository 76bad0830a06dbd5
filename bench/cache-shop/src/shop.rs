//! The shop's release binary as one process, and what its meters say.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
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
#[derive(Debug, Clone, Copy, Default)]
pub struct Meters {
    pub queries: f64,
    pub bytes: f64,
    pub entries: f64,
}

/// The first start fills the database.
const START: Duration = Duration::from_secs(180);
const END: Duration = Duration::from_secs(60);

/// Builds the shop and answers where the binary is.
pub fn build(repository: &Path) -> Result<PathBuf, Failure> {
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--package", "shop", "--message-format", "json"])
        .current_dir(repository)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("building the shop failed: {}", output.status).into());
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "shop" && message["target"]["kind"][0] == "bin")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| "cargo built no binary named shop".into())
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
            .spawn()?;
        let output = child.stdout.take().ok_or("the shop has no output")?;
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        // Ends with the process's output.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let address = line.trim().strip_prefix("http://").and_then(|rest| rest.split('/').next());
                let port = address.and_then(|address| address.rsplit(':').next()?.parse::<u16>().ok());
                if let Some(port) = port {
                    // The first is the application, the last the probes.
                    let _ = tell.send(port);
                }
            }
        });
        let mut ports = Vec::new();
        let ready = async {
            while ports.len() < 3 {
                ports.push(told.recv().await.ok_or("the shop ended while it started")?);
            }
            Ok::<_, Failure>(())
        };
        match timeout(START, ready).await {
            Ok(Ok(())) => Ok(Shop { child, port: ports[0], admin: ports[2] }),
            failed => {
                let _ = child.kill();
                let _ = child.wait();
                Err(failed
                    .err()
                    .map_or("the shop did not start".into(), |_| "the shop did not start in time".into()))
            }
        }
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
            // What the nodes say to each other is no query of a visitor.
            let own = ["member", "lease", "limit", "health"].iter().any(|word| name.contains(word));
            if name.starts_with("db_statements_total") && !own {
                meters.queries += value;
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
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// SIGTERM, and waits for its end.
    pub async fn stop(mut self) -> Result<(), Failure> {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        if !status.success() {
            return Err("the shop could not be told to stop".into());
        }
        let ended = async {
            loop {
                match self.child.try_wait()? {
                    Some(status) => return Ok::<_, Failure>(status),
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        match timeout(END, ended).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(ended) => Err(format!("the shop ended badly: {:?}", ended?).into()),
            Err(_) => Err("the shop did not end".into()),
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
