use burgeon_db::sql;

fn main() {
    let _ = sql!("find", "select name from product where id = $1", 1_i64, 2_i64);
    let _ = sql!("find", "select '$1'", 1_i64);
    let _ = sql!("find", sqlite: "select $1", postgres: "select 1", 1_i64);
}
