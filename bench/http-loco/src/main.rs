//! Loco as it comes, around the one handler: its default middlewares, one route. Prints its address first and
//! serves until killed.

use std::net::SocketAddr;
use std::path::Path;

use async_trait::async_trait;
use loco_rs::app::{AppContext, Hooks, Initializer};
use loco_rs::bgworker::Queue;
use loco_rs::boot::{BootResult, ServeParams, StartMode, create_app, start};
use loco_rs::config::Config;
use loco_rs::controller::{AppRoutes, Routes};
use loco_rs::environment::Environment;
use loco_rs::task::Tasks;
use loco_rs::{Result, prelude};

#[path = "../../http/src/product.rs"]
mod product;

use product::Product;

struct App;

async fn show(axum::extract::Path(id): axum::extract::Path<u64>) -> Result<axum::response::Response> {
    prelude::format::json(Product::of(id))
}

#[async_trait]
impl Hooks for App {
    fn app_name() -> &'static str {
        "bench-http-loco"
    }

    async fn boot(mode: StartMode, environment: &Environment, config: Config) -> Result<BootResult> {
        create_app::<Self>(mode, environment, config).await
    }

    // As Loco's own, but with any free port, which the caller is told, and without delay, as all its peers.
    async fn serve(app: axum::Router, _ctx: &AppContext, _params: &ServeParams) -> Result<()> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
        Ok(())
    }

    async fn initializers(_ctx: &AppContext) -> Result<Vec<Box<dyn Initializer>>> {
        Ok(vec![])
    }

    fn routes(_ctx: &AppContext) -> AppRoutes {
        AppRoutes::empty().add_route(Routes::new().add("/products/{id}", axum::routing::get(show)))
    }

    async fn connect_workers(_ctx: &AppContext, _queue: &Queue) -> Result<()> {
        Ok(())
    }

    fn register_tasks(_tasks: &mut Tasks) {}
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let environment = Environment::Production;
    let config = environment.load_from_folder(&folder)?;
    let params = ServeParams { port: config.server.port, binding: config.server.binding.clone() };
    let boot = App::boot(StartMode::ServerOnly, &environment, config).await?;
    start::<App>(boot, params, true).await
}
