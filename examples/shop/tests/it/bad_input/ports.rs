//! A port that somebody has already.

use burgeon_test::Processes;

use super::{folder, run};

#[tokio::test]
async fn a_second_instance_is_refused_and_told_which_port_key_and_variable() {
    let mut first =
        Processes::of(env!("CARGO_BIN_EXE_shop")).setting("app.first_start", "false").start().await;
    let port = first.node(0).address().port().to_string();
    let folder = folder();
    let off = ("BURGEON__APP__FIRST_START", "false");
    for variable in ["PORT", "BURGEON__HTTP__PORT"] {
        let taken = format!("port {port} on 127.0.0.1 is already in use");
        run(folder.path(), &[off, (variable, &port)], &[]).await.refused(1, &[&taken, "http.port", "PORT="]);
    }
    let taken = format!("port {port} on 127.0.0.1 is already in use");
    run(folder.path(), &[off, ("BURGEON__ADMIN__PORT", &port)], &[])
        .await
        .refused(1, &[&taken, "`admin`", "admin.port", "BURGEON__ADMIN__PORT="]);
    // The first has not noticed.
    first.node(0).client().get("/livez").await.ok();
    assert!(first.node(0).terminate().await.success());
}

#[tokio::test]
async fn a_verb_may_look_into_the_file_of_a_shop_that_serves() {
    let mut first =
        Processes::of(env!("CARGO_BIN_EXE_shop")).setting("app.first_start", "false").start().await;
    let url = first.database_url().to_owned();
    let second = run(first.directory(), &[("DATABASE_URL", &url)], &["report", "--monthly"]).await;
    assert_eq!(second.code, Some(0), "{}", second.said);
    assert!(second.printed.contains("There are no invoices yet"), "{}", second.said);
    assert!(first.node(0).terminate().await.success());
}
