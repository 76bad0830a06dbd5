//! Sessions, flash messages, form tokens, validation on the page and in JSON.

use burgeon_core::Result;
use burgeon_http::{
    Checks, Cookie, Cookies, Cors, Csrf, Door, Flash, Form, Html, Input, Json, JsonSchema, Keys, Mounts,
    NoContent, Redirect, Reply, Response, Router, Routes, Scheme, Session, StatusCode, Submitted, Valid, get,
    header, post,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::client::Client;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Review {
    stars: u8,
    text: String,
    #[serde(default)]
    lines: Vec<u8>,
}

impl Input for Review {
    fn check(&self, check: &mut Checks) {
        check.between("stars", self.stars, 1..=5);
        check.not_blank("text", &self.text);
    }
}

async fn page(csrf: Csrf, flash: Flash, session: Session) -> Html {
    let messages: Vec<_> = flash.take().into_iter().map(|message| message.text).collect();
    let who: Option<String> = session.get("who");
    Html(format!("{}|{}|{}", csrf.token(), messages.join(","), who.unwrap_or_default()))
}

async fn poster(_csrf: Csrf, _flash: Flash, session: Session) -> String {
    session.get::<String>("who").unwrap_or_else(|| "nobody".to_owned())
}

async fn submit(flash: Flash, session: Session, submitted: Submitted<Review>) -> Result<Response> {
    match submitted.valid() {
        Ok(review) => {
            flash.success(format!("Thanks for {} stars; and more", review.stars));
            session.set("who", review.text)?;
            Redirect::to("/").reply()
        }
        Err(form) => {
            let shown = format!("{} {:?} {:?}", form.typed("stars"), form.error("stars"), form.error("text"));
            (StatusCode::UNPROCESSABLE_ENTITY, Html(shown)).reply()
        }
    }
}

async fn plain(Form(review): Form<Review>) -> String {
    format!("{} {:?}", review.stars, review.lines)
}

async fn api(Valid(Json(review)): Valid<Json<Review>>) -> Json<Review> {
    Json(review)
}

async fn sign_out(session: Session) -> NoContent {
    session.clear();
    NoContent
}

fn router() -> Router {
    let routes = Routes::new(()).routes([
        get("/", page),
        get("/poster", poster),
        post("/", submit),
        post("/plain", plain),
        post("/api", api),
        post("/sign-out", sign_out),
        get("/cookie", async |cookies: Cookies| {
            let seen = cookies.get("seen").unwrap_or_default();
            cookies.set(&Cookie::new("seen", format!("{seen}+ü;")))?;
            Ok::<_, burgeon_core::Error>(seen)
        }),
    ]);
    Mounts::new().mount("/", routes).router(Door::new().with_keys(Keys::fixed(b"test"))).unwrap()
}

/// Token, messages, who.
async fn look(client: &mut Client) -> (String, String, String) {
    let answer = client.get("/").await;
    let parts: Vec<_> = answer.text().split('|').map(str::to_owned).collect();
    (parts[0].clone(), parts[1].clone(), parts[2].clone())
}

#[tokio::test]
async fn a_form_with_its_token_is_taken_and_the_message_is_shown_once() {
    let mut client = Client::new(&router());
    let (token, ..) = look(&mut client).await;
    let answer = client.post_form("/", &format!("stars=5&text=ada&_csrf={token}")).await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (303, "/"), "{}", answer.text());

    let (_, messages, who) = look(&mut client).await;
    assert_eq!((messages.as_str(), who.as_str()), ("Thanks for 5 stars; and more", "ada"));
    let (_, messages, who) = look(&mut client).await;
    assert_eq!((messages.as_str(), who.as_str()), ("", "ada"));
}

