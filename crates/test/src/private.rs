//! What `#[burgeon_test::test]` expands to.

use std::fmt::Debug;
use std::time::Duration;

use burgeon::App;
use burgeon_db::Engine;

use crate::TestApp;

/// A test that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// What a test body may return.
pub trait Verdict {
    fn give(self, title: &str);
}

impl Verdict for () {
    fn give(self, _title: &str) {}
}

impl<E: Debug> Verdict for Result<(), E> {
    fn give(self, title: &str) {
        if let Err(error) = self {
            panic!("{title} returned an error: {error:?}");
        }
    }
}

/// Runs one case of a test.
pub fn run<F, Fut>(
    title: &str,
    app: fn() -> App,
    engine: Engine,
    nodes: usize,
    settings: &[(&str, &str)],
    body: F,
) where
    F: FnOnce(TestApp) -> Fut,
    Fut: Future,
    Fut::Output: Verdict,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime for {title}: {error}"));
    runtime.block_on(async {
        let whole = async {
            let options = TestApp::of(app).engine(engine).nodes(nodes);
            let options = settings.iter().fold(options, |options, (key, value)| options.setting(key, *value));
            let app = options.start().await;
            body(app.clone()).await.give(title);
            app.stop().await;
        };
        if tokio::time::timeout(LONGEST, whole).await.is_err() {
            panic!("{title} took longer than {LONGEST:?}");
        }
    });
}
