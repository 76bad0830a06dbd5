use burgeon_db::sql;

fn main() {
    let _ = sql!("Find Product", "select 1");
    let _ = sql!("open", "select 'it");
    let _ = sql!("two", "select 1; select 2");
    let _ = sql!("select 1");
    let text = "select 1";
    let _ = sql!("made", text);
}