#[tokio::test]
async fn a_page_without_a_form_sets_no_cookie_though_it_could_have_one() {
    let mut client = Client::new(&router());
    let answer = client.get("/poster").await;
    assert_eq!((answer.status, answer.text()), (200, "nobody"));
    assert!(!answer.headers.contains_key(header::SET_COOKIE));
    assert!(client.get("/").await.headers.contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn a_form_is_shown_again_with_what_was_typed_and_what_is_wrong() {
    let mut client = Client::new(&router());
    let (token, ..) = look(&mut client).await;
    let answer = client.post_form("/", &format!("stars=7&text=&_csrf={token}")).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.text(), r#"7 Some("must be from 1 to 5") Some("must not be empty")"#);
    let answer = client.post_form("/", &format!("stars=many&text=x&_csrf={token}")).await;
    assert_eq!(answer.text(), r#"many Some("must be a whole number from 0 to 255") None"#);
}

#[tokio::test]
async fn a_form_without_its_token_is_refused_where_there_are_cookies() {
    let mut client = Client::new(&router());
    let (token, ..) = look(&mut client).await;
    let mut other = Client::new(&router());
    let (others_token, ..) = look(&mut other).await;

    for form in
        ["stars=1&text=x".to_owned(), "stars=1&text=x&_csrf=".into(), format!("stars=1&_csrf={others_token}")]
    {
        let answer = client.post_form("/plain", &form).await;
        assert_eq!(answer.status, 403, "{form}");
        assert_eq!(
            answer.json()["detail"],
            "This form has expired. Please reload the page and send it again."
        );
    }
    let answer = client.post_form("/plain", &format!("stars=1&text=x&lines=1&lines=2&_csrf={token}")).await;
    assert_eq!((answer.status, answer.text()), (200, "1 [1, 2]"));

    // Without cookies a request has nobody's authority.
    let answer = Client::new(&router()).post_form("/plain", "stars=1&text=x").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_another_site_caused_is_refused_before_the_handler() {
    let mut client = Client::new(&router()).with("sec-fetch-site", "cross-site");
    let (token, ..) = look(&mut client).await;
    let answer = client.post_form("/", &format!("stars=5&text=ada&_csrf={token}")).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    let answer = client.post_form("/sign-out", "").await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn an_origin_that_may_send_cookies_is_no_other_site() {
    let friends = |credentials| Cors {
        origins: vec!["https://app.example".to_owned()],
        credentials,
        ..Cors::default()
    };
    for (credentials, origin, status) in [
        (true, "https://app.example", 204),
        (true, "https://evil.example", 403),
        // Its pages may read answers, but not act in a visitor's name.
        (false, "https://app.example", 403),
    ] {
        let door = Door::new().with_keys(Keys::fixed(b"test")).with_cors(&friends(credentials));
        let routes = Routes::new(()).routes([get("/", page), post("/sign-out", sign_out)]);
        let router = Mounts::new().mount("/", routes).router(door).unwrap();
        let mut client = Client::new(&router).with("sec-fetch-site", "cross-site").with("origin", origin);
        look(&mut client).await;
        let answer = client.post_form("/sign-out", "").await;
        assert_eq!(answer.status, status, "{credentials} {origin}: {}", answer.text());
    }
}

#[tokio::test]
async fn signing_out_forgets_the_session_and_its_tokens() {
    let mut client = Client::new(&router());
    let (token, ..) = look(&mut client).await;
    client.post_form("/", &format!("stars=5&text=ada&_csrf={token}")).await;
    assert!(client.cookie("session").is_some());
    assert_eq!(client.post_form("/sign-out", "").await.status, 204);
    assert_eq!(client.cookie("session"), None);
    look(&mut client).await;
    let answer = client.post_form("/plain", &format!("stars=1&text=x&_csrf={token}")).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn cookies_of_the_house_are_closed_and_over_tls_bound_to_the_host() {
    let router = router();
    let answer = Client::new(&router).get("/").await;
    let cookie = answer.header(header::SET_COOKIE);
    assert!(
        cookie.starts_with("session=") && cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax")
    );
    assert!(!cookie.contains("Secure"), "{cookie}");

    let mut request = http::Request::builder().uri("/").body(burgeon_http::Body::empty()).unwrap();
    request.extensions_mut().insert(Scheme::Https);
    let answer = Client::new(&router).send(request).await;
    let cookie = answer.header(header::SET_COOKIE);
    assert!(cookie.starts_with("__Host-session=") && cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn a_cookie_of_the_application_comes_back_as_it_was() {
    let mut client = Client::new(&router());
    client.get("/cookie").await;
    assert_eq!(client.get("/cookie").await.text(), "+ü;");
    assert_eq!(client.get("/cookie").await.text(), "+ü;+ü;");
}

#[tokio::test]
async fn json_that_breaks_rules_names_every_field() {
    let request = |body: &'static str| {
        let request =
            http::Request::builder().method("POST").uri("/api").header("content-type", "application/json");
        request.body(burgeon_http::Body::from(body)).unwrap()
    };
    let mut client = Client::new(&router());
    let answer = client.send(request(r#"{"stars":0,"text":" "}"#)).await;
    let fields: Vec<_> =
        answer.json()["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!((answer.status, fields), (422, vec!["stars".into(), "text".into()]));
    let answer = client.send(request(r#"{"stars":1,"text":"x","lines":[1,"a"]}"#)).await;
    assert_eq!((answer.status, &answer.json()["errors"][0]["field"]), (422, &"lines[1]".into()));
}

#[tokio::test]
async fn without_keys_a_session_is_a_defect_that_says_so() {
    let routes = Routes::new(()).routes([get("/", page)]);
    let router = Mounts::new().mount("/", routes).router(Door::new()).unwrap();
    assert_eq!(Client::new(&router).get("/").await.status, 500);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_token_that_was_tampered_with_is_always_refused(at: prop::sample::Index, with in "[A-Za-z0-9_-]") {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let mut client = Client::new(&router());
            let (token, ..) = look(&mut client).await;
            // The last character of base64 holds unused bits that a lenient reader would ignore.
            let at = at.index(token.len());
            let tampered = format!("{}{with}{}", &token[..at], &token[at + 1..]);
            let answer = client.post_form("/plain", &format!("stars=1&text=x&_csrf={tampered}")).await;
            let expected = if tampered == token { 200 } else { 403 };
            assert_eq!(answer.status, expected, "{tampered}");
        });
    }

    #[test]
    fn a_session_that_was_tampered_with_is_empty(at: prop::sample::Index, with in "[A-Za-z0-9_-]") {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let mut client = Client::new(&router());
            let (token, ..) = look(&mut client).await;
            client.post_form("/", &format!("stars=5&text=ada&_csrf={token}")).await;
            let sealed = client.cookie("session").unwrap().to_owned();
            let at = at.index(sealed.len());
            let tampered = format!("{}{with}{}", &sealed[..at], &sealed[at + 1..]);
            client.set_cookie("session", &tampered);
            let expected = if tampered == sealed { "ada" } else { "" };
            assert_eq!(look(&mut client).await.2, expected);
        });
    }
}
