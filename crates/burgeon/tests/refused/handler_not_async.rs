use burgeon::prelude::*;

fn hello(ctx: Ctx) -> String {
    drop(ctx);
    String::from("hello")
}

fn main() {
    Routes::new(()).routes([get("/", hello)]);
}
