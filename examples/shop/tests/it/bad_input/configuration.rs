//! Keys that are none and values that cannot be meant.

use super::{folder, run};

#[tokio::test]
async fn a_file_s_mistakes_are_told_all_at_once_each_with_its_line() {
    let folder = folder();
    let text = "[http]\nprot = 3000\ntimeout = \"5 parsecs\"\nworkers = \"two\"\n\n[databse]\nurl = \"x\"\n\n[http.tls]\ncertifcate = \"a\"\n";
    std::fs::write(folder.path().join("burgeon.toml"), text).expect("it is written");
    run(folder.path(), &[], &[]).await.refused(
        2,
        &[
            "burgeon.toml:2: `http.prot` is not a key; did you mean `http.port`?",
            "burgeon.toml:3: `http.timeout`: `5 parsecs` is not a duration",
            "250ms, 5s, 2m",
            "burgeon.toml:4: `http.workers`: expected a whole number, found text",
            "burgeon.toml:6: `databse` is not a key; did you mean `database`?",
            "burgeon.toml:10: `http.tls.certifcate` is not a key; did you mean `http.tls.certificate`?",
        ],
    );
    // Nothing was begun.
    assert!(!folder.path().join("shop.db").exists());
}

#[tokio::test]
async fn a_variable_s_mistake_is_told_with_the_variable_s_name() {
    let folder = folder();
    let mistakes: &[(&str, &str, &[&str])] = &[
        ("BURGEON__HTTP__PROT", "1", &["`http.prot` is not a key; did you mean `http.port`?"]),
        ("BURGEON__HTPP__PORT", "1", &["`htpp` is not a key; did you mean `http`?"]),
        ("BURGEON__HTTP_PORT", "1", &["did you mean `http.port`", "BURGEON__HTTP__PORT"]),
        ("BURGEON__HTTP__PORT", "abc", &["`http.port`: expected a whole number from 0 to 65535"]),
        ("BURGEON__HTTP__TIMEOUT", "5parsecs", &["`http.timeout`", "is not a duration"]),
        ("BURGEON__HTTP__BODY_LIMIT", "huge", &["`http.body_limit`", "is not a size", "2MiB"]),
        ("BURGEON__HTTP__COMPRESSION", "maybe", &["`http.compression`: expected true or false"]),
        ("DATABASE_URL", "mysql://shop:hunter2@db/shop", &["scheme `mysql`", "sqlite: or postgres://"]),
    ];
    for (variable, value, words) in mistakes {
        let ended = run(folder.path(), &[(variable, value)], &[]).await;
        ended.refused(2, words).refused(2, &[variable]).never_says("hunter2");
    }
    assert!(!folder.path().join("shop.db").exists());
}

#[tokio::test]
async fn a_file_that_is_no_configuration_is_named() {
    let folder = folder();
    let file = folder.path().join("burgeon.toml");
    std::fs::write(&file, "[http\nport = 3").expect("it is written");
    run(folder.path(), &[], &[]).await.refused(2, &["burgeon.toml:1:", "TOML"]);
    std::fs::write(&file, [0xff, 0xfe, 0x00]).expect("it is written");
    run(folder.path(), &[], &[]).await.refused(2, &["burgeon.toml cannot be read"]);
    run(folder.path(), &[], &["--config", "nope.toml"]).await.refused(2, &["nope.toml cannot be read"]);
    run(folder.path(), &[], &["serv"]).await.refused(2, &["'serv'", "'serve'"]);
}
