use burgeon_db::sql;

fn main() {
    let _ = sql!("cast", "select price::text from product");
    let _ = sql!("question", "select name from product where id = ?", 1_i64);
    let _ = sql!("half", sqlite: "select 1");
    let _ = sql!("other", mysql: "select 1", postgres: "select 1");
    let _ = sql!("kinds", sqlite: "select 1", postgres: "select 1 for update");
}
