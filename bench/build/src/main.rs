//! What a first build and a first change cost: CPU seconds, crates, and the time from a saved file to a served page.
//!
//! Three applications that do the same little (answer one route, with a SQLite and Postgres client compiled in): ours, plain axum with
//! sqlx, and what Loco's own generator makes. Each is built from nothing into an empty target directory, with the crates already
//! downloaded. CPU seconds are user plus system of every process cargo started, so a busy machine cannot flatter anyone.
//!
//! The edit is timed in the hello world and in the shop, which is as large as a young product: a line of a handler is changed,
//! `cargo run` is typed, and the clock stops when the new line is served.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bench_report::{Report, Target, cpu_seconds_of_children};
use clap::Parser;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Builds the hello world beside its peers, and times an edit in it and in the shop.
#[derive(Parser)]
struct Args {
    /// Only ours: the clean build and the edits (no peer is built; without this it takes about ten minutes).
    #[arg(long)]
    quick: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
}

struct Built {
    cpu_seconds: f64,
    crates: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("bench build: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<usize> {
    let mut report = Report::new("build", args.json);
    let room = tempfile::tempdir()?;
    let repository =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("no repository above the bench")?;

    let copy = copy(repository, room.path())?;
    let hello = write_hello(room.path(), &copy)?;
    let ours = build(&hello)?;
    report.value("clean debug build", "burgeon hello", ours.cpu_seconds, "CPU s");
    report.value("crates", "burgeon hello", ours.crates as f64, "crates");
    let target = hello.join("target");
    let edit = Edit {
        app: &hello,
        run: &["run", "--quiet"],
        source: "src/main.rs",
        line: ["Hello from the database", "Hello again from the database"],
    };
    let took = edit.until_served(&target)?;
    report.against("edit to served, hello", took.as_secs_f64(), "s", Target::AtMost(6.0));
    let edit = Edit {
        app: &copy,
        run: &["run", "--quiet", "--package", "shop"],
        source: "examples/shop/src/storefront/home.rs",
        line: ["Fewer things. Better ones.", "Fewer things. Much better ones."],
    };
    let took = edit.until_served(&target)?;
    report.against("edit to served, shop", took.as_secs_f64(), "s", Target::AtMost(6.0));
    std::fs::remove_dir_all(&target)?;

    if !args.quick {
        let axum = write_axum_sqlx(room.path())?;
        let theirs = build(&axum)?;
        report.ratio("clean debug build", ours.cpu_seconds, "CPU s", "axum + sqlx", theirs.cpu_seconds, None);
        report.ratio("crates", ours.crates as f64, "crates", "axum + sqlx", theirs.crates as f64, None);
        std::fs::remove_dir_all(axum.join("target"))?;

        let loco = generate_loco(room.path())?;
        let theirs = build(&loco)?;
        let half = Some(Target::AtMost(0.5));
        report.ratio(
            "clean debug build",
            ours.cpu_seconds,
            "CPU s",
            "Loco starter",
            theirs.cpu_seconds,
            half,
        );
        report.ratio("crates", ours.crates as f64, "crates", "Loco starter", theirs.crates as f64, half);
    }
    Ok(report.finish())
}

/// The sources of the repository, where they can be changed.
fn copy(repository: &Path, room: &Path) -> Result<PathBuf> {
    let copy = room.join("burgeon");
    std::fs::create_dir_all(&copy)?;
    let parts = ["Cargo.toml", "Cargo.lock", "crates", "examples", "xtask"];
    quiet(Command::new("cp").arg("-r").args(parts).arg(&copy).current_dir(repository))?;
    Ok(copy)
}

fn write_hello(room: &Path, repository: &Path) -> Result<PathBuf> {
    let app = room.join("hello");
    std::fs::create_dir_all(app.join("src"))?;
    let manifest = format!(
        "[package]\nname = \"hello\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\nburgeon = {{ path = {:?} }}\n\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n",
        repository.join("crates/burgeon")
    );
    std::fs::write(app.join("Cargo.toml"), manifest)?;
    std::fs::copy(repository.join("Cargo.lock"), app.join("Cargo.lock"))?;
    std::fs::copy(repository.join("crates/burgeon/examples/hello.rs"), app.join("src/main.rs"))?;
    Ok(app)
}

fn write_axum_sqlx(room: &Path) -> Result<PathBuf> {
    let app = room.join("axum-sqlx");
    std::fs::create_dir_all(app.join("src"))?;
    std::fs::write(
        app.join("Cargo.toml"),
        r#"[package]
name = "axum-sqlx"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
axum = "0.8"
sqlx = { version = "0.9", features = ["runtime-tokio", "tls-rustls-ring", "postgres", "sqlite", "migrate", "macros"] }
tokio = { version = "1", features = ["full"] }
tracing-subscriber = "0.3"
tower-http = { version = "0.7", features = ["trace", "timeout", "limit", "compression-gzip", "cors", "request-id", "catch-panic"] }

[profile.dev]
debug = "line-tables-only"
"#,
    )?;
    std::fs::write(
        app.join("src/main.rs"),
        r#"use axum::{Router, extract::State, routing::get};
use sqlx::SqlitePool;

#[tokio::main]
async fn main() {
    let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
    let app = Router::new().route("/", get(greet)).with_state(pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await.unwrap();
    axum::serve(listener, app).await.unwrap();
}

async fn greet(State(pool): State<SqlitePool>) -> String {
    sqlx::query_scalar("select 'Hello from the database'").fetch_one(&pool).await.unwrap()
}
"#,
    )?;
    Ok(app)
}

/// Loco's generator comes from the registry and is installed beside the bench, never into the user's path.
fn generate_loco(room: &Path) -> Result<PathBuf> {
    let tools = room.join("tools");
    quiet(
        Command::new("cargo")
            .args(["install", "loco", "--version", "^1.2", "--locked", "--root"])
            .arg(&tools),
    )?;
    let args = [
        "new",
        "--name",
        "starter",
        "--db",
        "sqlite",
        "--bg",
        "async",
        "--assets",
        "none",
        "--allow-in-git-repo",
    ];
    quiet(Command::new(tools.join("bin/loco")).args(args).arg("--path").arg(room))?;
    Ok(room.join("starter"))
}

fn build(app: &Path) -> Result<Built> {
    quiet(cargo(app).args(["fetch", "--quiet"]))?;
    let before = cpu_seconds_of_children().ok_or("this bench reads /proc and so needs Linux")?;
    quiet(cargo(app).args(["build", "--quiet"]))?;
    let after = cpu_seconds_of_children().ok_or("this bench reads /proc and so needs Linux")?;
    let tree =
        cargo(app).args(["tree", "--edges", "normal,build", "--prefix", "none", "--no-dedupe"]).output()?;
    let names = String::from_utf8_lossy(&tree.stdout);
    let mut crates: Vec<&str> = names.lines().filter_map(|line| line.split(" (").next()).collect();
    crates.sort_unstable();
    crates.dedup();
    Ok(Built { cpu_seconds: after - before, crates: crates.len() })
}

/// A change to one line of a handler.
struct Edit<'a> {
    app: &'a Path,
    run: &'a [&'a str],
    source: &'a str,
    line: [&'a str; 2],
}

impl Edit<'_> {
    /// Starts the application as it is, stops it, changes the line and runs `cargo run`, as a person does, until the new
    /// text is served.
    fn until_served(&self, target: &Path) -> Result<Duration> {
        let source = self.app.join(self.source);
        let text = std::fs::read_to_string(&source)?;
        let [before, after] = self.line;
        let changed = text.replace(before, after);
        if changed == text {
            return Err(format!("{} no longer holds the line this bench edits", self.source).into());
        }
        // Builds it, and makes its database: neither is part of an edit.
        self.serves(target, before, Duration::from_secs(900))?;
        std::fs::write(&source, changed)?;
        self.serves(target, after, Duration::from_secs(120))
    }

    fn serves(&self, target: &Path, text: &str, within: Duration) -> Result<Duration> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut run = cargo(self.app);
        run.args(self.run).env("CARGO_TARGET_DIR", target).env("PORT", port.to_string());
        run.env("BURGEON__ADMIN__PORT", "0");
        let started = Instant::now();
        let mut server = Server(run.spawn()?);
        loop {
            if fetch(port).is_ok_and(|answer| answer.contains(text)) {
                return Ok(started.elapsed());
            }
            if let Some(status) = server.0.try_wait()? {
                return Err(format!("the application ended before it served: {status}").into());
            }
            if started.elapsed() > within {
                return Err(format!("the application did not serve within {within:?}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // `cargo run` replaces itself with the program on Unix, so this id is the server's own.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn fetch(port: u16) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn cargo(app: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(app).env("CARGO_TARGET_DIR", app.join("target")).stdin(Stdio::null());
    for inherited in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_JOBS", "DATABASE_URL"] {
        cargo.env_remove(inherited);
    }
    cargo
}

fn quiet(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
