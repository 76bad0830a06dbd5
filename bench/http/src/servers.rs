//! The servers: the least that each needs, and for axum and us the whole standard stack.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;

use crate::product::Product;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    /// hyper by hand: a current-thread runtime and a listener per core, no timer, no layer.
    Hyper,
    /// `axum::serve` with nothing around the router.
    Axum,
    /// `axum::serve` with the tower-http layers that do what our standard stack does.
    AxumTower,
    /// actix-web with nothing around the route.
    Actix,
    /// Loco as it comes, which is a program of its own.
    Loco,
    /// This house, as an application gets it by default.
    Burgeon,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Peer::Hyper => "hyper",
            Peer::Axum => "axum",
            Peer::AxumTower => "axum-tower",
            Peer::Actix => "actix",
            Peer::Loco => "loco",
            Peer::Burgeon => "burgeon",
        }
    }
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub fn serve(peer: Peer) {
    match peer {
        Peer::Hyper => hyper(),
        Peer::Axum => axum(false),
        Peer::AxumTower => axum(true),
        Peer::Actix => actix(),
        Peer::Loco => panic!("it is a program of its own: bench-http-loco"),
        Peer::Burgeon => burgeon(),
    }
}

/// So that the parent knows where to ask.
fn tell(address: SocketAddr) {
    println!("{address}");
}

fn shared_port(address: SocketAddr) -> TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("SO_REUSEPORT");
    socket.set_nonblocking(true).expect("non-blocking");
    socket.bind(&address.into()).expect("a free port");
    socket.listen(1024).expect("a backlog");
    socket.into()
}

fn hyper() {
    let first = shared_port(ANY);
    let address = first.local_addr().expect("bound");
    let mut listeners = vec![first];
    listeners.extend((1..cores()).map(|_| shared_port(address)));
    tell(address);
    let threads: Vec<_> =
        listeners.into_iter().map(|listener| std::thread::spawn(move || core(listener))).collect();
    for thread in threads {
        thread.join().expect("a core panicked");
    }
}

fn core(listener: TcpListener) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            tokio::task::spawn_local(async move {
                let service =
                    hyper::service::service_fn(
                        |request| async move { Ok::<_, Infallible>(answer(&request)) },
                    );
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
}

fn answer(request: &http::Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
    let id = request.uri().path().strip_prefix("/products/").and_then(|id| id.parse().ok());
    match (request.method(), id) {
        (&Method::GET, Some(id)) => {
            let json = serde_json::to_vec(&Product::of(id)).expect("serialises");
            let mut response = Response::new(Full::from(json));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

#[tokio::main]
async fn axum(layers: bool) {
    use axum::extract::Path;
    use axum::routing::get;
    use tower_http::catch_panic::CatchPanicLayer;
    use tower_http::compression::CompressionLayer;
    use tower_http::compression::predicate::SizeAbove;
    use tower_http::cors::CorsLayer;
    use tower_http::limit::RequestBodyLimitLayer;
    use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
    use tower_http::sensitive_headers::SetSensitiveHeadersLayer;
    use tower_http::set_header::SetResponseHeaderLayer;
    use tower_http::timeout::TimeoutLayer;
    use tower_http::trace::TraceLayer;

    /// As cheap as a name can be, so that no random source is what is measured.
    #[derive(Clone, Default)]
    struct Counted(std::sync::Arc<std::sync::atomic::AtomicU64>);

    impl MakeRequestId for Counted {
        fn make_request_id<B>(&mut self, _: &http::Request<B>) -> Option<RequestId> {
            let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Some(RequestId::new(HeaderValue::from_str(&format!("{number:032x}")).ok()?))
        }
    }

    let mut router = axum::Router::new()
        .route("/products/{id}", get(|Path(id): Path<u64>| async move { axum::Json(Product::of(id)) }));
    if layers {
        let name = HeaderName::from_static("x-request-id");
        // The first one added is the innermost.
        router = router
            .layer(RequestBodyLimitLayer::new(2 << 20))
            .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(15)))
            .layer(CatchPanicLayer::new())
            .layer(SetResponseHeaderLayer::if_not_present(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ))
            // As ours: not below a kilobyte, where it costs more than it saves.
            .layer(CompressionLayer::new().compress_when(SizeAbove::new(1024)))
            .layer(CorsLayer::new())
            .layer(PropagateRequestIdLayer::new(name.clone()))
            .layer(TraceLayer::new_for_http())
            .layer(SetRequestIdLayer::new(name, Counted::default()))
            .layer(SetSensitiveHeadersLayer::new([header::AUTHORIZATION, header::COOKIE]));
    }
    let listener = tokio::net::TcpListener::bind(ANY).await.expect("a free port");
    tell(listener.local_addr().expect("bound"));
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await.expect("serves");
}

fn actix() {
    use actix_web::{App, HttpResponse, HttpServer, web};

    async fn show(id: web::Path<u64>) -> HttpResponse {
        HttpResponse::Ok().json(Product::of(*id))
    }
    let listener = TcpListener::bind(ANY).expect("a free port");
    tell(listener.local_addr().expect("bound"));
    let serving = HttpServer::new(|| App::new().route("/products/{id}", web::get().to(show)))
        .workers(cores())
        .tcp_nodelay(true)
        .listen(listener)
        .expect("listens")
        .run();
    actix_web::rt::System::new().block_on(serving).expect("serves");
}

#[tokio::main]
async fn burgeon() {
    use burgeon_http::{Config, Door, Edge, Json, Mounts, Path, Routes, Server, get};
    use burgeon_meter::Meters;
    use burgeon_runtime::{Lifecycle, Service};

    async fn show(Path(id): Path<u64>) -> burgeon_core::Result<Json<Product>> {
        Ok(Json(Product::of(id)))
    }
    let meters = Meters::new();
    let config = Config { port: 0, ..Config::default() };
    let routes = Routes::new(()).routes([get("/products/{id}", show)]);
    let router = Mounts::new().mount("/", routes).router(Door::new()).expect("one route");
    let edge = Edge::new(&config, router, &meters).expect("a valid configuration");
    let server = Server::bind(&config).expect("a free port");
    tell(server.address());
    Lifecycle::new(burgeon_runtime::Config::default(), &meters)
        .service(Service::new("http", |life| server.run(edge, life)))
        .run(std::future::pending::<()>())
        .await
        .expect("serves");
}
