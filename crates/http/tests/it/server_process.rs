//! The end of a whole process: told to stop amid five hundred clients, and told twice.
//!
//! The server under test is this binary once more: with [`SERVE`] in its environment a test serves instead of asking.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use burgeon_http::{Door, Edge, Mounts, Routes, Server, get};
use burgeon_meter::Meters;
use burgeon_runtime::{Lifecycle, Service, exit_code};

use crate::server_drain::ask_until_told;
use crate::serving::quick;

const SERVE: &str = "BURGEON_TEST_SERVE";
const DRAIN: Duration = Duration::from_secs(30);

async fn answer() -> String {
    tokio::time::sleep(Duration::from_millis(20)).await;
    "done".into()
}

async fn never() -> String {
    println!("\nwaits for ever");
    std::future::pending().await
}

/// Serves until a signal and exits as a binary does, if that is what this process was started for.
#[expect(clippy::disallowed_methods, reason = "here the test is the binary")]
fn serve_if_asked() {
    if std::env::var_os(SERVE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let (meters, config) = (Meters::new(), quick());
        let routes = Routes::new(()).routes([get("/", answer), get("/never", never)]);
        let router = Mounts::new().mount("/", routes).router(Door::new()).unwrap();
        let edge = Edge::new(&config, router, &meters).unwrap();
        let server = Server::bind(&config).unwrap();
        let address = server.address();
        let drain = burgeon_runtime::Config { drain_timeout: DRAIN, ..burgeon_runtime::Config::default() };
        Lifecycle::new(drain, &meters)
            .service(Service::new("http", move |life| async move {
                println!("\nlistens on {address}");
                server.run(edge, life).await
            }))
            .run_until_signal()
            .await
    });
    std::process::exit(exit_code(&ended).into());
}

/// A server in a process of its own; killed when dropped.
struct Process {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Process {
    fn of(test: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(SERVE, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = said.find_map(|line| line.unwrap().strip_prefix("listens on ")?.parse().ok());
        let address = address.unwrap_or_else(|| panic!("it never listened: {:?}", child.wait()));
        Self { child, said, address }
    }

    /// Returns when it has said this.
    fn says(&mut self, words: &str) {
        assert!(self.said.any(|line| line.unwrap() == words), "it never said: {words}");
    }

    fn terminate(&self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// Its exit code.
    async fn ended(&mut self, within: Duration) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(began.elapsed() < within, "it still runs after {within:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_process_told_to_stop_amid_five_hundred_clients_fails_none_and_exits_in_time() {
    serve_if_asked();
    let mut process = Process::of(
        "server_process::a_process_told_to_stop_amid_five_hundred_clients_fails_none_and_exits_in_time",
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let clients = join_all((0..500).map(|_| ask_until_told(process.address)));
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            process.terminate();
            Instant::now()
        };
        let (answered, told) = tokio::join!(clients, stopping);
        let answered: u32 = answered.into_iter().map(Result::unwrap).sum();
        assert!(answered >= 500, "only {answered} were answered");
        assert_eq!(process.ended(DRAIN.saturating_sub(told.elapsed())).await, 0);
    });
}

#[test]
fn a_second_signal_ends_a_process_that_waits_for_a_handler_without_end() {
    serve_if_asked();
    let mut process =
        Process::of("server_process::a_second_signal_ends_a_process_that_waits_for_a_handler_without_end");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        stream.write_all(b"GET /never HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        process.says("waits for ever");
        process.terminate();
        // The drain has begun when no new connection gets in.
        while TcpStream::connect(process.address).await.is_ok() {}
        assert!(process.child.try_wait().unwrap().is_none(), "it did not wait for its handler");
        process.terminate();
        // Sooner than the drain would have ended.
        assert_eq!(process.ended(DRAIN / 2).await, 143);
    });
}
