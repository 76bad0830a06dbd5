//! A process with two services, as small as it gets. Press Ctrl-C once to see it drain, twice to see it end.
//!
//! `cargo run -p burgeon-runtime --example process [good|slow|stuck|stillborn]`

use std::process::ExitCode;
use std::time::Duration;

use burgeon_core::{Error, Result};
use burgeon_meter::Meters;
use burgeon_runtime::{Config, Life, Lifecycle, Service, exit_code};
use tokio::sync::oneshot::{Receiver, Sender};

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "a binary reads its arguments")]
    let mode = std::env::args().nth(1).unwrap_or_else(|| "good".to_owned());
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (stick, stuck) = tokio::sync::oneshot::channel::<()>();
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = serve(mode, stick) => ended,
            ended = block_when_told(stuck) => ended,
        }
    });
    if let Err(error) = &ended {
        eprintln!("{}", error.detail());
    }
    // Whatever is left on blocking threads is not waited for.
    runtime.shutdown_background();
    ExitCode::from(exit_code(&ended))
}

/// A defect, on purpose: it blocks the thread that waits for the end.
async fn block_when_told(told: Receiver<()>) -> Result<()> {
    if told.await.is_err() {
        std::future::pending::<()>().await;
    }
    println!("stuck");
    loop {
        std::thread::sleep(Duration::from_secs(3_600));
    }
}

async fn serve(mode: String, stick: Sender<()>) -> Result<()> {
    let lifecycle = Lifecycle::new(Config::default(), &Meters::new());
    let (health, tasks) = (lifecycle.health(), lifecycle.tasks());
    let stopping = tasks.stopping();
    drop(tasks.spawn("announce", async move {
        while !health.report().await.ready {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
                () = stopping.cancelled() => return,
            }
        }
        println!("ready");
    }));
    lifecycle
        .service(Service::new("database", async |life: Life| {
            life.ready();
            life.draining().await;
            println!("database stops");
            Ok(())
        }))
        .service(
            Service::new("http", async move |life: Life| http(&mode, &life, stick).await).after(["database"]),
        )
        .run_until_signal()
        .await
}

async fn http(mode: &str, life: &Life, stick: Sender<()>) -> Result<()> {
    if mode == "stillborn" {
        return Err(Error::unavailable("The port 80 is in use by another process."));
    }
    life.ready();
    if mode == "stuck" {
        let _ = stick.send(());
    }
    life.draining().await;
    println!("http drains");
    if mode == "slow" {
        std::future::pending::<()>().await;
    }
    println!("http stops");
    Ok(())
}
