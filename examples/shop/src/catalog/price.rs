//! `shop price PRODUCT NEW`: another price, seen by every visitor of every node within a second.

use burgeon::clap;
use burgeon::prelude::*;

use super::api::CatalogApi;
use super::product::ProductId;

/// Arguments of `shop price`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The product's number.
    product: i64,
    /// What it costs from now on, in pounds: 12.50.
    new: Money,
}

/// `shop price PRODUCT NEW`.
pub fn price() -> Command {
    command("price", "Changes what a product costs; every node shows it within a second.", run)
        .with_examples("Example:\n  shop price 42 13.50")
}

async fn run(args: Args, ctx: Ctx, catalog: CatalogApi) -> Result<()> {
    let before = catalog.reprice(&ctx, ProductId(args.product), args.new).await?;
    println!("product {} costs £{} now, and cost £{before}", args.product, args.new);
    Ok(())
}
