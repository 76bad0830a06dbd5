//! The client: cookies, forms, failures that can be read.

use burgeon::prelude::*;
use burgeon_test::{Answer, TestApp};
use serde::Deserialize;

fn app() -> App {
    App::new("guestbook").module(|| {
        Module::new("guestbook").routes(Routes::new(()).routes([
            get("/", page),
            post("/sign", sign),
            get("/name", name),
            get("/leave", leave),
            get("/long", long),
        ]))
    })
}

#[derive(Deserialize, JsonSchema)]
struct Sign {
    name: String,
}

async fn page(csrf: Csrf) -> Html {
    Html(format!("<form method=post action=/sign>{}<input name=name></form>", csrf.field()))
}

async fn sign(session: Session, flash: Flash, Form(sign): Form<Sign>) -> Result<Redirect> {
    session.set("name", &sign.name)?;
    flash.success("Thank you.");
    Ok(Redirect::to("/name"))
}

async fn name(session: Session) -> Result<String> {
    Ok(session.get::<String>("name").unwrap_or_else(|| "nobody".to_owned()))
}

async fn leave(session: Session) -> Redirect {
    session.clear();
    Redirect::to("/")
}

async fn long() -> String {
    "x".repeat(10_000)
}

#[burgeon_test::test(app)]
async fn a_visitor_is_known_on_every_node_and_another_is_not(app: TestApp) {
    app.get("/").await.ok();
    app.post_form("/sign", &[("name", "Ada & Co")]).await.redirects_to("/name");
    for _ in 0..app.nodes() {
        app.get("/name").await.ok().contains("Ada & Co");
    }
    app.visitor().get("/name").await.ok().contains("nobody");
    app.get("/leave").await.redirects_to("/");
    app.get("/name").await.ok().contains("nobody");
}

#[burgeon_test::test(app, engines = [sqlite])]
async fn the_token_of_a_form_is_fetched_when_none_was_seen(app: TestApp) {
    // A program without cookies needs none.
    app.post_form("/sign", &[("name", "Ada")]).await.redirects_to("/name");
    // Now the visitor has a session and no token.
    app.post_form("/sign", &[("name", "Grace")]).await.redirects_to("/name");
    app.get("/name").await.ok().contains("Grace");
}

#[tokio::test]
async fn a_failure_shows_request_status_and_body_cut_short() {
    let app = TestApp::of(app).start().await;
    let answer: Answer = app.get("/long").await;
    let failure = std::panic::catch_unwind(move || answer.is(404)).unwrap_err();
    let text = failure.downcast_ref::<String>().unwrap();
    assert!(
        text.starts_with("expected status 404\n  request: GET /long\n  status:  200 OK\n  body:    xxx"),
        "{text}"
    );
    assert!(text.ends_with(".. and 8000 more bytes"), "{text}");
    app.stop().await;
}
