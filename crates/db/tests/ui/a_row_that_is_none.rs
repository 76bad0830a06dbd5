use burgeon_db::Row;

#[derive(Row)]
struct Pair(i64, i64);

#[derive(Row)]
struct Generic<T> {
    value: T,
}

#[derive(Row)]
enum State {
    Open,
}

#[derive(Row)]
struct Renamed {
    #[row(name = "title")]
    name: String,
}

fn main() {}
