//! Static files: caching, ranges, and staying inside the directory.

use std::path::Path;

use burgeon_http::{Assets, Body, Door, Mounts, Router, header};

use crate::client::{Answer, Client};

static FILES: &[(&str, &[u8])] =
    &[("app.css", b"body { margin: 0 }"), ("icons/cup.svg", b"<svg/>"), ("LICENCE", b"MIT")];

fn router(assets: &Assets) -> Router {
    Mounts::new().mount("/", assets.routes()).router(Door::new()).unwrap()
}

async fn ask(router: &Router, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = http::Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Client::new(router).send(request.body(Body::empty()).unwrap()).await
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("files")).unwrap();
    std::fs::create_dir(folder.path().join("files/icons")).unwrap();
    for (name, content) in FILES {
        std::fs::write(folder.path().join("files").join(name), content).unwrap();
    }
    std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    std::fs::write(folder.path().join("files/.hidden"), "secret").unwrap();
    folder
}

fn both(folder: &Path) -> [Assets; 2] {
    [Assets::embedded("/assets", FILES), Assets::directory("/assets", folder.join("files")).unwrap()]
}

#[tokio::test]
async fn an_address_with_the_contents_hash_may_be_kept_for_ever() {
    let folder = folder();
    for assets in both(folder.path()) {
        let router = router(&assets);
        for (name, content) in FILES {
            let url = assets.url(name);
            assert_ne!(url, format!("/assets/{name}"));
            let answer = ask(&router, &url, &[]).await;
            assert_eq!((answer.status, answer.body.as_slice()), (200, *content), "{url}");
            assert_eq!(answer.header(header::CACHE_CONTROL), "public, max-age=31536000, immutable");
            let answer = ask(&router, &format!("/assets/{name}"), &[]).await;
            assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "no-cache"));
        }
        let answer = ask(&router, "/assets/app.0123456789abcdef.css", &[]).await;
        assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "no-cache"));
        assert_eq!(answer.header(header::CONTENT_TYPE), "text/css; charset=utf-8");
        assert_eq!(assets.url("missing.css"), "/assets/missing.css");
        assert_eq!(ask(&router, "/assets/missing.css", &[]).await.status, 404);
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let folder = folder();
    for assets in both(folder.path()) {
        let router = router(&assets);
        let etag = ask(&router, "/assets/app.css", &[]).await.header(header::ETAG).to_owned();
        for tags in [etag.clone(), format!("\"x\", W/{etag}"), "*".into()] {
            let answer = ask(&router, "/assets/app.css", &[("if-none-match", &tags)]).await;
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{tags}");
            assert_eq!(answer.header(header::ETAG), etag);
        }
        assert_eq!(ask(&router, "/assets/app.css", &[("if-none-match", "\"x\"")]).await.status, 200);
    }
}

#[tokio::test]
async fn a_range_is_sent_alone_and_several_are_not() {
    let folder = folder();
    for assets in both(folder.path()) {
        let router = router(&assets);
        let etag = ask(&router, "/assets/app.css", &[]).await.header(header::ETAG).to_owned();
        let answer = ask(&router, "/assets/app.css", &[("range", "bytes=5-10")]).await;
        assert_eq!((answer.status, answer.text()), (206, "{ marg"));
        assert_eq!(answer.header(header::CONTENT_RANGE), "bytes 5-10/18");
        assert_eq!(answer.header(header::CONTENT_LENGTH), "6");
        assert_eq!(ask(&router, "/assets/app.css", &[("range", "bytes=-1")]).await.text(), "}");
        assert_eq!(ask(&router, "/assets/app.css", &[("range", "bytes=0-1,3-4")]).await.status, 200);
        assert_eq!(ask(&router, "/assets/app.css", &[("range", "bytes=18-")]).await.status, 416);

        let fresh = ask(&router, "/assets/app.css", &[("range", "bytes=0-0"), ("if-range", &etag)]).await;
        assert_eq!(fresh.status, 206);
        let stale = ask(&router, "/assets/app.css", &[("range", "bytes=0-0"), ("if-range", "\"x\"")]).await;
        assert_eq!(stale.status, 200);
    }
}

#[tokio::test]
async fn head_tells_the_length_without_the_content() {
    let folder = folder();
    for assets in both(folder.path()) {
        let request =
            http::Request::builder().method("HEAD").uri("/assets/app.css").body(Body::empty()).unwrap();
        let answer = Client::new(&router(&assets)).send(request).await;
        assert_eq!((answer.status, answer.body.len(), answer.header(header::CONTENT_LENGTH)), (200, 0, "18"));
    }
}

#[tokio::test]
async fn no_address_leads_out_of_the_directory() {
    let folder = folder();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret.txt"), folder.path().join("files/link.txt"))
        .unwrap();
    let assets = Assets::directory("/assets", folder.path().join("files")).unwrap();
    let router = router(&assets);
    for path in [
        "/assets/../secret.txt",
        "/assets/%2e%2e/secret.txt",
        "/assets/..%2fsecret.txt",
        "/assets/icons/../../secret.txt",
        "/assets/icons%2f..%2f..%2fsecret.txt",
        "/assets//etc/passwd",
        "/assets/%2fetc/passwd",
        "/assets/..%5csecret.txt",
        "/assets/.hidden",
        "/assets/link.txt",
        "/assets/icons",
        "/assets/app.css%00",
        "/assets/%ff",
    ] {
        let answer = ask(&router, path, &[]).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(!answer.text().contains("secret"), "{path}");
    }
}

#[tokio::test]
async fn a_file_that_changed_is_sent_as_it_is_now() {
    let folder = folder();
    let assets = Assets::directory("/assets", folder.path().join("files")).unwrap();
    let router = router(&assets);
    let old = assets.url("app.css");
    let etag = ask(&router, &old, &[]).await.header(header::ETAG).to_owned();
    std::fs::write(folder.path().join("files/app.css"), "body { margin: 1px }").unwrap();
    let answer = ask(&router, &old, &[("if-none-match", &etag)]).await;
    assert_eq!((answer.status, answer.text()), (200, "body { margin: 1px }"));
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-cache");
    assert_ne!(assets.url("app.css"), old);
}

#[tokio::test]
async fn a_large_file_is_sent_whole() {
    let folder = folder();
    let large: Vec<u8> = (0..300_000u32).map(|number| number as u8).collect();
    std::fs::write(folder.path().join("files/large.bin"), &large).unwrap();
    let assets = Assets::directory("/assets", folder.path().join("files")).unwrap();
    let router = router(&assets);
    assert!(ask(&router, "/assets/large.bin", &[]).await.body == large);
    let part = ask(&router, "/assets/large.bin", &[("range", "bytes=100000-250000")]).await;
    assert!(part.body == large[100_000..=250_000]);
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let error = Assets::directory("/assets", "/no/such/folder").unwrap_err();
    assert!(error.detail().contains("/no/such/folder"), "{error:?}");
}
