//! Importing, and what the books sum up to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use burgeon_services::Postgres;
use serde_json::{Value, json};

use crate::binary::{json, printed, shop};

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/// A folder, and a database of each engine.
async fn databases() -> Vec<(tempfile::TempDir, String)> {
    let folder = || tempfile::tempdir().expect("a folder");
    let postgres =
        Postgres::shared().await.expect("Postgres starts").create_database().await.expect("a database");
    vec![(folder(), "sqlite:books.db".to_owned()), (folder(), postgres)]
}

/// Does the same with each, side by side: an import waits for the disk and the server half of its time.
fn with_each(databases: &[(tempfile::TempDir, String)], test: impl Fn(&Path, &str) + Sync) {
    std::thread::scope(|scope| {
        for (folder, database) in databases {
            scope.spawn(|| test(folder.path(), database));
        }
    });
}

fn file(folder: &Path, name: &str, lines: &[&str]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, lines.join("\n")).expect("the file is written");
    path
}

fn import(folder: &Path, database: &str, file: &Path) -> Value {
    json(&shop(folder, database, &["import", file.to_str().expect("a path"), "--json"]))
}

fn report(folder: &Path, database: &str) -> Value {
    json(&shop(folder, database, &["report", "--monthly", "--json"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn importing_twice_changes_nothing_and_repeated_lines_count() {
    for (folder, database) in databases().await {
        let folder = folder.path();
        let line = "536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom";
        let export = file(
            folder,
            "books.csv",
            &[
                HEADER,
                line,
                line,
                "C536379,D,Discount,-1,2010-12-01 09:41:00,27.505,14527.0,United Kingdom",
                "536414,22139,,56,2011-01-01 00:00:00,0.0,,EIRE",
            ],
        );

        let first = import(folder, &database, &export);
        assert_eq!(
            (&first["lines"], &first["inserted"], &first["refused"]),
            (&json!(4), &json!(4), &json!(0))
        );
        let books = report(folder, &database);
        assert_eq!(
            books,
            json!([
                {"month": "2010-12", "orders": 1, "cancellations": 1, "units": 11, "revenue": "3.10"},
                {"month": "2011-01", "orders": 1, "cancellations": 0, "units": 56, "revenue": "0.00"},
            ])
        );

        let second = import(folder, &database, &export);
        assert_eq!((&second["inserted"], &second["already_there"]), (&json!(0), &json!(4)));
        assert_eq!(report(folder, &database), books);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_listed_with_its_reason_and_the_rest_is_taken() {
    for (folder, database) in databases().await {
        let folder = folder.path();
        let export = file(
            folder,
            "torn.csv",
            &[
                HEADER,
                "1,A,,1,2010-12-01 08:26:00,1,,EIRE",
                "2,A,,one,2010-12-01 08:26:00,1,,EIRE",
                "3,A,\"never closed,1,2010-12-01 08:26:00,1,,EIRE",
                "4,A,,1,2010-12-01 08:26:00,-1,,EIRE",
            ],
        );
        let summary = import(folder, &database, &export);
        assert_eq!((&summary["inserted"], &summary["refused"]), (&json!(2), &json!(2)));

        let listed = std::fs::read_to_string(folder.join("torn.csv.refused.csv"))
            .expect("the list is beside the file");
        let lines: Vec<_> = listed.lines().collect();
        assert_eq!(lines.len(), 3, "{listed}");
        assert!(lines[1].starts_with("3,Quantity is not a whole number: one,"), "{listed}");
        assert!(lines[2].starts_with("4,a quote is opened and never closed,"), "{listed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_archive_leaves_what_came_before_and_the_whole_one_adds_the_rest() {
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writeln!(zipped, "{HEADER}").expect("in memory");
    // Text that does not compress away, so that the cut falls among the lines.
    for number in 0_u64..50_000 {
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        writeln!(zipped, "{number},{noise:x},THING {noise},1,2010-12-01 08:26:00,1.25,,EIRE")
            .expect("in memory");
    }
    let zipped = zipped.finish().expect("in memory");
    with_each(&databases().await, |folder, database| {
        let export = folder.join("books.csv.gz");
        std::fs::write(&export, &zipped[..zipped.len() * 3 / 4]).expect("the file is written");
        let cut = shop(folder, database, &["import", "books.csv.gz", "--json"]);
        let told = String::from_utf8_lossy(&cut.stderr).into_owned();
        assert!(!cut.status.success() && told.contains("The file breaks off after line"), "{told}");

        std::fs::write(&export, &zipped).expect("the file is written");
        let whole = import(folder, database, &export);
        assert_eq!(whole["lines"], json!(50_000));
        let inserted = whole["inserted"].as_u64().expect("a number");
        assert!(0 < inserted && inserted < 50_000, "the cut file brought {} lines", 50_000 - inserted);
        assert_eq!(report(folder, database)[0]["revenue"], json!("62500.00"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_export_is_refused_in_a_sentence() {
    for (folder, database) in databases().await {
        let folder = folder.path();
        file(folder, "other.csv", &["a,b", "1,2"]);
        for (name, sentence) in
            [("other.csv", "is no \"Online Retail\" export"), ("missing.csv", "cannot be read")]
        {
            let output = shop(folder, &database, &["import", name]);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert!(told.contains(sentence) && !told.contains("panicked"), "{told}");
        }
    }
}

/// The books of the real data equal, to the penny, what a straightforward script over the file computes.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_year_sums_up_as_a_script_over_the_file_says() {
    let Some(export) = real_export() else {
        eprintln!("skipped: no Online Retail export; set ONLINE_RETAIL to its path");
        return;
    };
    let expected = script(&export);
    with_each(&databases().await, |folder, database| {
        let summary = import(folder, database, &export);
        assert_eq!((&summary["lines"], &summary["refused"]), (&json!(431_673), &json!(0)));
        assert_eq!(report(folder, database), expected);
    });
}

#[expect(clippy::disallowed_methods, reason = "a test's own parameter")]
pub(crate) fn real_export() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/online-retail-2010-12_2011-10.csv.gz");
    let path = std::env::var_os("ONLINE_RETAIL").map_or(beside, PathBuf::from);
    path.canonicalize().ok()
}

/// Not a line of it is shared with the shop: another CSV reader, thousandths, and months cut from the text.
fn script(export: &Path) -> Value {
    #[derive(Default)]
    struct Month {
        orders: BTreeSet<String>,
        cancellations: BTreeSet<String>,
        units: i128,
        thousandths: i128,
    }
    let file = std::fs::File::open(export).expect("the export opens");
    let mut reader = csv::Reader::from_reader(flate2::read::GzDecoder::new(file));
    let mut months: BTreeMap<String, Month> = BTreeMap::new();
    for record in reader.records() {
        let record = record.expect("a line");
        let month = months.entry(record[4][..7].to_owned()).or_default();
        let invoices = if record[0].starts_with('C') { &mut month.cancellations } else { &mut month.orders };
        if !invoices.contains(&record[0]) {
            invoices.insert(record[0].to_owned());
        }
        let quantity: i128 = record[3].parse().expect("a quantity");
        let (units, decimals) = record[5].split_once('.').unwrap_or((&record[5], ""));
        let digits: i128 =
            format!("{units}{decimals:0<3}").parse().expect("a price of at most three decimals");
        month.units += quantity;
        month.thousandths += quantity * digits;
    }
    let rows = months.into_iter().map(|(month, sums)| {
        assert!(sums.thousandths >= 0, "half up is said of revenue, not of losses");
        let pence = (sums.thousandths + 5) / 10;
        json!({
            "month": month,
            "orders": sums.orders.len(),
            "cancellations": sums.cancellations.len(),
            "units": sums.units,
            "revenue": format!("{}.{:02}", pence / 100, pence % 100),
        })
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_book_says_what_to_do() {
    for (folder, database) in databases().await {
        let said = printed(&shop(folder.path(), &database, &["report", "--monthly"]));
        assert!(said.contains("shop import FILE"), "{said}");
    }
}
