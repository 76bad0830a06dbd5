//! The cache of HTTP responses: tables of what is asked, answered and served, and tests of what a table cannot say.

mod axum;
mod collapse;
mod fragments;
mod freshness;
mod keys;
mod nested;
mod purge;
mod requests;
mod stale;
mod storing;
mod streams;
mod table;
mod transactions;
mod validation;
mod vary;

const TABLES: [(&str, &str); 8] = [
    ("freshness", freshness::TABLE),
    ("keys", keys::TABLE),
    ("purge", purge::TABLE),
    ("requests", requests::TABLE),
    ("stale", stale::TABLE),
    ("storing", storing::TABLE),
    ("validation", validation::TABLE),
    ("vary", vary::TABLE),
];

/// All tables together are the proof that RFC 9111 is followed; a row that gets lost is missed here.
#[test]
fn there_are_as_many_cases_as_the_document_says() {
    let cases: usize = TABLES.iter().map(|(_, table)| table::cases(table).count()).sum();
    assert!(cases >= 60, "{cases} cases");
    assert!(DOCUMENT.contains(&format!("tables of {cases} cases")), "{cases} cases");
}

const DOCUMENT: &str = include_str!("../../../../../docs/http-cache.md");

/// Which clause is shown by which case.
#[test]
fn every_case_that_the_document_names_is_there() {
    let name = |heading: &str| heading.split('[').next().unwrap().trim().to_owned();
    let mut named = 0;
    // Every second piece stands between backquotes.
    for quoted in DOCUMENT.split('`').skip(1).step_by(2) {
        let Some((file, case)) = quoted.split_once(": ") else { continue };
        let Some((_, table)) = TABLES.iter().find(|(of, _)| *of == file) else { continue };
        assert!(table::cases(table).any(|(heading, _)| name(heading) == case), "there is no `{quoted}`");
        named += 1;
    }
    assert!(named >= 60, "{named} cases are named");
}
