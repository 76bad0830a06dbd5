//! Files that `shop import` cannot take, in whole or in part.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::{Ended, folder, run};

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

fn line(invoice: u32) -> String {
    format!("{invoice},85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom")
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(folder.join(name), bytes).expect("the file is written");
}

async fn import(folder: &Path, name: &str) -> Ended {
    run(folder, &[], &["import", name, "--json"]).await
}

#[track_caller]
fn summary(ended: &Ended) -> (u64, u64, u64, u64) {
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let summary: Value = serde_json::from_str(&ended.printed).expect("one JSON value");
    let of = |key: &str| summary[key].as_u64().expect("a number");
    (of("lines"), of("inserted"), of("already_there"), of("refused"))
}

#[tokio::test]
async fn a_file_that_is_no_export_is_refused_by_name_and_says_what_it_should_begin_with() {
    let folder = folder();
    let at = folder.path();
    let noise: Vec<u8> = (0..3_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    write(at, "page.csv", "<html>not found</html>\n");
    write(at, "header.csv", "a,b,c\n1,2,3\n");
    write(at, "noise.csv.gz", noise);
    write(at, "empty.csv", "");
    for name in ["page.csv", "header.csv", "noise.csv.gz", "empty.csv"] {
        let ended = import(at, name).await;
        ended.refused(1, &[name, "is no \"Online Retail\" export", HEADER]);
        assert!(ended.said.bytes().all(|byte| byte == b'\n' || byte >= b' '), "a terminal would choke on it");
    }
    import(at, "missing.csv").await.refused(1, &["missing.csv cannot be read: No such file"]);
    fs::create_dir(at.join("folder.csv")).expect("a directory is made");
    import(at, "folder.csv").await.refused(1, &["folder.csv cannot be read: Is a directory"]);
}

#[tokio::test]
async fn refused_lines_are_written_with_number_and_reason_and_the_others_are_taken_once() {
    let folder = folder();
    let mut bytes = format!("{HEADER}\n{}\n{},too,many\na,b\n", line(536_365), line(536_366)).into_bytes();
    bytes.extend(b"536367,X,caf\xff\xfe,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n");
    bytes.extend(b"536368,X,NUM,99999999999999999999999,2010-12-01 08:26:00,2.55,17850,United Kingdom\n");
    bytes.extend(b"536369,X,NUM,6,2010-12-01 08:26:00,1e400,17850,United Kingdom\n");
    bytes.extend(b"536370,X,NUM,6,2010-99-01 08:26:00,2.55,17850,United Kingdom\n");
    bytes.extend(format!("{}\n536372,85123A,\"open quote,6\n", line(536_371)).bytes());
    write(folder.path(), "mixed.csv", bytes);

    assert_eq!(summary(&import(folder.path(), "mixed.csv").await), (9, 2, 0, 7));
    let refused = fs::read_to_string(folder.path().join("mixed.csv.refused.csv")).expect("it is written");
    let reasons = [
        (3, "10 columns instead of 8"),
        (4, "2 columns instead of 8"),
        (5, "not UTF-8"),
        (6, "Quantity is not a whole number: 99999999999999999999999"),
        (7, "UnitPrice is not an amount"),
        (8, "InvoiceDate is not a time"),
        (10, "a quote is opened and never closed"),
    ];
    let lines: Vec<&str> = refused.lines().skip(1).collect();
    assert_eq!(lines.len(), reasons.len(), "{refused}");
    for (line, (number, reason)) in lines.iter().zip(reasons) {
        assert!(
            line.starts_with(&format!("{number},")) && line.contains(reason),
            "{number} {reason}: {line}"
        );
    }
    assert_eq!(summary(&import(folder.path(), "mixed.csv").await), (9, 0, 2, 7), "twice changes nothing");
}

#[tokio::test]
async fn an_archive_that_breaks_off_says_where_and_the_whole_one_adds_only_the_rest() {
    let folder = folder();
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    writeln!(zipped, "{HEADER}").expect("it is packed");
    for number in 0..2_000 {
        writeln!(zipped, "{}", line(536_365 + number)).expect("it is packed");
    }
    let whole = zipped.finish().expect("it is packed");
    write(folder.path(), "broken.csv.gz", &whole[..whole.len() / 2]);
    write(folder.path(), "whole.csv.gz", &whole);

    let broken = import(folder.path(), "broken.csv.gz").await;
    broken.refused(1, &["breaks off after line", "lines are in; importing a whole file adds the rest"]);
    let words: Vec<&str> = broken.said.split_whitespace().collect();
    let told = words.windows(2).find(|pair| pair[1] == "lines").and_then(|pair| pair[0].parse::<u64>().ok());
    let told = told.expect("how many are in");
    assert!((1..2_000).contains(&told), "{told}");
    assert_eq!(summary(&import(folder.path(), "whole.csv.gz").await), (2_000, 2_000 - told, told, 0));
    assert_eq!(summary(&import(folder.path(), "whole.csv.gz").await), (2_000, 0, 2_000, 0));
}
