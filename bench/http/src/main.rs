//! One small JSON handler behind six servers, under the same load, in turns.
//!
//! Every server runs as a child process with as many threads as there are cores; this process is the load: a closed loop
//! of connections that ask, await the answer, and ask again, either on one connection for ever or on a new one after
//! every 25th answer. Rounds alternate between the servers, so that a noisy machine is noisy for all. What counts is CPU
//! per request, as the kernel accounts it to the server's threads, and its ratio between servers.

mod load;
mod product;
mod servers;

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use bench_report::{Report, Target};
use clap::{Parser, Subcommand, ValueEnum as _};

use crate::load::{Mode, Round};
use crate::servers::Peer;

#[derive(Parser)]
struct Arguments {
    /// Fewer and shorter rounds: done within 45 s.
    #[arg(long)]
    quick: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    /// Connections kept busy.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Only these servers.
    #[arg(long)]
    only: Vec<Peer>,
    #[command(subcommand)]
    command: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Serves until killed; prints its address first.
    Serve { peer: Peer },
}

/// A server under test; killed when dropped.
struct Server {
    peer: Peer,
    child: Child,
    address: SocketAddr,
    rounds: [Vec<Round>; 2],
}

const MODES: [Mode; 2] = [Mode::Kept, Mode::Closed];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Action::Serve { peer }) = arguments.command {
        servers::serve(peer);
        return ExitCode::SUCCESS;
    }
    let (rounds, length) = match arguments.quick {
        true => (3, Duration::from_millis(900)),
        false => (9, Duration::from_millis(2_500)),
    };
    let peers: Vec<Peer> = match arguments.only.is_empty() {
        // Loco takes minutes to build, so the short form leaves it out.
        true => {
            let all = Peer::value_variants().iter().copied();
            all.filter(|peer| !arguments.quick || *peer != Peer::Loco).collect()
        }
        false => arguments.only.clone(),
    };
    let mut servers: Vec<Server> = peers.into_iter().filter_map(Server::start).collect();
    for round in 0..rounds {
        for (index, mode) in MODES.into_iter().enumerate() {
            // Each round begins with another one, so that nobody always follows the same neighbour.
            let count = servers.len();
            for turn in 0..count {
                let server = &mut servers[(turn + round) % count];
                let round = load::run(server.address, server.child.id(), arguments.connections, mode, length);
                server.rounds[index].push(round);
            }
        }
    }
    let mut report = Report::new("http", arguments.json);
    for (index, mode) in MODES.into_iter().enumerate() {
        tell(&mut report, &servers, index, mode);
    }
    match report.finish() {
        0 => ExitCode::SUCCESS,
        missed => {
            eprintln!("{missed} targets missed");
            ExitCode::FAILURE
        }
    }
}

fn tell(report: &mut Report, servers: &[Server], index: usize, mode: Mode) {
    let name = |measure: &str| format!("{measure}, {}", mode.name());
    for server in servers {
        let (cpu, rate, p99) = server.medians(index);
        let waited = median(server.rounds[index].iter().map(|round| round.waited_micros).collect());
        report.value(&name("CPU per request"), server.peer.name(), cpu, "us");
        report.value(&name("waiting for a processor per request"), server.peer.name(), waited, "us");
        report.value(&name("throughput"), server.peer.name(), rate, "requests/s");
        report.value(&name("p99"), server.peer.name(), p99, "us");
        let failed: u64 = server.rounds[index].iter().map(|round| round.failed).sum();
        if failed > 0 {
            report.value(&name("failed requests"), server.peer.name(), failed as f64, "");
        }
    }
    let Some(ours) = servers.iter().find(|server| server.peer == Peer::Burgeon) else { return };
    let (_, _, p99) = ours.medians(index);
    let mut best: Option<&Server> = None;
    for theirs in servers.iter().filter(|server| server.peer != Peer::Burgeon) {
        let target = match theirs.peer {
            Peer::Hyper => Some(Target::AtMost(2.0)),
            Peer::AxumTower => Some(Target::AtMost(0.75)),
            _ => None,
        };
        let (ours_us, _, _) = ours.medians(index);
        let ratio = ours.paired(theirs, index, |round| round.cpu_micros);
        report.ratio(&name("CPU per request"), ours_us, "us", theirs.peer.name(), ours_us / ratio, target);
        report.ratio(&name("p99"), p99, "us", theirs.peer.name(), theirs.medians(index).2, None);
        if best.is_none_or(|best| theirs.medians(index).1 > best.medians(index).1) {
            best = Some(theirs);
        }
        if matches!(theirs.peer, Peer::Axum | Peer::AxumTower) && mode == Mode::Closed {
            let (_, rate, _) = ours.medians(index);
            let ratio = ours.paired(theirs, index, |round| round.rate);
            let ahead = Some(Target::AtLeast(1.0));
            report.ratio(&name("throughput"), rate, "requests/s", theirs.peer.name(), rate / ratio, ahead);
        }
    }
    if let (Some(best), Mode::Kept) = (best, mode) {
        let (_, rate, _) = ours.medians(index);
        let ratio = ours.paired(best, index, |round| round.rate);
        let near = Some(Target::AtLeast(0.95));
        let against = format!("best ({})", best.peer.name());
        report.ratio(&name("throughput"), rate, "requests/s", &against, rate / ratio, near);
    }
}

impl Server {
    /// None when it cannot be built here, which is said.
    fn start(peer: Peer) -> Option<Self> {
        let own = std::env::current_exe().expect("the path of this program");
        let mut command = match peer {
            Peer::Loco => Command::new(build_loco(&own)?),
            _ => Command::new(own),
        };
        if peer != Peer::Loco {
            command.args(["serve", peer.name()]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a server starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output is piped");
        std::io::BufReader::new(output).read_line(&mut line).expect("it prints its address");
        let address =
            line.trim().parse().unwrap_or_else(|_| panic!("{}: no address but {line:?}", peer.name()));
        Some(Self { peer, child, address, rounds: Default::default() })
    }

    /// CPU per request, throughput and p99 in the middle round of each.
    fn medians(&self, mode: usize) -> (f64, f64, f64) {
        let of = |value: fn(&Round) -> f64| median(self.rounds[mode].iter().map(value).collect());
        (of(|round| round.cpu_micros), of(|round| round.rate), of(|round| round.p99_micros))
    }

    /// The middle of the ratios of rounds that followed each other.
    fn paired(&self, peer: &Server, mode: usize, value: fn(&Round) -> f64) -> f64 {
        let pairs = self.rounds[mode].iter().zip(&peer.rounds[mode]);
        median(pairs.map(|(ours, theirs)| value(ours) / value(theirs)).collect())
    }
}

/// Builds Loco's server into the directory of this program, and says where it is.
fn build_loco(own: &Path) -> Option<PathBuf> {
    let built = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--release", "--quiet", "--package", "bench-http-loco"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    if !built.success() {
        eprintln!("Loco's server does not build here, so it is not measured");
        return None;
    }
    Some(own.with_file_name("bench-http-loco"))
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
