use burgeon_db::sql;

fn main() {
    let _ = sql!("find", "select name from product where id = $1 and shop = $2", 1_i64);
    let _ = sql!("find", "select name from product where id = $1");
}
