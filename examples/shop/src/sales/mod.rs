//! The books of former years: invoices as another till wrote them, and what they sum up to.
//!
//! The module owns `sales_*`. It knows nothing of the catalogue: an old till's stock codes are its own.

mod file;
mod import;
mod line;
mod progress;
mod refused;
mod replay;
mod report;
mod repository;

use burgeon::prelude::*;

/// The module.
pub fn module() -> Module {
    Module::new("sales").migrations(migrations!["sales/0001_ledger.sql"])
}

/// `shop import FILE`.
pub fn import() -> Command {
    command(
        "import",
        "Takes over the invoices of an \"Online Retail\" export; twice changes nothing.",
        import::run,
    )
    .with_examples("Examples:\n  shop import online-retail.csv.gz\n  shop import january.csv --refused january-refused.csv")
}

/// `shop report --monthly`.
pub fn report() -> Command {
    command("report", "Sums up the imported invoices by month.", report::run)
        .with_examples("Examples:\n  shop report --monthly\n  shop report --monthly --json")
}

/// `shop replay FILE`.
pub fn replay() -> Command {
    command("replay", "Plays the invoices of an export against a running shop.", replay::run).with_examples(
        "Example, an hour of the file per second:\n  shop replay online-retail.csv.gz --speed 3600",
    )
}
